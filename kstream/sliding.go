package kstream

import (
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/window"
)

// foldSliding folds a record into every sliding window that holds it, KIP-450: those that
// are there already, the one that ends at it, and those that begin just after it or after
// the record before it, if they hold other records.
//
// A window's row has the greatest time of its records, which tells whether a window that
// begins after a record would be empty.
func foldSliding[G, V, A any](w *graph.Wiring, d *folder[G, V, A]) graph.Handler[G, V] {
	clock := clockOf(w, d.g.windows)
	size, grace := window.Size(d.g.windows), window.Grace(d.g.windows)
	return func(k G, v V, m *plan.Meta) error {
		if d.nullVal(v) {
			w.Drop(plan.NullValue)
			return nil
		}
		clock.Advance(m.Time)
		if m.Time+size < clock.Time-grace {
			w.Drop(plan.Late)
			return nil
		}
		if d.closer != nil {
			if err := d.closer.advance(m); err != nil {
				return err
			}
		}
		s := slide[G, V, A]{d: d, k: k, v: v, m: m, t: m.Time, size: size, closed: clock.Time - grace, starts: map[int64]bool{}}
		if err := s.update(); err != nil || s.complete {
			return err
		}
		return s.create()
	}
}

// slide is one record on its way into its windows.
type slide[G, V, A any] struct {
	d       *folder[G, V, A]
	k       G
	v       V
	m       *plan.Meta
	t, size int64
	closed  int64 // windows that end before it take nothing

	starts      map[int64]bool // of the windows that were seen
	previous    int64          // the time of the record before this one, if it was found
	hasPrevious bool
	left        *folded[A] // what the windows left of the record hold
	right       *folded[A] // what the windows right of the record hold
	leftThere   bool       // the window that ends at the record is there
	rightThere  bool       // the window that begins after it is there
	complete    bool       // there is nothing to create
	combined    *folded[A] // of an early record: the window that begins at 0
}

// folded is a row of a window.
type folded[A any] struct {
	acc A
	ms  int64
	has bool
}

// early says that a window that ends at the record would begin before 1970. All such
// records share the window that begins there.
func (s *slide[G, V, A]) early() bool { return s.t < s.size }

// update folds the record into the windows that are there, the latest first.
func (s *slide[G, V, A]) update() error {
	from := max(0, s.t-2*s.size)
	for row, err := range s.d.rows.Starts(s.k, from, s.t+1, !s.early()) {
		if err != nil {
			return err
		}
		start, end := s.d.g.cut.bounds(row.Key)
		s.starts[start] = true
		f := &folded[A]{acc: row.Value, ms: row.Time.UnixMilli(), has: true}
		done := false
		if s.early() {
			err = s.seeEarly(start, end, f)
		} else {
			done, err = s.see(start, end, f)
		}
		if err != nil || done {
			return err
		}
	}
	return nil
}

// see looks at one window; done says that no other has to be looked at.
func (s *slide[G, V, A]) see(start, end int64, f *folded[A]) (done bool, err error) {
	switch {
	case start == s.t+1:
		s.rightThere = true
	case end > s.t:
		if s.right == nil {
			if s.right, err = s.again(start, end); err != nil {
				return true, err
			}
		}
		return false, s.fold(start, end, *f)
	case end == s.t:
		s.leftThere = true
		if err := s.fold(start, end, *f); err != nil {
			return true, err
		}
		if f.ms >= s.t { // another record of this time has made all windows
			s.complete = true
			return true, nil
		}
		s.previous, s.hasPrevious = f.ms, true
	default:
		s.left = f
		s.previous, s.hasPrevious = f.ms, true
		return true, nil
	}
	return false, nil
}

// seeEarly looks at one window for an early record.
func (s *slide[G, V, A]) seeEarly(start, end int64, f *folded[A]) error {
	switch {
	case start == 0:
		s.combined = f
		if f.ms < s.t {
			s.previous, s.hasPrevious = f.ms, true
		}
	case start <= s.t:
		var err error
		if s.right, err = s.again(start, end); err != nil {
			return err
		}
		return s.fold(start, end, *f)
	default:
		s.rightThere = true
	}
	return nil
}

// again reads a window once more, since a fold may change what it is given.
func (s *slide[G, V, A]) again(start, end int64) (*folded[A], error) {
	acc, ms, has, err := s.d.rows.Load(s.d.g.cut.at(s.k, start, end))
	return &folded[A]{acc, ms, has}, err
}

// create makes the windows that are missing.
func (s *slide[G, V, A]) create() error {
	if s.early() {
		return s.createEarly()
	}
	if next := s.previous + 1; s.hasPrevious && !s.starts[next] && next+s.size >= s.t {
		if err := s.fold(next, next+s.size, folded[A]{}); err != nil {
			return err
		}
	}
	if !s.leftThere {
		var before folded[A]
		if s.hasPrevious && s.t-s.size <= s.previous && s.left != nil {
			before = folded[A]{acc: s.left.acc, ms: s.t, has: true}
		}
		if err := s.fold(s.t-s.size, s.t, before); err != nil {
			return err
		}
	}
	return s.createRight()
}

func (s *slide[G, V, A]) createEarly() error {
	// What is in the shared window and later than the record is in the window after it.
	if s.right == nil && s.combined != nil && s.combined.ms > s.t {
		s.right = s.combined
	}
	if err := s.createRight(); err != nil {
		return err
	}
	if next := s.previous + 1; s.hasPrevious && !s.starts[next] {
		if err := s.fold(next, next+s.size, folded[A]{}); err != nil {
			return err
		}
	}
	var combined folded[A]
	if s.combined != nil {
		combined = *s.combined
	}
	return s.fold(0, s.size, combined)
}

// createRight makes the window that begins after the record, of what is right of it.
func (s *slide[G, V, A]) createRight() error {
	if s.rightThere || s.right == nil || s.right.ms <= s.t {
		return nil
	}
	k := s.d.g.cut.at(s.k, s.t+1, s.t+1+s.size)
	return s.d.save(k, graph.Change[A]{New: s.right.acc}, false, s.right.ms, s.m)
}

// fold folds the record into one window.
func (s *slide[G, V, A]) fold(start, end int64, f folded[A]) error {
	if end < s.closed {
		s.d.w.Drop(plan.Late)
		return nil
	}
	k := s.d.g.cut.at(s.k, start, end)
	var c graph.Change[A]
	if f.has && s.d.old {
		var err error
		if c.Old, _, c.HasOld, err = s.d.rows.Load(k); err != nil {
			return err
		}
	}
	c.New = s.d.f.Apply(f.acc, f.has, s.v)
	ms := s.t
	if f.has {
		ms = max(ms, f.ms)
	}
	return s.d.save(k, c, f.has, ms, s.m)
}
