package kstream

import (
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/ktable"
)

// JoinGlobal pairs every record with the row of a global table whose key of gives; ok is
// false for none, and a record without a row is left out. The result has the record's time
// and headers. Records with a null value are dropped and counted.
func JoinGlobal[K, V, G, W, R any](s Stream[K, V], t ktable.Global[G, W], of func(K, V) (g G, ok bool), f func(V, W) R) Stream[K, R] {
	return joinGlobal(s, t, "join-global", of, func(v V, w W, ok bool) (r R, _ bool) {
		if !ok {
			return r, false
		}
		return f(v, w), true
	})
}

// LeftJoinGlobal is JoinGlobal that keeps records without a row.
func LeftJoinGlobal[K, V, G, W, R any](s Stream[K, V], t ktable.Global[G, W], of func(K, V) (g G, ok bool), f func(v V, w W, ok bool) R) Stream[K, R] {
	out := joinGlobal(s, t, "left-join-global", of, func(v V, w W, ok bool) (R, bool) { return f(v, w, ok), true })
	out.Step.KeepNull()
	return out
}

func joinGlobal[K, V, G, W, R any](s Stream[K, V], t ktable.Global[G, W], kind string, of func(K, V) (G, bool), f func(V, W, bool) (R, bool)) Stream[K, R] {
	global := graph.Global[G, W](t)
	out := add(s, kind, func(w *graph.Wiring, next graph.Handler[K, R]) graph.Handler[K, V] {
		lookup, nullValue, nullKey := graph.GlobalLookup(w, global), graph.NullValue[V](), graph.NullKey[G]()
		var none plan.Meta
		return func(k K, v V, m *plan.Meta) error {
			if nullValue(v) {
				w.Drop(plan.NullValue)
				return nil
			}
			var row W
			g, ok := of(k, v)
			if ok = ok && !nullKey(g, &none); ok {
				var err error
				if row, ok, err = lookup(g); err != nil {
					return err
				}
			}
			r, ok := f(v, row, ok)
			if !ok {
				return nil
			}
			return next(k, r, m)
		}
	})
	graph.JoinsGlobal(out.Step, global)
	return out
}
