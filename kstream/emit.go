package kstream

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
)

// emitEvery holds back the changes of a table and sends the last one of every row, in the
// order of their keys, at intervals of wall-clock time.
//
// What waits lies in a store of its own, so that it survives a restart and does not
// depend on the table's store, which may forget a window while its last change waits.
func emitEvery[K, A any](table *graph.Step, every time.Duration, in state.Store[K, A]) *graph.Step {
	waits := waiting(in)
	var s *graph.Step
	s = graph.Map(table, "emit-every", func(w *graph.Wiring, next graph.Handler[K, graph.Change[A]]) graph.Handler[K, graph.Change[A]] {
		store := graph.Open(w, s.Find(waits.Name), waits)
		w.Schedule(max(every.Milliseconds(), 1), true, -1, func(int64) error {
			for row, err := range store.All() {
				if err != nil {
					return err
				}
				if err := next(row.Key.of, row.Value, &plan.Meta{Time: row.Time.UnixMilli()}); err != nil {
					return err
				}
				if _, _, err := store.Remove(row.Key, row.Time.UnixMilli()); err != nil {
					return err
				}
			}
			return nil
		})
		return func(k K, c graph.Change[A], m *plan.Meta) error {
			_, _, err := store.Save(held[K]{k}, c, m.Time)
			return err
		}
	})
	if in.Key != nil && in.Value != nil {
		s.Use(s.Builder().Store(waits.Spec()))
	}
	return s.Same(table)
}

// waiting describes the store of the changes that wait. It is no window store: a change
// waits however old its window is.
func waiting[K, A any](in state.Store[K, A]) state.Store[held[K], graph.Change[A]] {
	return state.Store[held[K], graph.Change[A]]{
		Name:        in.Name + "-unsent",
		InMemory:    in.InMemory,
		NoChangelog: in.NoChangelog,
		Key:         heldKeys[K]{in.Key},
		Value:       changes[A]{in.Value},
	}
}

// held is the key of a change that waits.
type held[K any] struct{ of K }

type heldKeys[K any] struct{ key serde.Serde[K] }

func (s heldKeys[K]) Append(dst []byte, k held[K]) ([]byte, error) { return s.key.Append(dst, k.of) }

func (s heldKeys[K]) Decode(data []byte) (k held[K], err error) {
	k.of, err = s.key.Decode(data)
	return k, err
}

// changes encodes a change: one byte that says whether there is a value, and the value.
type changes[A any] struct{ value serde.Serde[A] }

func (s changes[A]) Append(dst []byte, c graph.Change[A]) ([]byte, error) {
	if !c.HasNew {
		return append(dst, 0), nil
	}
	return s.value.Append(append(dst, 1), c.New)
}

func (s changes[A]) Decode(data []byte) (c graph.Change[A], err error) {
	switch {
	case len(data) == 1 && data[0] == 0:
		return c, nil
	case len(data) == 0 || data[0] != 1:
		return c, fmt.Errorf("kstream: %d bytes are no change of a row", len(data))
	}
	c.New, err = s.value.Decode(data[1:])
	c.HasNew = true
	return c, err
}
