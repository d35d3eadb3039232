package graph

import (
	"fmt"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/serde"
)

// Sender sends changes of a kept table on; had says whether the row was there before.
type Sender[K, V any] func(k K, c Change[V], had bool, m *plan.Meta) error

// SenderOf is how the changes of a table that the step keeps are sent on: at once, or, if
// the task caches and the store does not refuse it, the last one of each row when the task
// flushes, which it does before it commits. A row that was not there and is not there then
// sends nothing.
//
// What is held lies in memory alone: a crash loses it together with what made it.
func SenderOf[K, V any](w *Wiring, s *Step, key serde.Serde[K], next Handler[K, Change[V]]) Sender[K, V] {
	if !s.cached(w) {
		return func(k K, c Change[V], _ bool, m *plan.Meta) error { return next(k, c, m) }
	}
	c := &cache[K, V]{
		total: w.Cache, node: w.nodes[s], context: w.Context, key: key, next: next,
		null: typed.Nil[K](), index: map[string]int{},
	}
	w.Cache.Add(c)
	return c.hold
}

// cached says whether the changes of the table wait in a cache. Those of a table with
// History do not: a change of an old version is one of its own. Nor do those of a table in
// which others look rows up: they would meet rows before their changes, and what they sent
// then would not be taken back.
func (s *Step) cached(w *Wiring) bool {
	t := s.table
	return w.Cache != nil && !t.needed && !t.kept.NoCache && t.kept.Kind != store.Versioned
}

// cache holds the changes of one table in one task.
type cache[K, V any] struct {
	total   *plan.Cache
	context *plan.Context
	node    int
	key     serde.Serde[K]
	next    Handler[K, Change[V]]
	null    func(K) bool

	index   map[string]int // by encoded key
	held    []heldChange[K, V]
	undone  []heldChange[K, V] // what was overwritten since the mark
	marked  int                // how many were held at the mark
	scratch []byte
}

// heldChange is a change that waits.
type heldChange[K, V any] struct {
	at     int // in held
	name   string
	key    K
	change Change[V]
	had    bool // the row was there before the first change that is held
	meta   plan.Meta
}

// rowCost is about what a held change takes besides its key.
const rowCost = 256

func (c *cache[K, V]) hold(k K, change Change[V], had bool, m *plan.Meta) (err error) {
	if c.scratch, err = c.key.Append(c.scratch[:0], k); err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	if i, ok := c.index[string(c.scratch)]; ok {
		h := &c.held[i]
		if i < c.marked {
			c.undone = append(c.undone, *h)
		}
		change.Old, change.HasOld = h.change.Old, h.change.HasOld
		h.change, h.meta = change, *m
		return nil
	}
	h := heldChange[K, V]{at: len(c.held), name: string(c.scratch), key: k, change: change, had: had, meta: *m}
	c.index[h.name] = h.at
	c.held = append(c.held, h)
	c.total.Used += len(h.name) + rowCost
	return nil
}

// Mark begins a record.
func (c *cache[K, V]) Mark() {
	c.undone, c.marked = c.undone[:0], len(c.held)
}

// Undo takes back what was held since the mark.
func (c *cache[K, V]) Undo() {
	for i := len(c.undone) - 1; i >= 0; i-- {
		c.held[c.undone[i].at] = c.undone[i]
	}
	for _, h := range c.held[c.marked:] {
		delete(c.index, h.name)
		c.total.Used -= len(h.name) + rowCost
	}
	clear(c.held[c.marked:])
	c.held, c.undone = c.held[:c.marked], c.undone[:0]
}

// Flush sends what is held, in the order of the rows' first changes.
func (c *cache[K, V]) Flush() error {
	held := c.held
	c.held, c.marked, c.undone = nil, 0, c.undone[:0]
	clear(c.index)
	for i := range held {
		h := &held[i]
		c.total.Used -= len(h.name) + rowCost
		if !h.change.HasNew && !h.had {
			continue
		}
		c.context.Node = c.node
		if err := c.next(h.key, h.change, &h.meta); err != nil {
			return err
		}
	}
	clear(held)
	c.held = held[:0]
	return nil
}
