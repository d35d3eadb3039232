package kstream

import (
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// Grouped is a stream whose records are collected by G. Records with a null key are
// dropped and counted; so are null values, except in windows other than Sliding.
type Grouped[G, V any] struct {
	stream  Stream[G, V]
	windows window.Windows // nil: none
	cut     cut[G]         // how keys are windowed
}

// cut makes and reads windowed keys.
type cut[G any] struct {
	at     func(k G, start, end int64) G
	bounds func(k G) (start, end int64)
}

// GroupByKey collects records by their key. A key that was changed needs Repartition first.
func GroupByKey[K, V any](s Stream[K, V]) Grouped[K, V] {
	s.Step.Meet("GroupByKey")
	return Grouped[K, V]{stream: s}
}

// GroupBy is KeyBy and GroupByKey. Records for which f gives a null key are dropped and
// counted before they reach the topic.
func GroupBy[K, V, G any](s Stream[K, V], f func(K, V) G, through topology.Topic[G, V]) Grouped[G, V] {
	return GroupByKey(Stream[G, V]{Step: graph.Through(SelectKey(s, f).Step, through.Spec())})
}

// WindowedBy splits every group by time: a window is part of the key. A record counts in
// each window that holds its time, the earliest first. It is late, and is dropped and
// counted, for windows whose end and grace the step's stream time has passed: the
// greatest time of the records that it was given, over all keys of the task. Sessions take
// records for their gap longer.
func WindowedBy[K, V any](g Grouped[K, V], w window.Windows) Grouped[window.Key[K], V] {
	b := g.stream.Step.Builder()
	out := Grouped[window.Key[K], V]{stream: Stream[window.Key[K], V]{Step: g.stream.Step}, windows: w, cut: cutKeys[K]()}
	if err := window.Check(w); err != nil {
		b.Fail("WindowedBy: %w", err)
		out.windows = window.Unlimited{}
		return out
	}
	if g.windows != nil {
		b.Fail("WindowedBy of a stream that is windowed already: window it once")
	}
	wire := windowed[K, V]
	if kind := window.KindOf(w); kind == window.AtRecords || kind == window.Sessions {
		wire = pointed[K, V]
	}
	out.stream = add(g.stream, "windowed", func(c *graph.Wiring, next graph.Handler[window.Key[K], V]) graph.Handler[K, V] {
		null, each := graph.NullKey[K](), wire(c, w, next)
		return func(k K, v V, m *plan.Meta) error {
			if null(k, m) {
				c.Drop(plan.NullKey)
				return nil
			}
			return each(k, v, m)
		}
	})
	return out
}

// windowed sends a record once for each window that holds its time.
func windowed[K, V any](c *graph.Wiring, w window.Windows, next graph.Handler[window.Key[K], V]) graph.Handler[K, V] {
	clock, cut := clockOf(c, w), cutKeys[K]()
	size, grace := window.Size(w), window.Grace(w)
	return func(k K, v V, m *plan.Meta) error {
		clock.Advance(m.Time)
		first, last, every := window.Starts(w, m.Time)
		if first > last {
			c.Drop(plan.NoTime) // before the first window, or so late that none holds it
		}
		for start := first; start <= last; start += every {
			if start+size <= clock.Time-grace {
				c.Drop(plan.Late)
				continue
			}
			if err := next(cut.at(window.Key[K]{Key: k}, start, start+size), v, m); err != nil {
				return err
			}
		}
		return nil
	}
}

// pointed sends a record under the window that is its time alone: what windows there are
// depends on the records, and the fold finds out.
func pointed[K, V any](_ *graph.Wiring, _ window.Windows, next graph.Handler[window.Key[K], V]) graph.Handler[K, V] {
	cut := cutKeys[K]()
	return func(k K, v V, m *plan.Meta) error {
		return next(cut.at(window.Key[K]{Key: k}, m.Time, m.Time), v, m)
	}
}

func cutKeys[K any]() cut[window.Key[K]] {
	return cut[window.Key[K]]{
		at: func(k window.Key[K], start, end int64) window.Key[K] {
			return window.Key[K]{Key: k.Key, Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(end).UTC()}
		},
		bounds: func(k window.Key[K]) (int64, int64) { return k.Start.UnixMilli(), k.End.UnixMilli() },
	}
}

// Count counts the records of each group.
func Count[G, V any](g Grouped[G, V], in state.Store[G, int64]) ktable.Table[G, int64] {
	return fold(g, "count", aggregate.Sum(func(V) int64 { return 1 }), in)
}

// Reduce folds the records of each group into one of their type: the first value of a
// group is its result, and f adds the others. It merges sessions by f.
func Reduce[G, V any](g Grouped[G, V], f func(a, v V) V, in state.Store[G, V]) ktable.Table[G, V] {
	return fold(g, "reduce", aggregate.Aggregator[V, V]{First: func(v V) V { return v }, Add: f, Merge: f}, in)
}

// Aggregate folds the records of each group. A nil result deletes the row, and the next
// record of the group starts anew. For sessions the Aggregator needs Merge.
func Aggregate[G, V, A any](g Grouped[G, V], a aggregate.Aggregator[V, A], in state.Store[G, A]) ktable.Table[G, A] {
	return fold(g, "aggregate", a, in)
}

// Cogroup folds streams of different types into one table. Init and Merge are those of
// the first input.
func Cogroup[G, A any](in state.Store[G, A], inputs ...Input[G, A]) ktable.Table[G, A] {
	if len(inputs) == 0 {
		panic("kstream: Cogroup without inputs") // there is no builder yet to tell
	}
	var steps []*graph.Step
	var emit emission
	for i, input := range inputs {
		s, e := input.fold(in, i == 0, inputs[0].first)
		steps, emit = append(steps, s), e
	}
	s := steps[0].Builder().Add("cogroup", steps, func(w *graph.Wiring, s *graph.Step) any {
		return graph.Next[G, graph.Change[A]](w, s)
	})
	s.Same(steps...)
	return ktable.Table[G, A]{Step: emitted(s, emit, in)}
}

// Input is one input of a Cogroup.
type Input[G, A any] struct {
	first base[A]
	fold  func(in state.Store[G, A], owner bool, first base[A]) (*graph.Step, emission)
}

// base is what the inputs of a Cogroup take from the first one.
type base[A any] struct {
	init  func() A
	merge func(a, b A) A
}

// Folding makes an input of a grouped stream.
func Folding[G, V, A any](g Grouped[G, V], a aggregate.Aggregator[V, A]) Input[G, A] {
	return Input[G, A]{base[A]{a.Init, a.Merge}, func(in state.Store[G, A], owner bool, first base[A]) (*graph.Step, emission) {
		a.Init, a.Merge = first.init, first.merge
		return foldStep(g, "fold", a, in, owner), emissionOf(g.windows)
	}}
}
