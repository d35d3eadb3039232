package kstream

import (
	"math"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
)

// sharesPanes says whether windows can be put together from panes: the pieces that time is
// cut into by the starts and ends of windows that overlap. It takes windows whose results
// are looked at only when they close, and a fold whose parts give the whole.
func sharesPanes[G, V, A any](g Grouped[G, V], f aggregate.Aggregator[V, A]) bool {
	if g.windows == nil || window.KindOf(g.windows) != window.Aligned || !window.EmitOnClose(g.windows) || !f.MergeIsAdd() {
		return false
	}
	_, _, every := window.Starts(g.windows, 0)
	return every < window.Size(g.windows)
}

// panes folds every record once, into its pane, and merges the panes of a window when it
// closes. So a record costs the same however many windows hold it.
//
// Of each key it knows which window closes next: of those that hold a pane, the first one
// that was not sent. That is a row of open, ordered by the window's end.
type panes[G, A any] struct {
	panes *typed.Table[G, A] // by the pane's start
	open  *typed.Table[ending[G], struct{}]
	rows  *typed.Table[G, A] // of the windows that have closed
	next  graph.Handler[G, graph.Change[A]]
	merge func(a, b A) A

	clock       *plan.Clock
	cut         cut[G]
	size, every int64
	late        int64       // how long after its end a window closes
	first       *plan.Clock // no open window ends before it
}

func newPanes[G, V, A any](w *graph.Wiring, s *graph.Step, d *folder[G, V, A], in state.Store[G, A], next graph.Handler[G, graph.Change[A]]) *panes[G, A] {
	of, closes := paned(in), closing(d.g, in)
	_, _, every := window.Starts(d.g.windows, 0)
	return &panes[G, A]{
		panes: graph.Open(w, s.Find(of.Name), of), open: graph.Open(w, s.Find(closes.Name), closes),
		rows: d.rows, next: next, merge: d.f.Merge,
		clock: clockOf(w, d.g.windows), cut: d.g.cut,
		size: window.Size(d.g.windows), every: every, late: window.Grace(d.g.windows), first: w.Memo(closes.Name),
	}
}

// paned describes the store of the panes. It keeps a pane as long as a window that holds it
// is open.
func paned[G, A any](in state.Store[G, A]) state.Store[G, A] {
	in.Name, in.Retention = in.Name+"-panes", 0
	return in
}

// foldPanes folds a record into its pane. Windows that have closed are sent before, so
// that it changes none of them.
func foldPanes[G, V, A any](w *graph.Wiring, d *folder[G, V, A]) graph.Handler[G, V] {
	p, holding := d.panes, holding(w, d.g.windows)
	return func(k G, v V, m *plan.Meta) error {
		start, last, _ := holding(m.Time)
		if start > last {
			return nil
		}
		if err := p.advance(m); err != nil {
			return err
		}
		pane := p.cut.at(k, p.paneOf(m.Time), m.Time)
		acc, ms, has, err := p.panes.Load(pane)
		if err != nil {
			return err
		}
		_, dropped, err := p.panes.Save(pane, d.f.Apply(acc, has, v), max(ms, m.Time))
		switch {
		case err != nil:
			return err
		case dropped: // its windows were sent before a crash under AtLeastOnce
			w.Drop(plan.Late)
			return nil
		case has: // a window that closes no later than its own is known
			return nil
		}
		return p.expect(k, p.paneOf(m.Time), start)
	}
}

// paneOf is the start of the pane that holds t: the last start of a window up to t, or the
// last end if that is later.
func (p *panes[G, A]) paneOf(t int64) int64 {
	start := t - t%p.every
	if end := start + p.size%p.every; end <= t {
		return end
	}
	return start
}

// advance sends the windows that have closed by now, the earliest end first.
func (p *panes[G, A]) advance(m *plan.Meta) error {
	for now := p.clock.Time - p.late; p.first.Time <= now; {
		if err := p.close(now, m); err != nil {
			return err
		}
	}
	return nil
}

// close sends the windows with the earliest end, if that has passed. They have the times of
// their rows, and the headers of the record that closed them.
func (p *panes[G, A]) close(now int64, m *plan.Meta) error {
	p.first.Time = math.MaxInt64
	earliest := int64(-1)
	for row, err := range p.open.All() {
		if err != nil {
			return err
		}
		k := row.Key.of
		start, end := p.cut.bounds(k)
		if earliest < 0 {
			earliest = end
		}
		if end > now || end > earliest {
			p.first.Time = min(p.first.Time, end)
			break
		}
		if _, _, err := p.open.Remove(row.Key, end); err != nil {
			return err
		}
		acc, has, ms, following, err := p.sum(k, start)
		if err != nil {
			return err
		}
		if has { // else its panes are gone, as in foldPanes
			if _, _, err := p.rows.Save(k, acc, ms); err != nil {
				return err
			}
			if err := p.next(k, graph.Change[A]{New: acc, HasNew: true}, &plan.Meta{Time: ms, Headers: m.Headers}); err != nil {
				return err
			}
		}
		if err := p.await(k, following); err != nil {
			return err
		}
	}
	return nil
}

// sum merges the panes of a key's window. It also gives the start of the next window that
// holds a pane, -1 for none.
func (p *panes[G, A]) sum(k G, start int64) (acc A, has bool, ms, following int64, err error) {
	following = -1
	for row, err := range p.panes.Starts(k, start, math.MaxInt64, false) {
		if err != nil {
			return acc, has, ms, following, err
		}
		at, _ := p.cut.bounds(row.Key)
		if following < 0 && at >= start+p.every {
			following = p.firstWindow(at, start+p.every)
		}
		if at >= start+p.size {
			if following >= 0 {
				break
			}
			continue
		}
		if has {
			acc = p.merge(acc, row.Value)
		} else {
			acc, has = row.Value, true
		}
		ms = max(ms, row.Time.UnixMilli())
	}
	return acc, has, ms, following, nil
}

// expect makes the window that starts at start, the first of a new pane, the next one of a
// key, unless an earlier one is: that is known from the other panes.
func (p *panes[G, A]) expect(k G, pane, start int64) error {
	earliest := p.earliest()
	for row, err := range p.panes.Starts(k, earliest, math.MaxInt64, false) {
		if err != nil {
			return err
		}
		at, _ := p.cut.bounds(row.Key)
		if at == pane {
			continue
		}
		next := p.firstWindow(at, earliest)
		if next <= start {
			return nil
		}
		if _, _, err := p.open.Remove(ending[G]{p.cut.at(k, next, next+p.size)}, next); err != nil {
			return err
		}
		break
	}
	return p.await(k, start)
}

// await notes that a window of a key is the next one to close; a negative start is none.
func (p *panes[G, A]) await(k G, start int64) error {
	if start < 0 {
		return nil
	}
	end := start + p.size
	p.first.Time = min(p.first.Time, end)
	_, _, err := p.open.Save(ending[G]{p.cut.at(k, start, end)}, struct{}{}, end)
	return err
}

// earliest is the start of the first window that has not closed.
func (p *panes[G, A]) earliest() int64 {
	past := p.clock.Time - p.late - p.size // a window that starts here closes now
	if past < 0 {
		return 0
	}
	return past - past%p.every + p.every
}

// firstWindow is the start of the first window, from a given one on, that holds a pane.
func (p *panes[G, A]) firstWindow(pane, from int64) int64 {
	return max(from, (pane-p.size+p.every)/p.every*p.every)
}
