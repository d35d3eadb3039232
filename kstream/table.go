package kstream

import (
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/state"
)

// ToTable keeps the latest value of every key; a null value deletes the row. Records with
// a null key are dropped and counted. An older record replaces a newer one that came
// before it, unless the store has History.
func ToTable[K, V any](s Stream[K, V], in state.Store[K, V]) ktable.Table[K, V] {
	changes := graph.Map(s.Step, "to-table", func(w *graph.Wiring, next graph.Handler[K, graph.Change[V]]) graph.Handler[K, V] {
		nullKey, nullValue := graph.NullKey[K](), graph.NullValue[V]()
		return func(k K, v V, m *plan.Meta) error {
			if nullKey(k, m) {
				w.Drop(plan.NullKey)
				return nil
			}
			return next(k, graph.Change[V]{New: v, HasNew: !nullValue(v)}, m)
		}
	})
	changes.Meet("ToTable")
	return ktable.Table[K, V]{Step: graph.Stored(changes, "table", in)}
}

// Updates is the stream of a table's new values. A delete is nil where V has a nil, and
// left out otherwise.
func Updates[K, V any](t ktable.Table[K, V]) Stream[K, V] {
	return Stream[K, V]{Step: graph.Map(t.Step, "updates", func(_ *graph.Wiring, next graph.Handler[K, V]) graph.Handler[K, graph.Change[V]] {
		deletes := graph.HasNil[V]()
		return func(k K, c graph.Change[V], m *plan.Meta) error {
			if !c.HasNew && !deletes {
				return nil
			}
			return next(k, c.New, m)
		}
	})}
}

// Changes is Updates for a V that has no nil, with deletes: nil is a delete.
func Changes[K, V any](t ktable.Table[K, V]) Stream[K, *V] {
	return Stream[K, *V]{Step: graph.Map(t.Step, "changes", func(_ *graph.Wiring, next graph.Handler[K, *V]) graph.Handler[K, graph.Change[V]] {
		return func(k K, c graph.Change[V], m *plan.Meta) error {
			if !c.HasNew {
				return next(k, nil, m)
			}
			return next(k, &c.New, m)
		}
	})}
}

// Join pairs every record with the row that t holds for its key, as of the record's
// time if t has History; a record without a row is left out. The result has the record's
// time and headers. Updates of the table send nothing by themselves.
//
// Records and rows are taken in the order of their times as far as both are known: a
// record waits for rows of its time that are in Kafka already. Records with a null key
// or a null value are dropped and counted.
func Join[K, V, W, R any](s Stream[K, V], t ktable.Table[K, W], f func(V, W) R) Stream[K, R] {
	return join(s, t, "join", func(v V, w W, ok bool) (r R, _ bool) {
		if !ok {
			return r, false
		}
		return f(v, w), true
	}, false)
}

// LeftJoin is Join that keeps records without a row, and those with a null key, which
// have none.
func LeftJoin[K, V, W, R any](s Stream[K, V], t ktable.Table[K, W], f func(v V, w W, ok bool) R) Stream[K, R] {
	out := join(s, t, "left-join", func(v V, w W, ok bool) (R, bool) { return f(v, w, ok), true }, true)
	out.Step.KeepNull()
	return out
}

func join[K, V, W, R any](s Stream[K, V], t ktable.Table[K, W], kind string, f func(V, W, bool) (R, bool), keepNullKey bool) Stream[K, R] {
	out := add(s, kind, func(w *graph.Wiring, next graph.Handler[K, R]) graph.Handler[K, V] {
		lookup, nullKey, nullValue := graph.LookupOf[K, W](w, t.Step), graph.NullKey[K](), graph.NullValue[V]()
		return func(k K, v V, m *plan.Meta) error {
			var row W
			var ok bool
			switch null := nullKey(k, m); {
			case nullValue(v):
				w.Drop(plan.NullValue)
				return nil
			case null && !keepNullKey:
				w.Drop(plan.NullKey)
				return nil
			case !null:
				var err error
				if row, _, ok, err = lookup(k, m.Time); err != nil {
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
	out.Step.Meet(map[bool]string{false: "Join", true: "LeftJoin"}[keepNullKey]).Look(t.Step)
	return out
}
