package ktable

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
)

// Buffer bounds what is held back. The zero Buffer is unbounded.
type Buffer struct {
	MaxRecords int   // none by default
	MaxBytes   int64 // of encoded keys and values; none by default
}

// Suppress holds back the updates of a row for d of stream time, counted from the first
// of them, and sends the last, with its time and headers. A full buffer sends its oldest
// row early. What is held lies in a store and survives restarts.
//
// Stream time is the greatest time of the updates that reach the step. Nothing is sent
// while no updates come.
func Suppress[K, V any](t Table[K, V], d time.Duration, b Buffer, in state.Store[K, V]) Table[K, V] {
	if d < 0 {
		t.Step.Builder().Fail("Suppress in store %q: a negative time", in.Name)
	}
	return suppress(t, "suppress", b, in, holding[K]{late: d.Milliseconds()})
}

// SuppressUntilClose sends one final result a window, when stream time passes its end
// and grace: what is updated after that is sent again only if the aggregation still took
// it. Deletes of windows are not sent. A full buffer is an error, since nothing may be sent
// early. Where the table comes straight from an aggregation, window.OnClose does the same
// without a buffer.
func SuppressUntilClose[K, V any](t Table[window.Key[K], V], b Buffer, in state.Store[window.Key[K], V]) Table[window.Key[K], V] {
	h := holding[window.Key[K]]{strict: true, since: func(k window.Key[K]) int64 { return k.End.UnixMilli() }}
	if s, ok := in.Key.(window.Splitter[window.Key[K]]); !ok {
		t.Step.Builder().Fail("SuppressUntilClose in store %q: its Key comes from window.Keys, which tell when a window closes", in.Name)
	} else if err := window.Check(s.Windows()); err == nil {
		h.late = window.Grace(s.Windows())
		if window.KindOf(s.Windows()) == window.Sessions {
			h.late += window.Size(s.Windows())
		}
	}
	return suppress(t, "suppress-until-close", b, in, h)
}

// holding says how long rows are held.
type holding[K any] struct {
	late   int64         // ms of stream time after since
	since  func(K) int64 // nil: the time of the first update
	strict bool          // nothing is sent early, and no deletes
}

// bufferKey is the key under which a row is held. It is a type of its own, so that what is
// held is never a window store, which would forget it.
type bufferKey[K any] struct{ of K }

type bufferKeys[K any] struct{ key serde.Serde[K] }

func (s bufferKeys[K]) Append(dst []byte, k bufferKey[K]) ([]byte, error) {
	return s.key.Append(dst, k.of)
}

func (s bufferKeys[K]) Decode(data []byte) (k bufferKey[K], err error) {
	k.of, err = s.key.Decode(data)
	return k, err
}

func suppress[K, V any](t Table[K, V], kind string, bound Buffer, in state.Store[K, V], h holding[K]) Table[K, V] {
	b := t.Step.Builder()
	if in.Key == nil || in.Value == nil {
		b.Fail("%s in store %q: the store needs a Key and a Value serde", kind, in.Name)
		return t
	}
	if t.Step.Versioned() {
		b.Fail("%s of a table with History: its old versions have no place in a buffer; suppress it before it is kept", kind)
	}
	t.Step.NeedOld()
	rows := state.Store[bufferKey[K], graph.Kept[graph.Change[V]]]{
		Name: in.Name, InMemory: in.InMemory, NoChangelog: in.NoChangelog,
		Key: bufferKeys[K]{in.Key}, Value: graph.KeptValues[graph.Change[V]]{Value: graph.Changes[V]{Value: in.Value}},
	}
	order := state.Store[graph.Waiting[bufferKey[K]], int64]{
		Name: in.Name + "-order", InMemory: in.InMemory, NoChangelog: in.NoChangelog,
		Key: graph.WaitingKeys[bufferKey[K]]{Key: bufferKeys[K]{in.Key}}, Value: serde.Int64,
	}
	var s *graph.Step
	s = graph.Map(t.Step, kind, func(w *graph.Wiring, next graph.Handler[K, graph.Change[V]]) graph.Handler[K, graph.Change[V]] {
		p := &buffer[K, V]{
			rows: graph.Open(w, s.Find(rows.Name), rows), order: graph.Open(w, s.Find(order.Name), order),
			clock: w.Clock(in.Name), records: w.Clock(in.Name + "/records"), bytes: w.Clock(in.Name + "/bytes"),
			sizes: graph.KeptValues[graph.Change[V]]{Value: graph.Changes[V]{Value: in.Value}}, keys: in.Key,
			bound: bound, hold: h, next: next, mended: w.Memo(in.Name),
		}
		if !w.Repeats {
			return p.update
		}
		return func(k K, c graph.Change[V], m *plan.Meta) error {
			if err := p.mend(); err != nil {
				return err
			}
			return p.update(k, c, m)
		}
	})
	s.Use(b.Store(rows.Spec()), b.Store(order.Spec()))
	// Whoever looks a row up sees what was sent last, or the table's own row. When what was
	// sent last was updated is not known: a joined row has the time of the other.
	s.Virtual(func(w *graph.Wiring) any {
		lookup, held := graph.LookupOf[K, V](w, t.Step), graph.Open(w, s.Find(rows.Name), rows)
		return graph.Lookup[K, V](func(k K, at int64) (v V, ms int64, ok bool, err error) {
			row, _, waits, err := held.Load(bufferKey[K]{k})
			if err != nil || !waits {
				if err != nil {
					return v, 0, false, err
				}
				return lookup(k, at)
			}
			return row.Value.Old, -1, row.Value.HasOld, nil
		})
	}, t.Step)
	return Table[K, V]{Step: s}
}

// buffer is what is held back in one task: rows by key, and their order.
type buffer[K, V any] struct {
	rows           *typed.Table[bufferKey[K], graph.Kept[graph.Change[V]]]
	order          *typed.Table[graph.Waiting[bufferKey[K]], int64]
	clock          *plan.Clock
	records, bytes *plan.Clock // one less than what is held
	sizes          graph.KeptValues[graph.Change[V]]
	keys           serde.Serde[K]
	bound          Buffer
	hold           holding[K]
	next           graph.Handler[K, graph.Change[V]]
	scratch        []byte
	mended         *plan.Clock // -1: not yet
}

// update holds a change, and sends what is due.
func (p *buffer[K, V]) update(k K, c graph.Change[V], m *plan.Meta) error {
	p.clock.Advance(m.Time)
	key := bufferKey[K]{k}
	before, _, waits, err := p.rows.Load(key)
	if err != nil {
		return err
	}
	since := m.Time
	if p.hold.since != nil {
		since = p.hold.since(k)
	}
	if waits {
		// The old value is the one from before the first update that is held.
		c.Old, c.HasOld = before.Value.Old, before.Value.HasOld
		if err := p.count(k, before, -1); err != nil {
			return err
		}
	} else if _, _, err := p.order.Save(graph.Waiting[bufferKey[K]]{At: since, Key: key}, since, since); err != nil {
		return err
	}
	kept := graph.Kept[graph.Change[V]]{Value: c, Time: m.Time, Headers: m.Headers}
	if _, _, err := p.rows.Save(key, kept, m.Time); err != nil {
		return err
	}
	if err := p.count(k, kept, 1); err != nil {
		return err
	}
	return p.send()
}

// mend makes the order that of the rows again, and counts them. Without transactions a crash
// may have left one of them behind the other, and the counts behind both.
func (p *buffer[K, V]) mend() error {
	if p.mended.Time >= 0 {
		return nil
	}
	ordered := map[string]bool{}
	for row, err := range p.order.All() {
		if err != nil {
			return err
		}
		_, _, waits, err := p.rows.Load(row.Key.Key)
		if err == nil && !waits {
			_, _, err = p.order.Remove(row.Key, row.Key.At)
		}
		if err != nil {
			return err
		}
		if p.scratch, err = p.keys.Append(p.scratch[:0], row.Key.Key.of); err != nil {
			return err
		}
		ordered[string(p.scratch)] = waits
	}
	p.records.Time, p.bytes.Time = -1, -1
	for row, err := range p.rows.All() {
		if err != nil {
			return err
		}
		key := row.Key
		if p.scratch, err = p.keys.Append(p.scratch[:0], key.of); err != nil {
			return err
		}
		if !ordered[string(p.scratch)] {
			since := row.Value.Time
			if p.hold.since != nil {
				since = p.hold.since(key.of)
			}
			if _, _, err := p.order.Save(graph.Waiting[bufferKey[K]]{At: since, Key: key}, since, since); err != nil {
				return err
			}
		}
		if err := p.count(key.of, row.Value, 1); err != nil {
			return err
		}
	}
	p.mended.Time = 0
	return nil
}

// count adds a row to what is held, or takes it away.
func (p *buffer[K, V]) count(k K, c graph.Kept[graph.Change[V]], n int64) (err error) {
	p.records.Time += n
	if p.bound.MaxBytes == 0 {
		return nil
	}
	if p.scratch, err = p.keys.Append(p.scratch[:0], k); err != nil {
		return err
	}
	if p.scratch, err = p.sizes.Append(p.scratch, c); err != nil {
		return err
	}
	p.bytes.Time += n * int64(len(p.scratch))
	return nil
}

func (p *buffer[K, V]) full() bool {
	return p.bound.MaxRecords > 0 && p.records.Time+1 > int64(p.bound.MaxRecords) ||
		p.bound.MaxBytes > 0 && p.bytes.Time+1 > p.bound.MaxBytes
}

// send sends the rows that have been held long enough, and the oldest ones while the
// buffer is full.
func (p *buffer[K, V]) send() error {
	for row, err := range p.order.All() {
		if err != nil {
			return err
		}
		if due := row.Key.At <= p.clock.Time-p.hold.late; !due && !p.full() {
			return nil
		} else if !due && p.hold.strict {
			return fmt.Errorf("the buffer is full with %d rows and %d bytes: give it more room, or windows with less grace", p.records.Time+1, p.bytes.Time+1)
		}
		key := row.Key.Key
		c, _, _, err := p.rows.Load(key)
		if err != nil {
			return err
		}
		if _, _, err := p.order.Remove(row.Key, row.Key.At); err != nil {
			return err
		}
		if _, _, err := p.rows.Remove(key, c.Time); err != nil {
			return err
		}
		if err := p.count(key.of, c, -1); err != nil {
			return err
		}
		if c.Value.HasNew || !p.hold.strict {
			if err := p.next(key.of, c.Value, &plan.Meta{Time: c.Time, Headers: c.Headers}); err != nil {
				return err
			}
		}
	}
	return nil
}
