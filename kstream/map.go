package kstream

import (
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/topology"
)

// Filter keeps the records for which keep is true.
func Filter[K, V any](s Stream[K, V], keep func(K, V) bool) Stream[K, V] {
	return add(s, "filter", func(_ *graph.Wiring, next graph.Handler[K, V]) graph.Handler[K, V] {
		return func(k K, v V, m *plan.Meta) error {
			if !keep(k, v) {
				return nil
			}
			return next(k, v, m)
		}
	})
}

// Map turns each record into another. It may change the key: what groups or joins the
// result needs Repartition first.
func Map[K, V, K2, V2 any](s Stream[K, V], f func(K, V) (K2, V2)) Stream[K2, V2] {
	out := add(s, "map", func(_ *graph.Wiring, next graph.Handler[K2, V2]) graph.Handler[K, V] {
		as := newKeyed[K2]()
		return func(k K, v V, m *plan.Meta) error {
			k2, v2 := f(k, v)
			return next(k2, v2, as.as(k2, m))
		}
	})
	out.Step.Rekey()
	return out
}

// MapValues changes every value.
func MapValues[K, V, W any](s Stream[K, V], f func(V) W) Stream[K, W] {
	return add(s, "map-values", func(_ *graph.Wiring, next graph.Handler[K, W]) graph.Handler[K, V] {
		return func(k K, v V, m *plan.Meta) error { return next(k, f(v), m) }
	})
}

// MapValuesWithKey is MapValues that also sees the key.
func MapValuesWithKey[K, V, W any](s Stream[K, V], f func(K, V) W) Stream[K, W] {
	return add(s, "map-values", func(_ *graph.Wiring, next graph.Handler[K, W]) graph.Handler[K, V] {
		return func(k K, v V, m *plan.Meta) error { return next(k, f(k, v), m) }
	})
}

// TryMapValues is MapValues that may fail: an error makes the record a bad one.
func TryMapValues[K, V, W any](s Stream[K, V], f func(V) (W, error)) Stream[K, W] {
	return add(s, "map-values", func(_ *graph.Wiring, next graph.Handler[K, W]) graph.Handler[K, V] {
		return func(k K, v V, m *plan.Meta) error {
			w, err := f(v)
			if err != nil {
				return err
			}
			return next(k, w, m)
		}
	})
}

// MapRecords is MapValues for a function that reads or sets a record's time or headers,
// or needs its key, and may fail. The key stays, whatever f returns; a zero Time and nil
// Headers stand for those of the record it was given.
func MapRecords[K, V, W any](s Stream[K, V], f func(topology.Record[K, V]) (topology.Record[K, W], error)) Stream[K, W] {
	return ProcessValues(s, "map-records", func(c *topology.Context[K, W]) (topology.Processor[K, V], error) {
		return func(r topology.Record[K, V]) error {
			out, err := f(r)
			if err != nil {
				return err
			}
			return c.Emit(out)
		}, nil
	})
}

// FlatMap turns each record into any number of records, in the order in which they are
// emitted. It may change the key: what groups or joins the result needs Repartition first.
func FlatMap[K, V, K2, V2 any](s Stream[K, V], f func(k K, v V, emit func(K2, V2))) Stream[K2, V2] {
	out := add(s, "flat-map", func(_ *graph.Wiring, next graph.Handler[K2, V2]) graph.Handler[K, V] {
		as := newKeyed[K2]()
		var m *plan.Meta
		var failed error
		emit := func(k K2, v V2) {
			if failed == nil {
				failed = next(k, v, as.as(k, m))
			}
		}
		return func(k K, v V, meta *plan.Meta) error {
			m, failed = meta, nil
			f(k, v, emit)
			return failed
		}
	})
	out.Step.Rekey()
	return out
}

// FlatMapValues turns each value into any number of values, in their order.
func FlatMapValues[K, V, W any](s Stream[K, V], f func(V) []W) Stream[K, W] {
	return add(s, "flat-map-values", func(_ *graph.Wiring, next graph.Handler[K, W]) graph.Handler[K, V] {
		return func(k K, v V, m *plan.Meta) error {
			for _, w := range f(v) {
				if err := next(k, w, m); err != nil {
					return err
				}
			}
			return nil
		}
	})
}

// SelectKey gives every record a new key. What groups or joins the result needs
// Repartition first; KeyBy does both.
func SelectKey[K, V, K2 any](s Stream[K, V], f func(K, V) K2) Stream[K2, V] {
	out := add(s, "select-key", func(_ *graph.Wiring, next graph.Handler[K2, V]) graph.Handler[K, V] {
		as := newKeyed[K2]()
		return func(k K, v V, m *plan.Meta) error {
			k2 := f(k, v)
			return next(k2, v, as.as(k2, m))
		}
	})
	out.Step.Rekey()
	return out
}

// Peek shows every record to f and passes it on.
func Peek[K, V any](s Stream[K, V], f func(K, V)) Stream[K, V] {
	return add(s, "peek", func(_ *graph.Wiring, next graph.Handler[K, V]) graph.Handler[K, V] {
		return func(k K, v V, m *plan.Meta) error {
			f(k, v)
			return next(k, v, m)
		}
	})
}
