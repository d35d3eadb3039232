package graph

import (
	"fmt"
	"iter"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/state"
)

// Global is a handle on a global table.
type Global[K, V any] struct {
	Store *Store
	rows  state.Store[K, V]
}

// GlobalSource adds a global table, or finds the one that is read from the topic.
func GlobalSource[K, V any](b *Builder, t Topic[K, V], rows state.Store[K, V]) Global[K, V] {
	t.check(b)
	if s := b.sources[t.Name]; s != nil {
		b.Fail("topic %q is read as a global table here, at %s as a %s: every task would have to wait for itself; read it once", t.Name, s.at, s.kind)
	}
	st := b.Store(rows.Spec())
	if st.global < 0 {
		st.global = len(b.globals)
		b.globals = append(b.globals, plan.Global{Topic: t.Name, Spec: st.Spec, Types: st.Types, Convert: converter(t)})
	}
	return Global[K, V]{st, rows}
}

// GlobalLookup is how a step reads a global table in a task.
func GlobalLookup[K, V any](w *Wiring, g Global[K, V]) func(k K) (v V, ok bool, err error) {
	return newGlobalRows(w, g.Store, g.rows).Get
}

// JoinsGlobal says that the step looks rows of a global table up.
func JoinsGlobal[K, V any](s *Step, g Global[K, V]) { s.Use(g.Store) }

// globalRows reads the rows of a global table for one task: in all partitions, since who
// wrote the topic may have chosen them freely.
type globalRows[K, V any] struct {
	rows  *plan.GlobalRows
	parts typed.Parts[K, V]
}

func newGlobalRows[K, V any](w *Wiring, st *Store, d state.Store[K, V]) *globalRows[K, V] {
	g := &globalRows[K, V]{rows: w.Globals[st.global]}
	for _, s := range g.rows.Partitions {
		g.parts = append(g.parts, typed.New(d, s, nil))
	}
	return g
}

// Get implements state.Reader.
func (g *globalRows[K, V]) Get(k K) (V, bool, error) {
	g.rows.Lock()
	defer g.rows.Unlock()
	return g.parts.Get(k)
}

// Row implements state.Reader.
func (g *globalRows[K, V]) Row(k K) (state.Row[K, V], bool, error) {
	g.rows.Lock()
	defer g.rows.Unlock()
	return g.parts.Row(k)
}

// All implements state.Reader.
func (g *globalRows[K, V]) All() iter.Seq2[state.Row[K, V], error] { return g.collect(g.parts.All()) }

// Range implements state.Reader; rows of different partitions are not in order.
func (g *globalRows[K, V]) Range(lo, hi *K) iter.Seq2[state.Row[K, V], error] {
	return g.collect(g.parts.Range(lo, hi))
}

// Backward implements state.Reader.
func (g *globalRows[K, V]) Backward(lo, hi *K) iter.Seq2[state.Row[K, V], error] {
	return g.collect(g.parts.Backward(lo, hi))
}

// collect takes rows under the lock, and yields them without it: the loop may look into
// the table again.
func (g *globalRows[K, V]) collect(all iter.Seq2[state.Row[K, V], error]) iter.Seq2[state.Row[K, V], error] {
	return func(yield func(state.Row[K, V], error) bool) {
		var rows []state.Row[K, V]
		var failed error
		g.rows.Lock()
		for row, err := range all {
			if failed = err; err == nil {
				rows = append(rows, row)
			}
		}
		g.rows.Unlock()
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
		if failed != nil {
			yield(state.Row[K, V]{}, failed)
		}
	}
}

// ApproximateLen implements state.Reader.
func (g *globalRows[K, V]) ApproximateLen() (int64, error) {
	g.rows.Lock()
	defer g.rows.Unlock()
	return g.parts.ApproximateLen()
}

// View opens a store for a processor that only reads it: its own, a table's or a global
// table's.
func View[K, V any](w *Wiring, st *Store, d state.Store[K, V]) state.Reader[K, V] {
	if st.global >= 0 {
		return newGlobalRows(w, st, d)
	}
	return Open(w, st, d)
}

// Writable says why a processor may not write the store, if so.
func (st *Store) Writable() error {
	switch {
	case st.global >= 0:
		return fmt.Errorf("it belongs to a global table, which only its topic writes")
	case st.owner != nil:
		return fmt.Errorf("only the %s at %s writes it", st.owner.kind, st.owner.at)
	}
	return nil
}
