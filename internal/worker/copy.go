package worker

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/changelog"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
)

// taskCopy is the state of one task.
type taskCopy struct {
	id     plan.TaskID
	layout *Layout
	starts map[kafka.Partition]int64 // of changelogs, this copy's among them; nil: not known yet
	stores []*store.Store
	slots  []copySlot
	ready  bool // it was caught up once
}

// copySlot is one store of a copy and how far it has come.
type copySlot struct {
	changelog kafka.Partition
	sub       cluster.Subscription // nil: the store has no changelog
	position  int64
	end       int64 // of the changelog, -1: not known yet
	touched   bool  // rows are restored and not committed

	// A source topic that is its own changelog is applied as far as the task has processed
	// it: what comes after is not yet part of its table.
	convert func(kafka.Record) (kafka.Record, bool)
	limit   int64
	queue   []kafka.Batch
}

// begin has a copy made when it is its turn.
func (s *copies) begin(t *taskCopy) {
	s.all[t.id] = t
	s.tell(t)
	s.waiting = append(s.waiting, t)
}

// openNext makes the next copy that waits. It is false if there is none.
func (s *copies) openNext() bool {
	s.waiting = slices.DeleteFunc(s.waiting, func(t *taskCopy) bool { return s.all[t.id] != t })
	if len(s.waiting) == 0 {
		return false
	}
	t := s.waiting[0]
	if t.starts == nil && !s.learnStarts() {
		return false
	}
	s.waiting = s.waiting[1:]
	s.open(t)
	return true
}

// learnStarts asks where the changelogs of the copies that wait begin, of all at once.
func (s *copies) learnStarts() bool {
	var ps []kafka.Partition
	for _, t := range s.waiting {
		ps = append(ps, t.changelogs()...)
	}
	starts, err := s.c.Client.ListOffsets(s.life, ps, broker.Earliest, false)
	for _, t := range s.waiting {
		if t.starts = starts; err != nil {
			s.cannot(t, err)
		}
	}
	return err == nil
}

func (t *taskCopy) changelogs() (ps []kafka.Partition) {
	for i := range t.layout.Plan.Subtopologies[t.id.Subtopology].Stores {
		if p := t.layout.Changelog(t.id, i); p.Topic != "" {
			ps = append(ps, p)
		}
	}
	return ps
}

// open opens the stores of a copy and subscribes to their changelogs.
func (s *copies) open(t *taskCopy) {
	err := s.subscribe(t)
	if offset := (*changelog.OffsetError)(nil); errors.As(err, &offset) {
		s.failed(offset.Partition, offset.Offset, offset.Err)
		return
	}
	if err != nil {
		s.cannot(t, err)
	}
}

func (s *copies) cannot(t *taskCopy, err error) {
	s.c.Log.Warn("a copy of a task's state cannot be made; it will be tried again at the next rebalance", "task", t.id.String(), "error", err)
	s.end(t)
}

func (s *copies) subscribe(t *taskCopy) error {
	sub := t.layout.Plan.Subtopologies[t.id.Subtopology]
	var err error
	if t.stores, err = openStores(s.c, t.layout, t.id, make([]*store.Store, len(sub.Stores))); err != nil {
		return err
	}
	t.slots = make([]copySlot, len(sub.Stores))
	for i := range sub.Stores {
		t.slots[i] = copySlot{changelog: t.layout.Changelog(t.id, i), end: -1}
	}
	for i, st := range sub.Stores {
		c := &t.slots[i]
		if c.changelog.Topic == "" {
			continue
		}
		if st.Source >= 0 {
			c.convert, c.limit = st.Convert(), -1
		} else if err := unfit(st, c.changelog, t.stores[i].Offset(), t.starts[c.changelog], math.MaxInt64); err != nil {
			return err
		}
		c.position = max(t.stores[i].Offset(), t.starts[c.changelog])
		c.sub = s.fetcher.Subscribe(c.changelog, c.position, func(b kafka.Batch) { s.deliver(copied{t, i, b}) })
	}
	return nil
}

// take restores a batch, or keeps it until it is processed where the task runs.
func (s *copies) take(m copied) {
	c := &m.t.slots[m.slot]
	c.end = max(c.end, m.batch.End)
	c.queue = append(c.queue, m.batch)
	s.apply(m.t, m.slot)
}

// apply restores the batches of a slot that may be restored.
func (s *copies) apply(t *taskCopy, slot int) {
	c := &t.slots[slot]
	for len(c.queue) > 0 && (c.convert == nil || c.queue[0].Next <= c.limit) {
		b := c.queue[0]
		c.queue = c.queue[1:]
		rows := b.Records
		if c.convert != nil {
			rows = rows[:0]
			for _, r := range b.Records {
				if row, ok := c.convert(r); ok {
					rows = append(rows, row)
				}
			}
		}
		if err := t.stores[slot].Restore(rows, b.Next); err != nil {
			s.wrong(t, slot, err)
			return
		}
		c.position, c.touched = b.Next, true
		c.sub.Done(b)
	}
}

// lag is how many records a copy is behind.
func (t *taskCopy) lag() (lag int64) {
	if t.stores == nil {
		return assign.Unknown
	}
	for i := range t.slots {
		c := &t.slots[i]
		end := c.end
		if c.convert != nil {
			end = min(end, c.limit)
		}
		switch {
		case c.changelog.Topic == "":
		case c.end < 0 || c.convert != nil && c.limit < 0:
			return assign.Unknown
		default:
			lag += max(0, end-c.position)
		}
	}
	return lag
}

// failed finds out whose changelog cannot be read.
func (s *copies) failed(p kafka.Partition, at int64, err error) {
	for _, t := range s.all {
		for i := range t.slots {
			if t.slots[i].changelog == p {
				s.wrong(t, i, &changelog.OffsetError{Partition: p, Offset: at, Err: err})
				return
			}
		}
	}
}

// wrong deletes a store that is damaged, or that its changelog does not continue, and makes
// the copy anew.
func (s *copies) wrong(t *taskCopy, slot int, cause error) {
	s.c.Log.Warn("a copy of a store is wrong and is made anew", "task", t.id.String(), "store", t.layout.Plan.Subtopologies[t.id.Subtopology].Stores[slot].Name, "error", cause)
	var corrupt *store.CorruptError
	var offset *changelog.OffsetError
	if errors.As(cause, &corrupt) || errors.As(cause, &offset) {
		if err := t.stores[slot].Destroy(); err != nil {
			s.c.Log.Error("delete a store", "task", t.id.String(), "error", err)
		}
		t.stores[slot] = nil
		s.end(t)
		s.begin(&taskCopy{id: t.id, layout: t.layout})
		return
	}
	s.end(t)
}

// unsubscribe forgets a copy; its stores are somebody else's.
func (s *copies) unsubscribe(t *taskCopy) {
	for i := range t.slots {
		if sub := t.slots[i].sub; sub != nil {
			sub.Close()
		}
	}
	delete(s.all, t.id)
	s.mu.Lock()
	delete(s.lags, t.id)
	s.mu.Unlock()
}

// end forgets a copy and closes its stores. They stay on the disk.
func (s *copies) end(t *taskCopy) {
	s.unsubscribe(t)
	for _, st := range t.stores {
		if st == nil {
			continue
		}
		if err := st.Close(); err != nil {
			s.c.Log.Error("close a copy of a store", "task", t.id.String(), "error", err)
		}
	}
	t.stores = nil
}

// unfit says that a changelog, which has start to end, does not continue a store that has
// come to at. A window store needs nothing of what is deleted from its changelog; of others
// nothing is deleted.
func unfit(st plan.Store, p kafka.Partition, at, start, end int64) error {
	if at > end || at >= 0 && at < start && !st.Kind.Windowed() {
		return &changelog.OffsetError{Partition: p, Offset: at, Err: fmt.Errorf("the changelog has %d to %d", start, end)}
	}
	return nil
}

// openStores opens those stores of a task that are not open.
func openStores(c Config, l *Layout, id plan.TaskID, stores []*store.Store) ([]*store.Store, error) {
	for i, st := range l.Plan.Subtopologies[id.Subtopology].Stores {
		if s := stores[i]; s != nil && s.Err() != nil { // as after a full disk
			_ = s.Close() // the error was told when it failed
			stores[i] = nil
		}
		if stores[i] != nil {
			continue
		}
		p := l.Changelog(id, i)
		s, err := store.Open(filepath.Join(c.StateDir, id.String(), st.Name), st.Spec, st.Origin(p, l.IDs[p.Topic], c.Fingerprint), c.Resources)
		if err != nil {
			return stores, err
		}
		stores[i] = s
	}
	return stores, nil
}
