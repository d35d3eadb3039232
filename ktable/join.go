package ktable

import (
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
)

// Join pairs rows of the same key. An update of either table sends the new pair, or a
// delete if its row is gone; it sends nothing while the other table has no row. With AtLeastOnce
// a record that may come again, since it was in its topic before the task began, sends a delete
// then. The result has the greater time of the two rows.
//
// A join has no history, whatever a and b have: who looks its rows up sees them as they are
// now.
func Join[K, V, W, R any](a Table[K, V], b Table[K, W], f func(V, W) R) Table[K, R] {
	return join(a, b, "join", needs{a: true, b: true}, func(v V, hasV bool, w W, hasW bool) (r R, ok bool) {
		if !hasV || !hasW {
			return r, false
		}
		return f(v, w), true
	})
}

// LeftJoin keeps every row of a; ok says whether b has it. The result has the greater time
// of the rows that there are.
func LeftJoin[K, V, W, R any](a Table[K, V], b Table[K, W], f func(v V, w W, ok bool) R) Table[K, R] {
	a.Step.NeedOld()
	return join(a, b, "left-join", needs{a: true}, func(v V, hasV bool, w W, hasW bool) (r R, ok bool) {
		if !hasV {
			return r, false
		}
		return f(v, w, hasW), true
	})
}

// OuterJoin keeps every row of either.
func OuterJoin[K, V, W, R any](a Table[K, V], b Table[K, W], f func(v V, hasV bool, w W, hasW bool) R) Table[K, R] {
	a.Step.NeedOld()
	b.Step.NeedOld()
	return join(a, b, "outer-join", needs{}, func(v V, hasV bool, w W, hasW bool) (r R, ok bool) {
		if !hasV && !hasW {
			return r, false
		}
		return f(v, hasV, w, hasW), true
	})
}

// needs says which rows a join cannot do without.
type needs struct{ a, b bool }

// joiner gives the joined row of two, if they make one.
type joiner[V, W, R any] func(v V, hasV bool, w W, hasW bool) (R, bool)

// join adds a step for the updates of each table, and one that passes both on.
func join[K, V, W, R any](a Table[K, V], b Table[K, W], kind string, need needs, f joiner[V, W, R]) Table[K, R] {
	null := graph.NullValue[R]()
	of := func(v V, hasV bool, w W, hasW bool) (R, bool) {
		r, ok := f(v, hasV, w, hasW)
		return r, ok && !null(r)
	}
	var s *graph.Step
	old := func() bool { return s.Old() }
	left := half(a, b, kind, need.b, old, of)
	right := half(b, a, kind, need.a, old, func(w W, hasW bool, v V, hasV bool) (R, bool) { return of(v, hasV, w, hasW) })
	s = a.Step.Builder().Add(kind, []*graph.Step{left, right}, func(w *graph.Wiring, s *graph.Step) any {
		return graph.Next[K, graph.Change[R]](w, s)
	})
	s.Meet("Join")
	s.Virtual(func(w *graph.Wiring) any {
		x, y := graph.LookupOf[K, V](w, a.Step), graph.LookupOf[K, W](w, b.Step)
		return graph.Lookup[K, R](func(k K, _ int64) (r R, ms int64, ok bool, err error) {
			v, t, hasV, err := x(k, latestVersion)
			if err != nil {
				return r, 0, false, err
			}
			row, u, hasW, err := y(k, latestVersion)
			if err != nil {
				return r, 0, false, err
			}
			r, ok = of(v, hasV, row, hasW)
			return r, latest(t, hasV, u, hasW), ok, nil
		})
	}, a.Step, b.Step)
	return Table[K, R]{Step: s}
}

// half joins the updates of one table with the rows of the other.
func half[K, V, W, R any](this Table[K, V], other Table[K, W], kind string, needOther bool, old func() bool, of joiner[V, W, R]) *graph.Step {
	s := graph.Map(this.Step, kind+"-half", func(w *graph.Wiring, next graph.Handler[K, graph.Change[R]]) graph.Handler[K, graph.Change[V]] {
		lookup, old := graph.LookupOf[K, W](w, other.Step), old()
		var meta plan.Meta
		return func(k K, c graph.Change[V], m *plan.Meta) error {
			if c.Stale {
				w.Drop(plan.Late)
				return nil
			}
			row, ms, has, err := lookup(k, latestVersion)
			if err != nil {
				return err
			}
			nothing := !has && (needOther || !c.HasNew && !c.HasOld)
			if nothing && !w.Again { // else it may have met a row that is deleted now
				return nil
			}
			var out graph.Change[R]
			out.New, out.HasNew = of(c.New, c.HasNew, row, has)
			if old {
				out.Old, out.HasOld = of(c.Old, c.HasOld, row, has)
			}
			meta = *m
			meta.Time = latest(m.Time, true, ms, has)
			return next(k, out, &meta)
		}
	})
	return s.Look(other.Step)
}

// latestVersion is a time at which a table with History has its latest rows.
const latestVersion = 1<<63 - 1

// latest is the greater of the times of the rows that there are.
func latest(a int64, hasA bool, b int64, hasB bool) int64 {
	switch {
	case !hasB:
		return a
	case !hasA:
		return b
	}
	return max(a, b)
}
