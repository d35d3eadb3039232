package typed

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
)

// Starts yields the windows of k's inner key that start in [from, to], in milliseconds.
func (t *Table[K, V]) Starts(k K, from, to int64, backward bool) iter.Seq2[state.Row[K, V], error] {
	return t.ofKey(k, store.Query{Start: from, End: to, Backward: backward})
}

// Sessions yields the sessions of k's inner key that overlap [from, to], in milliseconds.
func (t *Table[K, V]) Sessions(k K, from, to int64) iter.Seq2[state.Row[K, V], error] {
	return func(yield func(state.Row[K, V], error) bool) {
		for row, err := range t.ofKey(k, store.Query{Start: from, End: math.MaxInt64}) {
			if err == nil {
				var start int64
				// Sessions of a key do not overlap, so behind one that starts too late all do.
				if _, start, _, err = t.split.Split(t.inner[:0], row.Key); err == nil && start > to {
					return
				}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// ofKey yields what a query finds of k's inner key.
func (t *Table[K, V]) ofKey(k K, q store.Query) iter.Seq2[state.Row[K, V], error] {
	return func(yield func(state.Row[K, V], error) bool) {
		inner, _, _, err := t.split.Split(t.inner[:0], k)
		if err != nil {
			yield(state.Row[K, V]{}, fmt.Errorf("store %q: encode a key: %w", t.name, err))
			return
		}
		t.inner = inner
		if t.s.Nothing(inner, q.Start, q.End) {
			return
		}
		q.Key = bytes.Clone(inner) // since the loop may use the store
		t.scan(q)(yield)
	}
}

// Windows yields the windows, of k's inner key alone unless all, that hold an instant of
// [from, to].
func (t *Table[K, V]) Windows(k K, all bool, from, to time.Time) iter.Seq2[state.Row[K, V], error] {
	if t.split == nil {
		return func(yield func(state.Row[K, V], error) bool) {
			yield(state.Row[K, V]{}, fmt.Errorf("store %q: Windows of a store without windows", t.name))
		}
	}
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	if !from.IsZero() {
		lo = from.UnixMilli()
	}
	if !to.IsZero() {
		hi = to.UnixMilli()
	}
	if t.kind == store.Session {
		return t.sessions(k, all, lo, hi)
	}
	q := store.Query{Start: lo, End: hi, ByTime: all}
	if lo != math.MinInt64 { // the end does not belong to windows that are aligned
		q.Start = lo - t.size
		if window.KindOf(t.split.Windows()) != window.AtRecords {
			q.Start++
		}
	}
	if all {
		return t.scan(q)
	}
	return t.ofKey(k, q)
}

// sessions is Windows of a session store.
func (t *Table[K, V]) sessions(k K, all bool, lo, hi int64) iter.Seq2[state.Row[K, V], error] {
	if !all {
		return t.Sessions(k, lo, hi)
	}
	return func(yield func(state.Row[K, V], error) bool) {
		for row, err := range t.scan(store.Query{Start: lo, End: math.MaxInt64, ByTime: true}) {
			if err == nil {
				var start int64
				if _, start, _, err = t.split.Split(t.inner[:0], row.Key); err == nil && start > hi {
					continue
				}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}
