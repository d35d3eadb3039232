package kstream

import (
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/window"
)

// foldSessions folds a record into its session. The sessions that are within the gap of
// it become one with it; their rows are deleted, and the deletes are sent before the
// result. A result has the time of its session's end, and no headers.
//
// As in Kafka Streams, what its store has forgotten joins nothing. Here the store has a
// session that is still to be sent a millisecond longer.
func foldSessions[G, V, A any](w *graph.Wiring, d *folder[G, V, A]) graph.Handler[G, V] {
	clock := clockOf(w, d.g.windows)
	gap, grace := window.Size(d.g.windows), window.Grace(d.g.windows)
	return func(k G, v V, m *plan.Meta) error {
		forgotten := int64(-1) // the end of the sessions that are kept to be sent
		if d.closer != nil {
			forgotten = clock.Time - d.keeps
		}
		clock.Advance(m.Time)
		if d.closer != nil {
			if err := d.closer.advance(m); err != nil {
				return err
			}
		}
		acc, has := d.empty()
		start, end := m.Time, m.Time
		var merged []session[G, A]
		for row, err := range d.rows.Sessions(k, m.Time-gap, m.Time+gap) {
			if err != nil {
				return err
			}
			first, last := d.g.cut.bounds(row.Key)
			if last <= forgotten {
				continue
			}
			merged = append(merged, session[G, A]{row.Key, row.Value})
			start, end = min(start, first), max(end, last)
		}
		if end < clock.Time-grace-gap {
			w.Drop(plan.Late)
			return nil
		}
		for _, s := range merged {
			if start != end { // else it is this one that changes
				if err := d.drop(s); err != nil {
					return err
				}
			}
			if has {
				acc = d.f.Merge(acc, s.acc)
			} else {
				acc, has = s.acc, true
			}
		}
		had := len(merged) > 0 && start == end
		return d.save(d.g.cut.at(k, start, end), graph.Change[A]{New: d.f.Apply(acc, has, v)}, had, end, &plan.Meta{Time: end})
	}
}

// session is a session that was there.
type session[G, A any] struct {
	key G
	acc A
}

// empty is what the first session is merged into, if there is anything.
func (d *folder[G, V, A]) empty() (acc A, has bool) {
	if d.f.First != nil {
		return acc, false
	}
	if d.f.Init != nil {
		acc = d.f.Init()
	}
	return acc, true
}

// drop deletes a session that has become part of another.
func (d *folder[G, V, A]) drop(s session[G, A]) error {
	_, end := d.g.cut.bounds(s.key)
	c := graph.Change[A]{}
	if d.old {
		old, _, has, err := d.rows.Load(s.key)
		if err != nil {
			return err
		}
		c.Old, c.HasOld = old, has
	}
	if _, _, err := d.rows.Remove(s.key, end); err != nil {
		return err
	}
	if d.closer != nil {
		return d.closer.changed(s.key, false, end)
	}
	d.meta = plan.Meta{Time: end}
	return d.send(s.key, c, true, &d.meta)
}
