package ktable

import (
	"bytes"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// Grouped is a table whose rows are collected under another key.
type Grouped[G, V any] struct{ step *graph.Step }

// GroupBy gives each row a group and a value, and sends it through a topic of the
// application to meet its group. A row without a group or a value, a nil one, is left out.
// F is not called for deletes.
//
// An update takes the old row out of its group and puts the new one into its own. If both
// are in one group that is one step, and gives one result; if they are in two, a reader may
// see the row in neither for a moment.
func GroupBy[K, V, G, W any](t Table[K, V], f func(K, V) (G, W), through topology.Topic[G, W]) Grouped[G, W] {
	t.Step.NeedOld()
	spec := graph.Topic[G, graph.Change[W]]{Name: through.Name, Key: through.Key, Partitions: through.Partitions}
	if through.Value != nil {
		spec.Value = graph.Changes[W]{Value: through.Value}
	}
	if p := through.PartitionOf; p != nil {
		spec.PartitionOf = func(g G, c graph.Change[W], n int32) int32 {
			if !c.HasNew {
				return p(g, c.Old, n)
			}
			return p(g, c.New, n)
		}
	}
	moves := graph.Map(t.Step, "group-by", func(w *graph.Wiring, next graph.Handler[G, graph.Change[W]]) graph.Handler[K, graph.Change[V]] {
		return regroup(w, f, through.Key, next)
	})
	moves.Rekey()
	return Grouped[G, W]{graph.Through(moves, spec)}
}

// regroup sends a change of a row as changes of groups.
func regroup[K, V, G, W any](w *graph.Wiring, f func(K, V) (G, W), keys serde.Serde[G], next graph.Handler[G, graph.Change[W]]) graph.Handler[K, graph.Change[V]] {
	nullGroup, nullValue := graph.NullKey[G](), graph.NullValue[W]()
	of := func(k K, v V, has bool, m *plan.Meta) (g G, x W, ok bool) {
		if !has {
			return g, x, false
		}
		g, x = f(k, v)
		return g, x, !nullGroup(g, m) && !nullValue(x)
	}
	var a, b []byte
	same := func(x, y G) (_ bool, err error) {
		if a, err = keys.Append(a[:0], x); err != nil {
			return false, err
		}
		if b, err = keys.Append(b[:0], y); err != nil {
			return false, err
		}
		return bytes.Equal(a, b), nil
	}
	return func(k K, c graph.Change[V], m *plan.Meta) error {
		if c.Stale {
			w.Drop(plan.Late)
			return nil
		}
		from, old, hasOld := of(k, c.Old, c.HasOld, m)
		to, value, hasNew := of(k, c.New, c.HasNew, m)
		if hasOld && hasNew {
			equal, err := same(from, to)
			if err != nil {
				return err
			}
			if equal {
				return next(to, graph.Change[W]{New: value, HasNew: true, Old: old, HasOld: true}, m)
			}
		}
		if hasOld {
			if err := next(from, graph.Change[W]{Old: old, HasOld: true}, m); err != nil {
				return err
			}
		}
		if hasNew {
			return next(to, graph.Change[W]{New: value, HasNew: true}, m)
		}
		return nil
	}
}

// Count counts the rows of each group. A group that has lost all its rows counts 0.
func Count[G, V any](g Grouped[G, V], in state.Store[G, int64]) Table[G, int64] {
	return fold(g, "count", aggregate.Sum(func(V) int64 { return 1 }), in)
}

// Reduce folds the rows of each group into one of their type; remove takes one out again.
func Reduce[G, V any](g Grouped[G, V], add, remove func(a, v V) V, in state.Store[G, V]) Table[G, V] {
	return fold(g, "reduce", aggregate.Aggregator[V, V]{First: func(v V) V { return v }, Add: add, Remove: remove}, in)
}

// Aggregate folds the rows of each group; the Aggregator needs Remove. It takes an old row
// out before it adds the new one. A nil result deletes the group's row.
func Aggregate[G, V, A any](g Grouped[G, V], a aggregate.Aggregator[V, A], in state.Store[G, A]) Table[G, A] {
	if a.Add == nil || a.Remove == nil {
		g.step.Builder().Fail("Aggregate of a table in store %q: the Aggregator needs Add and Remove, since rows change and go", in.Name)
	}
	return fold(g, "aggregate", a, in)
}

func fold[G, V, A any](g Grouped[G, V], kind string, f aggregate.Aggregator[V, A], in state.Store[G, A]) Table[G, A] {
	var s *graph.Step
	s = graph.Map(g.step, kind, func(w *graph.Wiring, next graph.Handler[G, graph.Change[A]]) graph.Handler[G, graph.Change[V]] {
		rows, old, null := graph.Rows[G, A](w, s), s.Old(), graph.NullValue[A]()
		send := graph.SenderOf(w, s, in.Key, next)
		var meta plan.Meta
		return func(k G, c graph.Change[V], m *plan.Meta) error {
			acc, ms, has, err := rows.Load(k)
			if err != nil {
				return err
			}
			var out graph.Change[A]
			if old { // decoded once more, since the fold may change what it is given
				if out.Old, _, out.HasOld, err = rows.Load(k); err != nil {
					return err
				}
			}
			meta = *m
			if has && (c.HasOld || c.HasNew) {
				meta.Time = max(m.Time, ms)
			}
			had := has
			if has && c.HasOld {
				acc = f.Remove(acc, c.Old)
				has = !null(acc)
			}
			if c.HasNew {
				acc, has = f.Apply(acc, has, c.New), true
			}
			out.New, out.HasNew = acc, has && !null(acc)
			var latest, dropped bool
			if out.HasNew {
				latest, dropped, err = rows.Save(k, acc, meta.Time)
			} else {
				latest, dropped, err = rows.Remove(k, meta.Time)
			}
			if err != nil {
				return err
			}
			if dropped {
				w.Drop(plan.Late)
				return nil
			}
			out.Stale = !latest
			return send(k, out, had, &meta)
		}
	})
	graph.Keep(s, in)
	return Table[G, A]{Step: s}
}
