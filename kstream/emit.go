package kstream

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
)

// emission says when results are sent, if not on every update or when a window closes.
type emission struct{ every time.Duration }

func emissionOf(w window.Windows) emission {
	if w == nil {
		return emission{}
	}
	return emission{window.EmitEvery(w)}
}

// emitted adds what holds the changes of a table back, if anything is to.
func emitted[K, A any](table *graph.Step, e emission, in state.Store[K, A]) *graph.Step {
	if e.every == 0 {
		return table
	}
	return emitEvery(table, e.every, in)
}

// emitEvery holds back the changes of a table and sends the last one of every row, in the
// order of their keys, at intervals of wall-clock time.
//
// What waits lies in a store of its own, so that it survives a restart and does not
// depend on the table's store, which may forget a window while its last change waits.
func emitEvery[K, A any](table *graph.Step, every time.Duration, in state.Store[K, A]) *graph.Step {
	waits := waiting(in)
	var s *graph.Step
	s = graph.Map(table, "emit-every", func(w *graph.Wiring, next graph.Handler[K, graph.Change[A]]) graph.Handler[K, graph.Change[A]] {
		store := graph.Open(w, s.Find(waits.Name), waits)
		w.Schedule(max(every.Milliseconds(), 1), true, -1, func(int64) error {
			for row, err := range store.All() {
				if err != nil {
					return err
				}
				if err := next(row.Key.of, row.Value, &plan.Meta{Time: row.Time.UnixMilli()}); err != nil {
					return err
				}
				if _, _, err := store.Remove(row.Key, row.Time.UnixMilli()); err != nil {
					return err
				}
			}
			return nil
		})
		return func(k K, c graph.Change[A], m *plan.Meta) error {
			if s.Old() { // the old value is the one that was sent last
				before, _, waits, err := store.Load(held[K]{k})
				if err != nil {
					return err
				}
				if waits {
					c.Old, c.HasOld = before.Old, before.HasOld
				}
			}
			_, _, err := store.Save(held[K]{k}, c, m.Time)
			return err
		}
	})
	if in.Key != nil && in.Value != nil {
		s.Use(s.Builder().Store(waits.Spec()))
	}
	return s.Same(table)
}

// waiting describes the store of the changes that wait. It is no window store: a change
// waits however old its window is.
func waiting[K, A any](in state.Store[K, A]) state.Store[held[K], graph.Change[A]] {
	return state.Store[held[K], graph.Change[A]]{
		Name:        in.Name + "-unsent",
		InMemory:    in.InMemory,
		NoChangelog: in.NoChangelog,
		Key:         heldKeys[K]{in.Key},
		Value:       graph.Changes[A]{Value: in.Value},
	}
}

// held is the key of a change that waits.
type held[K any] struct{ of K }

type heldKeys[K any] struct{ key serde.Serde[K] }

func (s heldKeys[K]) Append(dst []byte, k held[K]) ([]byte, error) { return s.key.Append(dst, k.of) }

func (s heldKeys[K]) Decode(data []byte) (k held[K], err error) {
	k.of, err = s.key.Decode(data)
	return k, err
}

// closer sends the results of windows when they close. The windows that are open are in
// a store, ordered by their ends, so that each is sent exactly once, whatever happens: also
// when time jumps so far that the table's own store forgets them at once, since it sends
// them before the record that makes time jump is folded.
type closer[G, A any] struct {
	open  *typed.Table[ending[G], struct{}]
	rows  *typed.Table[G, A]
	next  graph.Handler[G, graph.Change[A]]
	clock *plan.Clock
	cut   cut[G]
	late  int64       // how long after its end a window closes
	first *plan.Clock // no open window ends before it: of all closers that share the store
}

func newCloser[G, V, A any](w *graph.Wiring, s *graph.Step, g Grouped[G, V], in state.Store[G, A], next graph.Handler[G, graph.Change[A]]) *closer[G, A] {
	d := closing(g, in)
	c := &closer[G, A]{
		open: graph.Open(w, s.Find(d.Name), d), rows: graph.Rows[G, A](w, s), next: next,
		clock: clockOf(w, g.windows), cut: g.cut, late: window.Grace(g.windows), first: w.Memo(d.Name),
	}
	switch window.KindOf(g.windows) {
	case window.AtRecords:
		c.late++ // the end belongs to the window
	case window.Sessions:
		c.late += window.Size(g.windows) + 1
	}
	return c
}

// advance sends the windows that have closed by now, the earliest end first. They have
// the times of their rows, and the headers of the record that closed them.
func (c *closer[G, A]) advance(m *plan.Meta) error {
	now := c.clock.Time - c.late
	if now < c.first.Time {
		return nil
	}
	c.first.Time = math.MaxInt64
	for row, err := range c.open.All() {
		if err != nil {
			return err
		}
		k := row.Key.of
		if _, end := c.cut.bounds(k); end > now {
			c.first.Time = end
			break
		}
		acc, ms, has, err := c.rows.Load(k)
		if err != nil {
			return err
		}
		if has {
			if err := c.next(k, graph.Change[A]{New: acc, HasNew: true}, &plan.Meta{Time: ms, Headers: m.Headers}); err != nil {
				return err
			}
		}
		if _, _, err := c.open.Remove(row.Key, ms); err != nil {
			return err
		}
	}
	return nil
}

// changed notes that a window has a result, or has none any more.
func (c *closer[G, A]) changed(k G, has bool, ms int64) error {
	key := ending[G]{k}
	_, _, known, err := c.open.Load(key)
	if err != nil || known == has {
		return err
	}
	if has {
		_, end := c.cut.bounds(k)
		c.first.Time = min(c.first.Time, end)
		_, _, err = c.open.Save(key, struct{}{}, ms)
	} else {
		_, _, err = c.open.Remove(key, ms)
	}
	return err
}

// closing describes the store of the windows that are open.
func closing[G, V, A any](g Grouped[G, V], in state.Store[G, A]) state.Store[ending[G], struct{}] {
	split, _ := in.Key.(window.Splitter[G])
	return state.Store[ending[G], struct{}]{
		Name:        in.Name + "-open",
		InMemory:    in.InMemory,
		NoChangelog: in.NoChangelog,
		Key:         endings[G]{split, g.cut},
		Value:       nothing{},
	}
}

// ending is the key of a window that is open.
type ending[G any] struct{ of G }

// endings encodes windows so that they are ordered by end, start and inner key.
type endings[G any] struct {
	split window.Splitter[G]
	cut   cut[G]
}

func (s endings[G]) Append(dst []byte, k ending[G]) ([]byte, error) {
	start, end := s.cut.bounds(k.of)
	dst = binary.BigEndian.AppendUint64(dst, uint64(end))
	dst = binary.BigEndian.AppendUint64(dst, uint64(start))
	dst, _, _, err := s.split.Split(dst, k.of)
	return dst, err
}

func (s endings[G]) Decode(data []byte) (k ending[G], err error) {
	if len(data) < 16 {
		return k, fmt.Errorf("kstream: %d bytes are no window", len(data))
	}
	end, start := int64(binary.BigEndian.Uint64(data)), int64(binary.BigEndian.Uint64(data[8:]))
	k.of, err = s.split.Join(data[16:], start, end)
	return k, err
}

// nothing encodes values that say nothing.
type nothing struct{}

func (nothing) Append(dst []byte, _ struct{}) ([]byte, error) { return append(dst, 1), nil }
func (nothing) Decode([]byte) (struct{}, error)               { return struct{}{}, nil }
