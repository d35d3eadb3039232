package kstream

import (
	"time"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/state"
)

// Reorder sends records in the order of their times: it keeps each one until stream time
// is wait past it. A record that is later than that, or has a null key or value, passes at
// once. Those of one time come by their keys, those of one key in their order, and all keep
// their times and headers.
//
// Before a Join with a table that has History it gives rows that come late time to come.
func Reorder[K, V any](s Stream[K, V], wait time.Duration, in state.Store[K, V]) Stream[K, V] {
	b := s.Step.Builder()
	if wait < 0 || in.Key == nil || in.Value == nil {
		b.Fail("Reorder in store %q: wait must not be negative, and the store needs a Key and a Value serde", in.Name)
		return s
	}
	d := state.Store[graph.Waiting[K], graph.Kept[V]]{
		Name: in.Name, InMemory: in.InMemory, NoChangelog: in.NoChangelog,
		Key: graph.WaitingKeys[K]{Key: in.Key}, Value: graph.KeptValues[V]{Value: in.Value},
	}
	var step *graph.Step
	step = graph.Map(s.Step, "reorder", func(w *graph.Wiring, next graph.Handler[K, V]) graph.Handler[K, V] {
		rows := graph.Open(w, step.Find(in.Name), d)
		clock, number := w.Clock(in.Name), w.Clock(in.Name+"/number")
		nullKey, nullValue := graph.NullKey[K](), graph.NullValue[V]()
		return func(k K, v V, m *plan.Meta) error {
			if nullKey(k, m) || nullValue(v) {
				return next(k, v, m)
			}
			clock.Advance(m.Time)
			until := clock.Time - wait.Milliseconds()
			if m.Time < until {
				if err := next(k, v, m); err != nil {
					return err
				}
			} else {
				number.Time++
				key := graph.Waiting[K]{At: m.Time, Number: uint32(number.Time), Key: k}
				if _, _, err := rows.Save(key, graph.Kept[V]{Value: v, Time: m.Time, Headers: m.Headers}, m.Time); err != nil {
					return err
				}
			}
			for row, err := range rows.All() {
				if err != nil {
					return err
				}
				if row.Key.At > until {
					break
				}
				if err := next(row.Key.Key, row.Value.Value, &plan.Meta{Time: row.Value.Time, Headers: row.Value.Headers}); err != nil {
					return err
				}
				if _, _, err := rows.Remove(row.Key, row.Key.At); err != nil {
					return err
				}
			}
			return nil
		}
	})
	step.Use(b.Store(d.Spec()))
	return Stream[K, V]{Step: step}
}
