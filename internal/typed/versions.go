package typed

import (
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/state"
)

// GetAt is the row that k had at a time.
func (t *Table[K, V]) GetAt(k K, at time.Time) (row state.Row[K, V], ok bool, err error) {
	if t.kind != store.Versioned {
		return row, false, fmt.Errorf("store %q: GetAt of a store without History", t.name)
	}
	return t.at(k, at.UnixMilli())
}

func (t *Table[K, V]) at(k K, at int64) (row state.Row[K, V], ok bool, err error) {
	key, err := t.rowKey(k)
	if err != nil {
		return row, false, err
	}
	r, ok, err := t.s.GetAt(key, at)
	if err != nil || !ok {
		return row, false, err
	}
	row, err = t.rowOf(k, r)
	return row, err == nil, err
}

// Versions yields the rows that k had during [from, to], oldest first.
func (t *Table[K, V]) Versions(k K, from, to time.Time) iter.Seq2[state.Row[K, V], error] {
	return func(yield func(state.Row[K, V], error) bool) {
		if t.kind != store.Versioned {
			yield(state.Row[K, V]{}, fmt.Errorf("store %q: Versions of a store without History", t.name))
			return
		}
		key, err := t.rowKey(k)
		if err != nil {
			yield(state.Row[K, V]{}, err)
			return
		}
		lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
		if !from.IsZero() {
			lo = from.UnixMilli()
		}
		if !to.IsZero() {
			hi = to.UnixMilli()
		}
		t.decoded(t.s.Versions(append([]byte{}, key...), lo, hi))(yield)
	}
}
