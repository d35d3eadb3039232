package graph

import (
	"fmt"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/state"
)

// Wiring is one task while it is being wired: from the last steps to the first, so that
// what a step sends to is there when it is wired.
type Wiring struct {
	*plan.Context
	handlers map[*Step]any
	slots    map[*Store]int
	nodes    map[*Step]int
	sinks    map[*Step]int
	inputs   map[*Step]int
	step     *Step // being wired
	err      error
}

// Next is what receives the records of a step: the steps behind it, in the order in which
// they were added, each one to the end before the next.
func Next[K, V any](w *Wiring, s *Step) Handler[K, V] {
	next := make([]Handler[K, V], len(s.children))
	for i, c := range s.children {
		next[i] = w.handlers[c].(Handler[K, V])
	}
	switch len(next) {
	case 0:
		return func(K, V, *plan.Meta) error { return nil }
	case 1:
		return next[0]
	}
	return func(k K, v V, m *plan.Meta) error {
		for _, f := range next {
			if err := f(k, v, m); err != nil {
				return err
			}
		}
		return nil
	}
}

// NodeOf is the number of a step, to be set as the context's Node while it works.
func (w *Wiring) NodeOf(s *Step) int { return w.nodes[s] }

// StateName names the state of the step at work: by the first store behind it, since the
// names of stores stay when other steps come and go. Of several steps that keep one store
// each has a name of its own, unless they share it.
func (w *Wiring) StateName(shared bool) string {
	for next := []*Step{w.step}; len(next) > 0; next = next[1:] {
		s := next[0]
		if len(s.stores) == 0 {
			next = append(next, s.children...)
			continue
		}
		n := 0
		for _, o := range s.b.steps[:s.id] {
			if len(o.stores) > 0 && o.stores[0] == s.stores[0] {
				n++
			}
		}
		if n == 0 || shared {
			return s.stores[0].Name
		}
		return fmt.Sprintf("%s-%d", s.stores[0].Name, n)
	}
	return w.step.name()
}

// Open opens a store that a step was given, for an operator that says the time of all that
// it writes.
func Open[K, V any](w *Wiring, st *Store, d state.Store[K, V]) *typed.Table[K, V] {
	return OpenAt(w, st, d, nil)
}

// OpenAt opens a store for a processor; now is the time of what it writes.
func OpenAt[K, V any](w *Wiring, st *Store, d state.Store[K, V], now func() int64) *typed.Table[K, V] {
	return typed.New(d, w.store(st), now)
}

// StoreOf is the byte store of a name that a step was given.
func (w *Wiring) StoreOf(s *Step, name string) *store.Store { return w.store(s.Find(name)) }

func (w *Wiring) store(st *Store) *store.Store { return w.Stores[w.slots[st]] }

// Fail makes the task fail to start.
func (w *Wiring) Fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Map adds a step that turns records into others, with a closure over what comes next.
func Map[K, V, K2, V2 any](parent *Step, kind string, wire func(w *Wiring, next Handler[K2, V2]) Handler[K, V]) *Step {
	return parent.b.Add(kind, []*Step{parent}, func(w *Wiring, s *Step) any {
		next, node, c := Next[K2, V2](w, s), w.nodes[s], w.Context
		f := wire(w, next)
		return Handler[K, V](func(k K, v V, m *plan.Meta) error {
			c.Node = node
			return f(k, v, m)
		})
	})
}
