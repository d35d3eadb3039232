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
	fold := window.KindOf(w) == window.AtRecords || window.KindOf(w) == window.Sessions || window.EmitOnClose(w)
	out.stream = add(g.stream, "windowed", func(c *graph.Wiring, next graph.Handler[window.Key[K], V]) graph.Handler[K, V] {
		null, cut := graph.NullKey[K](), out.cut
		if !fold {
			next = spread(c, w, cut, next)
		}
		return func(k K, v V, m *plan.Meta) error {
			if null(k, m) {
				c.Drop(plan.NullKey)
				return nil
			}
			return next(cut.at(window.Key[K]{Key: k}, m.Time, m.Time), v, m)
		}
	})
	return out
}

// spread sends a record once for each window that holds its time. A record comes under the
// window that is its time alone. It stays so until it is folded where the fold has a clock
// and says when windows close, and where the windows depend on the records.
func spread[G, V any](c *graph.Wiring, w window.Windows, cut cut[G], next graph.Handler[G, V]) graph.Handler[G, V] {
	holding, size := holding(c, w), window.Size(w)
	return func(k G, v V, m *plan.Meta) error {
		first, last, every := holding(m.Time)
		for start := first; start <= last; start += every {
			if err := next(cut.at(k, start, start+size), v, m); err != nil {
				return err
			}
		}
		return nil
	}
}

// holding gives, as window.Starts does, the windows that hold a time and take it. It moves
// the clock to the time and counts the windows for which it is late.
func holding(c *graph.Wiring, w window.Windows) func(t int64) (first, last, every int64) {
	clock, size, grace := clockOf(c, w), window.Size(w), window.Grace(w)
	return func(t int64) (first, last, every int64) {
		clock.Advance(t)
		first, last, every = window.Starts(w, t)
		if first > last {
			c.Drop(plan.NoTime) // before the first window, or so late that none holds it
		}
		for ; first <= last && first+size <= clock.Time-grace; first += every {
			c.Drop(plan.Late)
		}
		return first, last, every
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
// record of the group starts anew. For sessions the Aggregator needs Merge. In a store with
// History a result that is older than that is dropped and counted.
//
// A record costs a fold for each window that holds it. In hopping windows with
// window.OnClose it costs one, however many they are, if a.MergeIsAdd: the store then has
// a window from when it closes.
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
		return foldStep(g, "fold", a, in, owner, false), emissionOf(g.windows)
	}}
}
