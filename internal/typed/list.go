package typed

import (
	"fmt"
	"iter"

	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/serde"
)

// List is a store that keeps any number of values of V for a key and a time. It belongs to
// one goroutine.
type List[K, V any] struct {
	name  string
	s     *store.Store
	key   serde.Serde[K]
	value serde.Serde[V]

	inner, kbuf, vbuf []byte
}

// NewList opens a List store.
func NewList[K, V any](name string, key serde.Serde[K], value serde.Serde[V], s *store.Store) *List[K, V] {
	return &List[K, V]{name: name, s: s, key: key, value: value}
}

// Add adds a value. Of values with one key and time, n tells them apart and orders them. It
// is dropped if the time is out of retention.
func (l *List[K, V]) Add(k K, ms int64, n uint32, v V) (dropped bool, err error) {
	if l.inner, err = l.key.Append(l.inner[:0], k); err != nil {
		return false, fmt.Errorf("store %q: encode a key: %w", l.name, err)
	}
	l.kbuf = store.AppendListKey(l.kbuf[:0], l.inner, ms, n)
	if l.vbuf, err = l.value.Append(l.vbuf[:0], v); err != nil {
		return false, fmt.Errorf("store %q: encode a value: %w", l.name, err)
	}
	if l.vbuf == nil {
		l.vbuf = []byte{}
	}
	return l.s.Put(l.kbuf, l.vbuf, ms)
}

// Between yields the values of a key with times in [from, to], in milliseconds: by time,
// and those of one time as they were added.
func (l *List[K, V]) Between(k K, from, to int64) iter.Seq2[Timed[V], error] {
	return func(yield func(Timed[V], error) bool) {
		inner, err := l.key.Append(nil, k) // its own memory: the loop may use the store
		if err != nil {
			yield(Timed[V]{}, fmt.Errorf("store %q: encode a key: %w", l.name, err))
			return
		}
		for row, err := range l.s.Scan(store.Query{Key: inner, Start: from, End: to}) {
			var t Timed[V]
			if err == nil {
				t.Time = row.Time
				if t.Value, err = l.value.Decode(row.Value); err != nil {
					err = fmt.Errorf("store %q: decode a value: %w", l.name, err)
				}
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// Timed is a value and its time in milliseconds.
type Timed[V any] struct {
	Value V
	Time  int64
}
