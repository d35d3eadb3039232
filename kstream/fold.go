package kstream

import (
	"fmt"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
)

// fold keeps the fold of each group in a store and sends its changes, when they are to be
// sent.
func fold[G, V, A any](g Grouped[G, V], kind string, f aggregate.Aggregator[V, A], in state.Store[G, A]) ktable.Table[G, A] {
	step := foldStep(g, kind, f, in, true, sharesPanes(g, f))
	return ktable.Table[G, A]{Step: emitted(step, emissionOf(g.windows), in)}
}

// foldStep adds the step that folds. Of several steps with one store one is its owner.
func foldStep[G, V, A any](g Grouped[G, V], kind string, f aggregate.Aggregator[V, A], in state.Store[G, A], owner, panes bool) *graph.Step {
	checkFold(g, f, in)
	wire := folding[G, V, A](g, panes)
	var s *graph.Step
	s = graph.Map(g.stream.Step, kind, func(w *graph.Wiring, next graph.Handler[G, graph.Change[A]]) graph.Handler[G, V] {
		d := newFolder(w, s, g, f, in, next)
		switch {
		case panes:
			d.panes = newPanes(w, s, d, in, next)
		case onClose(g):
			d.closer = newCloser(w, s, g, in, next)
		}
		return wire(w, d)
	})
	if owner {
		graph.Keep(s, in)
	} else {
		graph.Share(s, in)
	}
	if in.Key == nil {
		return s // a mistake that is noted already
	}
	if onClose(g) {
		s.Use(s.Builder().Store(closing(g, in).Spec()))
	}
	if panes {
		s.Use(s.Builder().Store(paned(in).Spec()))
	}
	return s
}

// folding is how a grouped stream is folded in a task.
func folding[G, V, A any](g Grouped[G, V], panes bool) func(*graph.Wiring, *folder[G, V, A]) graph.Handler[G, V] {
	switch {
	case g.windows == nil:
		return foldGroup[G, V, A]
	case panes:
		return foldPanes[G, V, A]
	case window.KindOf(g.windows) == window.AtRecords:
		return foldSliding[G, V, A]
	case window.KindOf(g.windows) == window.Sessions:
		return foldSessions[G, V, A]
	case onClose(g):
		return func(w *graph.Wiring, d *folder[G, V, A]) graph.Handler[G, V] {
			return spread(w, g.windows, g.cut, foldGroup(w, d))
		}
	}
	return foldGroup[G, V, A]
}

// onClose says whether results are sent once, when windows close.
func onClose[G, V any](g Grouped[G, V]) bool {
	return g.windows != nil && window.EmitOnClose(g.windows)
}

// checkFold refuses what cannot be folded so.
func checkFold[G, V, A any](g Grouped[G, V], f aggregate.Aggregator[V, A], in state.Store[G, A]) {
	b := g.stream.Step.Builder()
	if f.Add == nil {
		b.Fail("the fold in store %q: the Aggregator has no Add", in.Name)
	}
	want, has := "none", "none"
	if g.windows != nil {
		want = fmt.Sprint(g.windows)
		if window.KindOf(g.windows) == window.Sessions && f.Merge == nil {
			b.Fail("the fold in store %q: the Aggregator has no Merge, and a record can join two sessions: give it one", in.Name)
		}
	}
	if s, ok := in.Key.(window.Splitter[G]); ok {
		has = fmt.Sprint(s.Windows())
	}
	if in.Spec().Err == nil && want != has {
		b.Fail("store %q has keys of windows %s, the stream that it keeps has %s: give both the same windows", in.Name, has, want)
	}
}

// folder is what folds need in one task.
type folder[G, V, A any] struct {
	w        *graph.Wiring
	f        aggregate.Aggregator[V, A]
	g        Grouped[G, V]
	rows     *typed.Table[G, A]
	send     graph.Sender[G, A]
	old      bool // somebody needs old values
	nullKey  func(G, *plan.Meta) bool
	nullVal  func(V) bool
	nullFold func(A) bool
	whole    bool          // what the store has forgotten is over: a session may begin before that
	keeps    int64         // how long the store of results that are sent once keeps them for others to use, ms
	closer   *closer[G, A] // of results that are sent when their windows close; nil
	panes    *panes[G, A]  // of those that are put together from panes; nil
	meta     plan.Meta
}

func newFolder[G, V, A any](w *graph.Wiring, s *graph.Step, g Grouped[G, V], f aggregate.Aggregator[V, A], in state.Store[G, A], next graph.Handler[G, graph.Change[A]]) *folder[G, V, A] {
	rows := graph.Rows[G, A](w, s)
	return &folder[G, V, A]{
		w: w, f: f, g: g, rows: rows, send: graph.SenderOf(w, s, in.Key, next), old: s.Old(),
		nullKey: graph.NullKey[G](), nullVal: graph.NullValue[V](), nullFold: graph.NullValue[A](),
		whole: g.windows == nil || window.KindOf(g.windows) != window.Sessions,
		keeps: in.Spec().Retention - 1,
	}
}

// load reads the fold of a group. Old is read apart, since a fold may change what it is
// given.
func (d *folder[G, V, A]) load(k G) (acc A, ms int64, has bool, old A, err error) {
	if acc, ms, has, err = d.rows.Load(k); err != nil || !d.old || !has {
		return acc, ms, has, old, err
	}
	old, _, _, err = d.rows.Load(k)
	return acc, ms, has, old, err
}

// save writes the fold of a group and sends the change; had says whether there was one.
//
// When the store has forgotten a window that the operator's clock has not passed, its
// records are processed again, after a crash under AtLeastOnce: the store was restored from
// what was written before it. The result that was sent then is whole. This one is not, and
// must not replace it.
//
// A store with History drops what is older than that, and takes a fold that is older than
// a delete of its row among the old versions.
func (d *folder[G, V, A]) save(k G, c graph.Change[A], had bool, ms int64, m *plan.Meta) error {
	c.HasNew = !d.nullFold(c.New)
	latest, dropped, err := d.rows.Save(k, c.New, ms)
	if err != nil {
		return err
	}
	if dropped && d.whole {
		d.w.Drop(plan.Late)
		return nil
	}
	c.Stale = !latest
	if d.closer != nil {
		return d.closer.changed(k, c.HasNew, ms)
	}
	d.meta = *m
	d.meta.Time = ms
	return d.send(k, c, had, &d.meta)
}

// foldGroup folds records that come with their group, and with their window if there is one.
// The result has the greatest time of the records that made it.
func foldGroup[G, V, A any](w *graph.Wiring, d *folder[G, V, A]) graph.Handler[G, V] {
	windowed := d.g.windows != nil
	return func(k G, v V, m *plan.Meta) error {
		if d.nullKey(k, m) {
			w.Drop(plan.NullKey)
			return nil
		}
		if !windowed && d.nullVal(v) {
			w.Drop(plan.NullValue)
			return nil
		}
		if d.closer != nil {
			if err := d.closer.advance(m); err != nil {
				return err
			}
		}
		acc, ms, has, old, err := d.load(k)
		if err != nil {
			return err
		}
		c := graph.Change[A]{New: d.f.Apply(acc, has, v), Old: old, HasOld: d.old && has}
		if !has || m.Time > ms {
			ms = m.Time
		}
		return d.save(k, c, has, ms, m)
	}
}

// clockOf is the clock of a windowed fold. The folds of a Cogroup have one each, as in
// Kafka Streams; but where results are sent once they have one together, since what one
// of them closes must be closed for all.
func clockOf(w *graph.Wiring, windows window.Windows) *plan.Clock {
	return w.Clock(w.StateName(window.EmitOnClose(windows)))
}
