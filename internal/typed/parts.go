package typed

import (
	"iter"
	"time"

	"github.com/seed-df18afd4/streams/state"
)

// Parts reads the tables of several partitions as one: a row is looked for in all of them,
// and rows of one come after those of the one before.
type Parts[K, V any] []*Table[K, V]

// Get implements state.Reader.
func (p Parts[K, V]) Get(k K) (v V, ok bool, err error) {
	row, ok, err := p.Row(k)
	return row.Value, ok, err
}

// Row implements state.Reader.
func (p Parts[K, V]) Row(k K) (row state.Row[K, V], ok bool, err error) {
	for _, t := range p {
		if row, ok, err = t.Row(k); ok || err != nil {
			return row, ok, err
		}
	}
	return row, false, nil
}

// GetAt is the row that k had at a time.
func (p Parts[K, V]) GetAt(k K, at time.Time) (row state.Row[K, V], ok bool, err error) {
	for _, t := range p {
		if row, ok, err = t.GetAt(k, at); ok || err != nil {
			return row, ok, err
		}
	}
	return row, false, nil
}

// All implements state.Reader.
func (p Parts[K, V]) All() iter.Seq2[state.Row[K, V], error] {
	return p.each(func(t *Table[K, V]) iter.Seq2[state.Row[K, V], error] { return t.All() })
}

// Range implements state.Reader.
func (p Parts[K, V]) Range(lo, hi *K) iter.Seq2[state.Row[K, V], error] {
	return p.each(func(t *Table[K, V]) iter.Seq2[state.Row[K, V], error] { return t.Range(lo, hi) })
}

// Backward implements state.Reader.
func (p Parts[K, V]) Backward(lo, hi *K) iter.Seq2[state.Row[K, V], error] {
	return p.each(func(t *Table[K, V]) iter.Seq2[state.Row[K, V], error] { return t.Backward(lo, hi) })
}

// Windows yields windows that hold an instant of [from, to].
func (p Parts[K, V]) Windows(k K, all bool, from, to time.Time) iter.Seq2[state.Row[K, V], error] {
	return p.each(func(t *Table[K, V]) iter.Seq2[state.Row[K, V], error] { return t.Windows(k, all, from, to) })
}

// Versions yields the rows that k had during [from, to].
func (p Parts[K, V]) Versions(k K, from, to time.Time) iter.Seq2[state.Row[K, V], error] {
	return p.each(func(t *Table[K, V]) iter.Seq2[state.Row[K, V], error] { return t.Versions(k, from, to) })
}

// ApproximateLen implements state.Reader.
func (p Parts[K, V]) ApproximateLen() (n int64, err error) {
	for _, t := range p {
		m, err := t.ApproximateLen()
		if err != nil {
			return 0, err
		}
		n += m
	}
	return n, nil
}

func (p Parts[K, V]) each(of func(*Table[K, V]) iter.Seq2[state.Row[K, V], error]) iter.Seq2[state.Row[K, V], error] {
	return func(yield func(state.Row[K, V], error) bool) {
		for _, t := range p {
			for row, err := range of(t) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}
