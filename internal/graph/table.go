package graph

import (
	"reflect"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/state"
)

// Lookup reads the row of a table for a key, as of a time where the table has History.
type Lookup[K, V any] func(k K, at int64) (v V, ms int64, ok bool, err error)

// table is what a step that sends Changes knows of its rows.
type table struct {
	kept   *Store            // where the rows are; nil: nowhere, or not yet
	rows   any               // the state.Store[K, V] that describes kept
	needed bool              // somebody looks rows up
	old    bool              // somebody needs old values
	from   []*Step           // the tables that the rows are computed from, unless they are kept
	view   func(*Wiring) any // a Lookup over that of from
	passes []*Step           // the tables whose changes it passes on, with their old values
	known  bool              // old values can be had without keeping anything more
	silent bool              // nothing is sent about a row that is not there and was not, if that is known

	// Of a source: the store that keeps its rows if somebody needs them, what keeps them
	// there when the graph is complete, and a func(state.Store[K, V]) to keep them elsewhere.
	name       string
	late       func()
	keepIn     any
	sourceRows any

	sent bool // the rows are nowhere, and cannot be computed
}

// TableSource adds a source that reads a topic as a table: a null value deletes a row, a
// record with a null key is dropped and counted. Its rows are kept only if somebody needs
// them; then the topic itself is their changelog.
func TableSource[K, V any](b *Builder, t Topic[K, V], rows state.Store[K, V]) *Step {
	t.check(b)
	s := b.source("table", t.Name, typesOf[K, V](), t.StartAt, &plan.Topic{Name: t.Name}, tableInput(t))
	s.data = t.types()
	if s.table == nil {
		keep := func(rows state.Store[K, V]) { keepSource(s, t, rows) }
		s.table = &table{name: rows.Name, sourceRows: rows, keepIn: keep, late: func() { keep(rows) }}
	}
	return s
}

// Materialize keeps the rows of a table that is read from a topic where they are read, and
// says whether it could: other tables need a step of their own.
func Materialize[K, V any](s *Step, in state.Store[K, V]) bool {
	keep, ok := s.table.keepIn.(func(state.Store[K, V]))
	if ok {
		keep(in)
	}
	return ok
}

// Kept is the name of the store that keeps the table's rows, if any does.
func (s *Step) Kept() (name string, ok bool) {
	if s.table == nil || s.table.kept == nil {
		return "", false
	}
	return s.table.kept.Name, true
}

// RowsOf describes the store of a table's rows: where they are kept, or will be since they
// are read from a topic. It is false for a table that is computed and not kept.
func RowsOf[K, V any](s *Step) (rows state.Store[K, V], ok bool) {
	if s.table.kept != nil {
		return s.table.rows.(state.Store[K, V]), true
	}
	if s.table.late != nil {
		return s.table.sourceRows.(state.Store[K, V]), true
	}
	return rows, false
}

// Sent makes the step a table whose changes are sent and whose rows nobody has: to be
// looked up it must be kept.
func (s *Step) Sent() *Step {
	s.table = &table{sent: true}
	return s
}

// Keep makes the step the table that keeps its rows in a store.
func Keep[K, V any](s *Step, rows state.Store[K, V]) *Store {
	st := s.b.Store(rows.Spec())
	s.Own(st)
	if s.table == nil {
		s.table = &table{}
	}
	s.table.kept, s.table.rows = st, rows
	return st
}

// Share makes the step one that also writes the rows of a table which another step keeps.
func Share[K, V any](s *Step, rows state.Store[K, V]) {
	st := s.b.Store(rows.Spec())
	s.Use(st)
	s.table = &table{kept: st, rows: rows}
}

// keepSource keeps the rows of a table's source. The topic is the changelog if its
// records are the rows as they are, with their times. What has History needs every version,
// which a compacted topic may have lost, and has a changelog of its own; and so has a topic
// with a TimeOf, which may say another time when it is asked again.
func keepSource[K, V any](s *Step, t Topic[K, V], rows state.Store[K, V]) {
	st := Keep(s, rows)
	if rows.History == 0 && t.TimeOf == nil && same(t.Key, rows.Key) && same(t.Value, rows.Value) && !rows.NoChangelog {
		st.source = s
		st.Convert = converter(t)
	}
}

// same says whether two serdes are one. Those that cannot be compared are not.
func same(a, b any) bool {
	return a != nil && b != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// converter turns the topic's records into rows: those that processing would have
// dropped make none, a value that decodes to nil is a delete, and a row has its event time.
func converter[K, V any](t Topic[K, V]) func() func(kafka.Record) (kafka.Record, bool) {
	return func() func(kafka.Record) (kafka.Record, bool) {
		d, null, last := newReader(t), NullKey[K](), int64(-1)
		return func(r kafka.Record) (kafka.Record, bool) {
			if r.Key == nil {
				return r, false
			}
			ok, err := true, error(nil)
			if t.TimeOf == nil {
				err = d.read(&r)
			} else { // of a global table
				r.Time, ok, err = d.time(&r, last)
				last = max(last, r.Time)
			}
			if !ok || err != nil || r.Time < 0 || null(d.key, &d.meta) {
				return r, false
			}
			if !d.has {
				r.Value = nil
			}
			return r, true
		}
	}
}

// tableInput reads rows and sends their changes.
func tableInput[K, V any](t Topic[K, V]) func(*Wiring, *Step) any {
	return func(w *Wiring, s *Step) any {
		next, null := Next[K, Change[V]](w, s), NullKey[K]()
		if s.table.kept != nil {
			next = Keeper(w, s, false, next)
		}
		return newReader(t).input(w, s, func(d *reader[K, V]) error {
			if null(d.key, &d.meta) {
				w.Drop(plan.NullKey)
				return nil
			}
			return next(d.key, Change[V]{New: d.value, HasNew: d.has}, &d.meta)
		})
	}
}

// Keeper writes changes into the table's store and sends them on: with the old value, if
// somebody needs it, and with whether an old version was written, in a store with History.
// What is too old to be kept is dropped and counted. Where old values are known, silent is
// to pass over deletes of rows that are not there.
func Keeper[K, V any](w *Wiring, s *Step, silent bool, next Handler[K, Change[V]]) Handler[K, Change[V]] {
	rows, old, cached := Rows[K, V](w, s), s.table.old, s.cached(w)
	send := SenderOf(w, s, s.table.rows.(state.Store[K, V]).Key, next)
	return func(k K, c Change[V], m *plan.Meta) (err error) {
		had := false
		if old {
			c.Old, _, c.HasOld, err = rows.Load(k)
			had = c.HasOld
		} else if cached {
			had, err = rows.Has(k)
		}
		if err != nil || silent && old && !c.HasNew && !c.HasOld {
			return err
		}
		var latest, dropped bool
		if c.HasNew {
			latest, dropped, err = rows.Save(k, c.New, m.Time)
		} else {
			latest, dropped, err = rows.Remove(k, m.Time)
		}
		if dropped || err != nil {
			w.Drop(plan.Late)
			return err
		}
		c.Stale = !latest
		return send(k, c, had, m)
	}
}

// Rows opens the store that keeps the table's rows.
func Rows[K, V any](w *Wiring, s *Step) *typed.Table[K, V] {
	return Open(w, s.table.kept, s.table.rows.(state.Store[K, V]))
}

// Look makes the rows of a table available to another step, which is then in the same
// sub-topology. Call LookupOf when that step is wired.
func (s *Step) Look(t *Step) *Step {
	t.need()
	s.looks = append(s.looks, t)
	return s
}

// need says that somebody looks rows up.
func (s *Step) need() {
	if s.table.sent && s.table.kept == nil {
		s.b.fail(s.at, "the rows of %s are looked up, and are nowhere: keep them with ktable.Materialize", s.kind)
	}
	s.table.needed = true
	if s.table.kept == nil {
		for _, from := range s.table.from {
			from.need()
		}
	}
}

// NeedOld says that somebody needs the old values of the table's rows. So they are kept:
// in the table itself, or in what it is computed from.
func (s *Step) NeedOld() *Step {
	t := s.table
	t.old = true
	for _, of := range t.passes {
		of.NeedOld()
	}
	switch {
	case t.kept != nil:
	case t.sent:
		s.need()
	case len(t.from) > 0:
		for _, from := range t.from {
			from.NeedOld()
		}
	default:
		t.needed = true
	}
	return s
}

// KnowsOld says whether the table's old values can be had without keeping anything more.
func (s *Step) KnowsOld() bool {
	if t := s.table; t.kept != nil || t.known || t.late != nil && t.needed {
		return true
	}
	for _, from := range s.table.from {
		if !from.KnowsOld() {
			return false
		}
	}
	return len(s.table.from) > 0
}

// Old says whether somebody needs the old values of the table's rows.
func (s *Step) Old() bool { return s.table.old }

// Versioned says whether the table's rows have History: it may send changes that are Stale.
func (s *Step) Versioned() bool {
	t := s.table
	if t.kept != nil {
		return t.kept.Kind == store.Versioned
	}
	return len(t.from) == 1 && t.from[0].Versioned()
}

// LookupOf is how the rows of a table are read in a task.
func LookupOf[K, V any](w *Wiring, s *Step) Lookup[K, V] {
	if s.table.kept != nil {
		return Rows[K, V](w, s).LoadAt
	}
	return s.table.view(w).(Lookup[K, V])
}

// MapTable adds a step that computes a table from another, row by row. Its rows are not
// kept: they are computed again when they are looked up. Without ok there is no row. Where
// old values are known, a silent table sends nothing about a row that it neither has nor had.
func MapTable[K, V, W any](parent *Step, kind string, silent bool, f func(K, V) (W, bool)) *Step {
	null := NullValue[W]()
	of := func(k K, v V, has bool) (w W, ok bool) {
		if !has {
			return w, false
		}
		w, ok = f(k, v)
		return w, ok && !null(w)
	}
	var s *Step
	s = Map(parent, kind, func(_ *Wiring, next Handler[K, Change[W]]) Handler[K, Change[V]] {
		old, versioned := s.table.old, parent.Versioned()
		return func(k K, c Change[V], m *plan.Meta) error {
			out := Change[W]{Stale: c.Stale}
			out.New, out.HasNew = of(k, c.New, c.HasNew)
			if old {
				out.Old, out.HasOld = of(k, c.Old, c.HasOld)
				if silent && !versioned && !out.HasNew && !out.HasOld {
					return nil
				}
			}
			return next(k, out, m)
		}
	})
	s.table = &table{from: []*Step{parent}, silent: silent, view: func(w *Wiring) any {
		lookup := LookupOf[K, V](w, parent)
		return Lookup[K, W](func(k K, at int64) (W, int64, bool, error) {
			v, ms, ok, err := lookup(k, at)
			out, ok := of(k, v, ok && err == nil)
			return out, ms, ok, err
		})
	}}
	return s
}

// Stored adds a step that keeps the rows of a table in a store.
func Stored[K, V any](parent *Step, kind string, rows state.Store[K, V]) *Step {
	var s *Step
	s = Map(parent, kind, func(w *Wiring, next Handler[K, Change[V]]) Handler[K, Change[V]] {
		return Keeper(w, s, s.table.silent && !parent.Versioned(), next)
	})
	Keep(s, rows)
	s.table.silent = parent.table != nil && parent.table.silent
	return s
}

// Silent says whether the table sends less to who needs its old values.
func (s *Step) Silent() bool { return s.table.silent }

// Same makes a step's rows those of tables that share a store, whose changes it passes on.
func (s *Step) Same(of ...*Step) *Step {
	s.table = &table{kept: of[0].table.kept, rows: of[0].table.rows, passes: of}
	return s
}

// Virtual makes the step a table whose rows are computed from others by view, a function
// that gives a Lookup. It reads those others, and so knows its old values.
func (s *Step) Virtual(view func(*Wiring) any, from ...*Step) *Step {
	s.table = &table{view: view, from: from, known: true}
	return s
}
