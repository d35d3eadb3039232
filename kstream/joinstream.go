package kstream

import (
	"fmt"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/serde"
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

// OuterJoinStream also sends, when its window closes, a record of either that met none, and
// at once one with a null key.
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
	stores := []*graph.Store{b.Store(on.list("-left", plan.TypesOf(on.Key, on.Left))), b.Store(on.list("-right", plan.TypesOf(on.Key, on.Right)))}
	if keepLeft {
		stores = append(stores, b.Store(on.unmatched().Spec()))
	}
	w := on.Window
	flipped := func(x W, hasX bool, v V, hasV bool) R { return f(v, hasV, x, hasX) }
	l := side(left, joining[K, V, W, R]{
		name: on.Name, key: on.Key, mine: on.Left, theirs: on.Right, put: "-left", get: "-right", left: true,
		before: w.Before.Milliseconds(), after: w.After.Milliseconds(), keep: keepLeft, f: f,
		emit: emitUnmatched(on, f, w),
	}, stores)
	r := side(right, joining[K, W, V, R]{
		name: on.Name, key: on.Key, mine: on.Right, theirs: on.Left, put: "-right", get: "-left",
		before: w.After.Milliseconds(), after: w.Before.Milliseconds(), keep: keepRight, f: flipped,
		emit: emitUnmatched(on, f, w),
	}, stores)
	if keepLeft { // a null key of the right one is dropped, but its time counts
		l.KeepNull()
		r.KeepNull()
	}
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
func (on Joined[K, V, W]) list(suffix string, types plan.Types) plan.StoreSpec {
	keep := max((on.Window.Before + on.Window.After + on.Window.Grace).Milliseconds(), 1)
	return plan.StoreSpec{
		Spec:     store.Spec{Name: on.Name + suffix, Kind: store.List, Retention: keep},
		Types:    types,
		Describe: fmt.Sprintf("records of a join, for %d ms", keep),
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
	keep          bool  // records without a partner are sent
	f             pairing[V, W, R]
	emit          func(*graph.Wiring, *graph.Step, graph.Handler[K, R]) *unmatched[K, R]
}

// side adds the step of one side.
func side[K, V, W, R any](in Stream[K, V], j joining[K, V, W, R], stores []*graph.Store) *graph.Step {
	var s *graph.Step
	s = graph.Map(in.Step, "join-side", func(w *graph.Wiring, next graph.Handler[K, R]) graph.Handler[K, V] {
		p := &joiner[K, V, W, R]{
			joining: j, w: w, next: next,
			own:   typed.NewList(j.name+j.put, j.key, j.mine, w.StoreOf(s, j.name+j.put)),
			other: typed.NewList(j.name+j.get, j.key, j.theirs, w.StoreOf(s, j.name+j.get)),
			clock: clockOfJoin(w, j.name), number: w.Clock(j.name + j.put),
			alone: j.emit(w, s, next),
		}
		null, nullValue := graph.NullKey[K](), graph.NullValue[V]()
		return func(k K, v V, m *plan.Meta) error {
			p.clock.Advance(m.Time)
			noKey := null(k, m)
			switch {
			case nullValue(v):
				w.Drop(plan.NullValue)
				return nil
			case noKey && j.keep:
				return p.unpaired(k, v, m)
			case noKey:
				w.Drop(plan.NullKey)
				return nil
			}
			return p.take(k, v, m)
		}
	})
	if !j.left {
		return s.Use(stores...)
	}
	return s.Own(stores[0]).Use(stores[1:]...) // so no other join has them
}

// clockOfJoin is the clock of both sides.
func clockOfJoin(w *graph.Wiring, name string) *plan.Clock { return w.Clock(name + "/join") }

// joiner is one side of a join in a task.
type joiner[K, V, W, R any] struct {
	joining[K, V, W, R]
	w      *graph.Wiring
	next   graph.Handler[K, R]
	own    *typed.List[K, V]
	other  *typed.List[K, W]
	clock  *plan.Clock
	number *plan.Clock      // of the records of this side
	alone  *unmatched[K, R] // nil: the join has none
	out    plan.Meta
}

// take sends what the clock has closed, pairs a record with those that it meets, and keeps
// it for those to come.
func (p *joiner[K, V, W, R]) take(k K, v V, m *plan.Meta) error {
	if p.alone != nil && m.Time == p.clock.Time {
		if err := p.alone.close(m, p.after); err != nil {
			return err
		}
	}
	met, err := p.meet(k, v, m)
	if err != nil {
		return err
	}
	if !met && p.keep {
		if max(m.Time+p.after, 0) < p.clock.Time {
			err = p.unpaired(k, v, m)
		} else {
			err = wait(p.alone, k, v, m.Time, p.joining)
		}
		if err != nil {
			return err
		}
	}
	p.number.Time = max(p.number.Time, 0) + 1 // the first is 1, as in Kafka Streams
	dropped, err := p.own.Add(k, m.Time, uint32(p.number.Time), v)
	if dropped {
		p.w.Drop(plan.Late)
	}
	return err
}

// meet sends the pairs of a record with those of the other side within its time.
func (p *joiner[K, V, W, R]) meet(k K, v V, m *plan.Meta) (met bool, err error) {
	for other, err := range p.other.Between(k, max(m.Time-p.before, 0), max(m.Time+p.after, 0)) {
		if err != nil {
			return met, err
		}
		met = true
		if p.alone != nil {
			if err := p.alone.met(k, other.Time, !p.left); err != nil {
				return met, err
			}
		}
		p.out = *m
		p.out.Time = max(m.Time, other.Time)
		if err := p.next(k, p.f(v, true, other.Value, true), &p.out); err != nil {
			return met, err
		}
	}
	return met, nil
}

// unpaired sends a record with none.
func (p *joiner[K, V, W, R]) unpaired(k K, v V, m *plan.Meta) error {
	var none W
	return p.next(k, p.f(v, true, none, false), m)
}

// wait keeps a record that has met none so far.
func wait[K, V, W, R any](u *unmatched[K, R], k K, v V, ms int64, j joining[K, V, W, R]) error {
	value, err := j.mine.Append(nil, v)
	if err != nil {
		return fmt.Errorf("store %q: encode a value: %w", j.name, err)
	}
	return u.add(k, ms, j.left, value)
}
