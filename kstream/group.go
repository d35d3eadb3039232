package kstream

import (
	"fmt"
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
// dropped and counted; so are null values, except in windows.
type Grouped[G, V any] struct {
	stream  Stream[G, V]
	windows window.Windows // nil: none
}

// GroupByKey collects records by their key. A key that was changed needs Repartition first.
func GroupByKey[K, V any](s Stream[K, V]) Grouped[K, V] {
	s.Step.Meet("GroupByKey")
	return Grouped[K, V]{stream: s}
}

// GroupBy is KeyBy and GroupByKey. Records for which f gives a null key are dropped and
// counted before they reach the topic.
func GroupBy[K, V, G any](s Stream[K, V], f func(K, V) G, through topology.Topic[G, V]) Grouped[G, V] {
	return GroupByKey(Stream[G, V]{Step: graph.Through(SelectKey(s, f).Step, through.Spec(), false)})
}

// WindowedBy splits every group by time: a window is part of the key. A record counts in
// each window that holds its time, the earliest first. It is late, and is dropped and
// counted, for windows whose end and grace the step's stream time has passed: the
// greatest time of the records that it was given, over all keys of the task.
func WindowedBy[K, V any](g Grouped[K, V], w window.Windows) Grouped[window.Key[K], V] {
	b := g.stream.Step.Builder()
	if err := window.Check(w); err != nil {
		b.Fail("WindowedBy: %w", err)
		return Grouped[window.Key[K], V]{windows: w, stream: Stream[window.Key[K], V]{Step: g.stream.Step}}
	}
	if g.windows != nil {
		b.Fail("WindowedBy of a stream that is windowed already: window it once")
	}
	s := add(g.stream, "windowed", func(c *graph.Wiring, next graph.Handler[window.Key[K], V]) graph.Handler[K, V] {
		null, clock := graph.NullKey[K](), c.Clock(c.StateName())
		size, grace := window.Size(w), window.Grace(w)
		return func(k K, v V, m *plan.Meta) error {
			if null(k, m) {
				c.Drop(plan.NullKey)
				return nil
			}
			clock.Advance(m.Time)
			first, last, every := window.Starts(w, m.Time)
			if first > last {
				c.Drop(plan.NoTime) // no window holds so late a time
			}
			for start := first; start <= last; start += every {
				if start+size <= clock.Time-grace {
					c.Drop(plan.Late)
					continue
				}
				if err := next(windowKey(k, start, size), v, m); err != nil {
					return err
				}
			}
			return nil
		}
	})
	return Grouped[window.Key[K], V]{stream: s, windows: w}
}

func windowKey[K any](k K, start, size int64) window.Key[K] {
	return window.Key[K]{Key: k, Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(start + size).UTC()}
}

// Count counts the records of each group.
func Count[G, V any](g Grouped[G, V], in state.Store[G, int64]) ktable.Table[G, int64] {
	return fold(g, "count", func(n int64, _ bool, _ V) int64 { return n + 1 }, in)
}

// Reduce folds the records of each group into one of their type. The first value of a
// group is its result.
func Reduce[G, V any](g Grouped[G, V], f func(a, v V) V, in state.Store[G, V]) ktable.Table[G, V] {
	return fold(g, "reduce", func(a V, has bool, v V) V {
		if !has {
			return v
		}
		return f(a, v)
	}, in)
}

// Aggregate folds the records of each group. A nil result deletes the row, and the next
// record of the group starts anew.
func Aggregate[G, V, A any](g Grouped[G, V], a aggregate.Aggregator[V, A], in state.Store[G, A]) ktable.Table[G, A] {
	if a.Add == nil {
		g.stream.Step.Builder().Fail("Aggregate in store %q: the Aggregator has no Add", in.Name)
	}
	return fold(g, "aggregate", a.Apply, in)
}

// fold keeps the fold of each group in a store and sends every change of it, with the
// greatest time of the records that made it.
func fold[G, V, A any](g Grouped[G, V], kind string, f func(acc A, has bool, v V) A, in state.Store[G, A]) ktable.Table[G, A] {
	checkWindows(g, in)
	var s *graph.Step
	s = graph.Map(g.stream.Step, kind, func(w *graph.Wiring, next graph.Handler[G, graph.Change[A]]) graph.Handler[G, V] {
		rows := graph.Rows[G, A](w, s)
		nullKey, nullValue, nullFold := graph.NullKey[G](), graph.NullValue[V](), graph.NullValue[A]()
		windowed := g.windows != nil
		var out plan.Meta
		return func(k G, v V, m *plan.Meta) error {
			if nullKey(k, m) {
				w.Drop(plan.NullKey)
				return nil
			}
			if !windowed && nullValue(v) {
				w.Drop(plan.NullValue)
				return nil
			}
			acc, ms, has, err := rows.Load(k)
			if err != nil {
				return err
			}
			acc = f(acc, has, v)
			out = *m
			if has && ms > out.Time {
				out.Time = ms
			}
			if _, _, err = rows.Save(k, acc, out.Time); err != nil {
				return err
			}
			return next(k, graph.Change[A]{New: acc, HasNew: !nullFold(acc)}, &out)
		}
	})
	graph.Keep(s, in)
	if g.windows != nil && window.EmitEvery(g.windows) > 0 {
		s = emitEvery(s, window.EmitEvery(g.windows), in)
	}
	return ktable.Table[G, A]{Step: s}
}

// checkWindows refuses a store whose windows are not those of its stream.
func checkWindows[G, V, A any](g Grouped[G, V], in state.Store[G, A]) {
	want, has := "none", "none"
	if g.windows != nil {
		want = fmt.Sprint(g.windows)
	}
	if s, ok := in.Key.(window.Splitter[G]); ok {
		has = fmt.Sprint(s.Windows())
	}
	if in.Key != nil && want != has {
		g.stream.Step.Builder().Fail("store %q has keys of windows %s, the stream that it keeps has %s: give both the same windows", in.Name, has, want)
	}
}
