package kstream

import (
	"encoding/binary"
	"fmt"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
)

// Joined names what a join of two streams keeps, says its serdes, and how close in time
// records meet. Its stores are called Name, "-left" and "-right", and "-unmatched" if it
// also sends records that met none.
type Joined[K, V, W any] struct {
	Name   string
	Key    serde.Serde[K]
	Left   serde.Serde[V]
	Right  serde.Serde[W]
	Window window.Join
}

// JoinStream pairs records of two streams that have one key and are close in time. A pair
// is sent when the second of the two comes, whichever it is, with the greater of their
// times; the partners of a record come in the order of their times. A stream may be joined
// with itself.
//
// Records wait for partners until the greatest time of either side is Before, After and
// Grace past them. Records with a null key or a null value are dropped and counted.
func JoinStream[K, V, W, R any](left Stream[K, V], right Stream[K, W], f func(V, W) R, on Joined[K, V, W]) Stream[K, R] {
	return joinStream(left, right, func(v V, _ bool, w W, _ bool) R { return f(v, w) }, on, "JoinStream", false, false)
}

// LeftJoinStream also sends, when its window closes, a left record that met none: with its
// own time, in the order of time, when a record comes that is not itself late. A left
// record with a null key is sent at once.
func LeftJoinStream[K, V, W, R any](left Stream[K, V], right Stream[K, W], f func(v V, w W, ok bool) R, on Joined[K, V, W]) Stream[K, R] {
	return joinStream(left, right, func(v V, _ bool, w W, ok bool) R { return f(v, w, ok) }, on, "LeftJoinStream", true, false)
}

// OuterJoinStream also sends, when its window closes, a record of either that met none.
func OuterJoinStream[K, V, W, R any](left Stream[K, V], right Stream[K, W], f func(v V, hasV bool, w W, hasW bool) R, on Joined[K, V, W]) Stream[K, R] {
	return joinStream(left, right, f, on, "OuterJoinStream", true, true)
}

// pairing joins two values, of which one may be missing.
type pairing[V, W, R any] func(v V, hasV bool, w W, hasW bool) R

func joinStream[K, V, W, R any](left Stream[K, V], right Stream[K, W], f pairing[V, W, R], on Joined[K, V, W], call string, keepLeft, keepRight bool) Stream[K, R] {
	b := left.Step.Builder()
	if err := on.check(); err != nil {
		b.Fail("%s %q: %w", call, on.Name, err)
		return Stream[K, R](left)
	}
	keeps := b.Store(on.list("-left").spec())
	others := b.Store(on.list("-right").spec())
	stores := []*graph.Store{keeps, others}
	if keepLeft {
		stores = append(stores, b.Store(on.unmatched().Spec()))
	}
	w := on.Window
	flipped := func(x W, hasX bool, v V, hasV bool) R { return f(v, hasV, x, hasX) }
	l := side(left, joining[K, V, W, R]{
		name: on.Name, key: on.Key, mine: on.Left, theirs: on.Right, put: "-left", get: "-right", left: true,
		before: w.Before.Milliseconds(), after: w.After.Milliseconds(), window: w, keep: keepLeft, f: f,
		emit: emitUnmatched(on, f, w),
	}, stores)
	r := side(right, joining[K, W, V, R]{
		name: on.Name, key: on.Key, mine: on.Right, theirs: on.Left, put: "-right", get: "-left",
		before: w.After.Milliseconds(), after: w.Before.Milliseconds(), window: w, keep: keepRight, f: flipped,
		emit: emitUnmatched(on, f, w),
	}, stores)
	s := b.Add("join-stream", []*graph.Step{l, r}, func(w *graph.Wiring, s *graph.Step) any { return graph.Next[K, R](w, s) })
	return Stream[K, R]{Step: s.Meet(call)}
}

func (on Joined[K, V, W]) check() error {
	switch {
	case on.Name == "":
		return fmt.Errorf("it keeps records in stores: set Name")
	case on.Key == nil || on.Left == nil || on.Right == nil:
		return fmt.Errorf("set Key, Left and Right, the serdes of what it keeps")
	}
	return on.Window.Check()
}

// list describes the store of one side.
type list struct {
	name      string
	retention int64
}

func (on Joined[K, V, W]) list(suffix string) list {
	w := on.Window
	return list{on.Name + suffix, max((w.Before + w.After + w.Grace).Milliseconds(), 1)}
}

func (l list) spec() plan.StoreSpec {
	return plan.StoreSpec{
		Spec:     store.Spec{Name: l.name, Kind: store.List, Retention: l.retention},
		Describe: fmt.Sprintf("records of a join, for %d ms", l.retention),
	}
}

// joining is one side of a join.
type joining[K, V, W, R any] struct {
	name          string
	key           serde.Serde[K]
	mine          serde.Serde[V]
	theirs        serde.Serde[W]
	put, get      string // suffixes of the stores
	left          bool
	before, after int64 // how much earlier and later a partner may be, ms
	window        window.Join
	keep          bool // records without a partner are sent
	f             pairing[V, W, R]
	emit          func(*graph.Wiring, *graph.Step, graph.Handler[K, R]) *unmatched[K, R]
}

// side adds the step of one side.
func side[K, V, W, R any](in Stream[K, V], j joining[K, V, W, R], stores []*graph.Store) *graph.Step {
	var s *graph.Step
	s = graph.Map(in.Step, "join-side", func(w *graph.Wiring, next graph.Handler[K, R]) graph.Handler[K, V] {
		mine := typed.NewList(j.name+j.put, j.key, j.mine, w.StoreOf(s, j.name+j.put))
		theirs := typed.NewList(j.name+j.get, j.key, j.theirs, w.StoreOf(s, j.name+j.get))
		clock, number := w.Clock(j.name), w.Clock(j.name+j.put)
		null, nullValue := graph.NullKey[K](), graph.NullValue[V]()
		alone := j.emit(w, s, next)
		var none W
		var out plan.Meta
		return func(k K, v V, m *plan.Meta) error {
			clock.Advance(m.Time)
			noKey := null(k, m)
			switch {
			case nullValue(v):
				w.Drop(plan.NullValue)
				return nil
			case noKey && j.keep:
				return next(k, j.f(v, true, none, false), m)
			case noKey:
				w.Drop(plan.NullKey)
				return nil
			}
			if alone != nil && m.Time == clock.Time {
				if err := alone.close(m, j.after); err != nil {
					return err
				}
			}
			met := false
			for other, err := range theirs.Between(k, max(m.Time-j.before, 0), max(m.Time+j.after, 0)) {
				if err != nil {
					return err
				}
				met = true
				if alone != nil {
					if err := alone.met(k, other.Time, !j.left); err != nil {
						return err
					}
				}
				out = *m
				out.Time = max(m.Time, other.Time)
				if err := next(k, j.f(v, true, other.Value, true), &out); err != nil {
					return err
				}
			}
			if !met && j.keep {
				if m.Time+j.after < clock.Time {
					if err := next(k, j.f(v, true, none, false), m); err != nil {
						return err
					}
				} else if err := wait(alone, k, v, m.Time, j); err != nil {
					return err
				}
			}
			number.Time++
			if dropped, err := mine.Add(k, m.Time, uint32(number.Time), v); dropped || err != nil {
				w.Drop(plan.Late)
				return err
			}
			return nil
		}
	})
	return s.Use(stores...)
}

// wait keeps a record that has met none so far.
func wait[K, V, W, R any](u *unmatched[K, R], k K, v V, ms int64, j joining[K, V, W, R]) error {
	value, err := j.mine.Append(nil, v)
	if err != nil {
		return fmt.Errorf("store %q: encode a value: %w", j.name, err)
	}
	return u.add(k, ms, j.left, value)
}

// unmatched are the records of a join that have met none, in the order in which they may
// have to be sent.
type unmatched[K, R any] struct {
	rows  *typed.Table[lonely[K], [][]byte]
	clock *plan.Clock
	first *plan.Clock // no record that waits is earlier; -1: not known
	// closes says when a record is sent, and send sends it.
	closes func(left bool, ms int64) int64
	grace  int64
	send   func(k K, left bool, value []byte, m *plan.Meta) error
}

// unmatched describes their store.
func (on Joined[K, V, W]) unmatched() state.Store[lonely[K], [][]byte] {
	return state.Store[lonely[K], [][]byte]{Name: on.Name + "-unmatched", Key: lonelyKeys[K]{on.Key}, Value: values{}}
}

// emitUnmatched opens their store, if the join has one.
func emitUnmatched[K, V, W, R any](on Joined[K, V, W], f pairing[V, W, R], window window.Join) func(*graph.Wiring, *graph.Step, graph.Handler[K, R]) *unmatched[K, R] {
	return func(w *graph.Wiring, s *graph.Step, next graph.Handler[K, R]) *unmatched[K, R] {
		d := on.unmatched()
		st := s.Find(d.Name)
		if st == nil {
			return nil
		}
		grace := window.Grace.Milliseconds()
		return &unmatched[K, R]{
			rows: graph.Open(w, st, d), clock: w.Clock(on.Name), first: w.Clock(on.Name + "-first"), grace: grace,
			closes: func(left bool, ms int64) int64 {
				if left {
					return ms + window.After.Milliseconds() + grace
				}
				return ms + window.Before.Milliseconds() + grace
			},
			send: func(k K, left bool, value []byte, m *plan.Meta) error {
				var v V
				var x W
				var err error
				if left {
					v, err = on.Left.Decode(value)
				} else {
					x, err = on.Right.Decode(value)
				}
				if err != nil {
					return fmt.Errorf("store %q: decode a value: %w", d.Name, err)
				}
				return next(k, f(v, left, x, !left), m)
			},
		}
	}
}

// add makes a record wait.
func (u *unmatched[K, R]) add(k K, ms int64, left bool, value []byte) error {
	key := lonely[K]{ms, left, k}
	list, _, _, err := u.rows.Load(key)
	if err != nil {
		return err
	}
	if u.first.Time >= 0 {
		u.first.Time = min(u.first.Time, ms)
	}
	_, _, err = u.rows.Save(key, append(list, value), ms)
	return err
}

// met says that the records of a side with a key and a time wait no more.
func (u *unmatched[K, R]) met(k K, ms int64, left bool) error {
	key := lonely[K]{ms, left, k}
	_, _, waits, err := u.rows.Load(key)
	if err != nil || !waits {
		return err
	}
	_, _, err = u.rows.Remove(key, ms)
	return err
}

// close sends the records whose windows have closed: by time, the right ones of a time
// before the left ones, then by key. They have the headers of the record that closed them.
// After is how much later than the record in hand its partners may be: only when none that
// waits can be so early is nothing looked for.
func (u *unmatched[K, R]) close(m *plan.Meta, after int64) error {
	if u.first.Time >= 0 && u.first.Time+after+u.grace >= u.clock.Time {
		return nil
	}
	u.first.Time = forever
	leftOpen, rightOpen := false, false
	for row, err := range u.rows.All() {
		if err != nil {
			return err
		}
		u.first.Time = row.Key.ms
		if leftOpen && rightOpen {
			break
		}
		if u.closes(row.Key.left, row.Key.ms) >= u.clock.Time {
			leftOpen, rightOpen = leftOpen || row.Key.left, rightOpen || !row.Key.left
			continue
		}
		for _, value := range row.Value {
			if err := u.send(row.Key.key, row.Key.left, value, &plan.Meta{Time: row.Key.ms, Headers: m.Headers}); err != nil {
				return err
			}
		}
		if _, _, err := u.rows.Remove(row.Key, row.Key.ms); err != nil {
			return err
		}
	}
	return nil
}

// forever is later than any time, and can be added to.
const forever = 1 << 60

// lonely is the key of records that have met none.
type lonely[K any] struct {
	ms   int64
	left bool
	key  K
}

// lonelyKeys orders by time, right before left, then key.
type lonelyKeys[K any] struct{ key serde.Serde[K] }

func (s lonelyKeys[K]) Append(dst []byte, k lonely[K]) ([]byte, error) {
	dst = binary.BigEndian.AppendUint64(dst, uint64(k.ms))
	if k.left {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	return s.key.Append(dst, k.key)
}

func (s lonelyKeys[K]) Decode(data []byte) (k lonely[K], err error) {
	if len(data) < 9 {
		return k, fmt.Errorf("kstream: %d bytes are no key of a join", len(data))
	}
	k.ms, k.left = int64(binary.BigEndian.Uint64(data)), data[8] == 1
	k.key, err = s.key.Decode(data[9:])
	return k, err
}

// values encodes a list of encoded values.
type values struct{}

func (values) Append(dst []byte, list [][]byte) ([]byte, error) {
	for _, v := range list {
		dst = append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	}
	return dst, nil
}

func (values) Decode(data []byte) (list [][]byte, err error) {
	for len(data) > 0 {
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return nil, fmt.Errorf("kstream: a list of values is cut short")
		}
		list = append(list, append([]byte{}, data[n:n+int(size)]...))
		data = data[n+int(size):]
	}
	return list, nil
}
