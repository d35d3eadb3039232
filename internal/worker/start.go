package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/changelog"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
)

// assign begins a task on this worker: in the background its stores are opened and
// restored, then it runs.
func (w *Worker) assign(id plan.TaskID) {
	sub := w.layout.Plan.Subtopologies[id.Subtopology]
	w.start(&entry{id: id, stores: make([]*store.Store, len(sub.Stores))})
}

// start prepares an entry in the background. The worker does not touch its stores until
// it is ready.
func (w *Worker) start(old *entry) {
	e := &entry{id: old.id, layout: w.layout, stores: old.stores, inputs: w.layout.Inputs(old.id), leaving: old.leaving, refused: old.refused, prepared: make(chan struct{})}
	e.ctx, e.cancel = context.WithCancel(w.life)
	w.tasks[e.id] = e
	w.c.Sched.Go(func() {
		defer close(e.prepared)
		positions, err := w.prepareUntilDone(e)
		w.post(func() error {
			if w.tasks[e.id] != e || e.leaving || e.ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("task %s: start: %w", e.id, err)
			}
			return w.begin(e, positions)
		})
	})
}

// prepareUntilDone tries to prepare a task, again if Kafka does not answer, within bounds.
func (w *Worker) prepareUntilDone(e *entry) (positions []kafka.Offset, err error) {
	for try := 1; ; try++ {
		positions, err = w.prepare(e)
		if err == nil || e.ctx.Err() != nil || try == maxFailures || errors.Is(err, errNoOffset) {
			return positions, err
		}
		w.log.Warn("a task does not start; trying again", "task", e.id.String(), "try", try, "error", err)
		w.c.Sched.Wait(e.ctx, nil, time.Duration(try)*startRetry)
	}
}

// prepare reads what is committed, and brings the stores to the state of it.
//
// The offsets are read first: reading them waits for a predecessor's transaction to end,
// so that the changelogs are complete when their ends are read next.
func (w *Worker) prepare(e *entry) ([]kafka.Offset, error) {
	if w.c.Check != nil {
		if err := w.c.Check(e.ctx); err != nil {
			return nil, err
		}
	}
	committed, err := w.c.Client.Committed(e.ctx, w.c.App, present(e.inputs))
	if err != nil {
		return nil, err
	}
	w.dropForeign(e, committed)
	if stores := w.claim(e.ctx, e.id); stores != nil {
		e.stores = stores
	}
	for {
		if e.ctx.Err() != nil {
			return nil, e.ctx.Err()
		}
		err := w.restore(e, committed)
		if err == nil {
			return w.positions(e, committed)
		}
		if !w.wipe(e, err) {
			return nil, err
		}
	}
}

// dropForeign leaves out offsets that were committed for topics which are gone: others have
// their names now.
func (w *Worker) dropForeign(e *entry, committed map[kafka.Partition]kafka.Offset) {
	for p, o := range committed {
		is, was := task.TopicOf(e.layout.IDs[p.Topic]), task.CommittedOf(o)
		if is != 0 && was != 0 && is != was {
			w.log.Warn("a topic was deleted and made anew: its committed offset is not used, StartAt is", "topic", p.Topic, "partition", p.Index, "offset", o.At)
			delete(committed, p)
		}
	}
}

// present leaves out the inputs that a task does not have.
func present(inputs []kafka.Partition) (ps []kafka.Partition) {
	for _, p := range inputs {
		if p.Topic != "" {
			ps = append(ps, p)
		}
	}
	return ps
}

// wipe deletes the store that an error says is wrong, so that it is restored from the
// start. It is false for other errors.
func (w *Worker) wipe(e *entry, cause error) bool {
	var corrupt *store.CorruptError
	var offset *changelog.OffsetError
	sub := e.layout.Plan.Subtopologies[e.id.Subtopology]
	wiped := false
	for i, s := range e.stores {
		if s == nil {
			continue
		}
		bad := errors.As(cause, &corrupt) && corrupt.Store == sub.Stores[i].Name ||
			errors.As(cause, &offset) && offset.Partition == e.layout.Changelog(e.id, i)
		if !bad {
			continue
		}
		w.log.Warn("a store is wrong and is restored from the start", "task", e.id.String(), "store", sub.Stores[i].Name, "error", cause)
		if err := s.Destroy(); err != nil {
			w.log.Error("delete a store", "task", e.id.String(), "store", sub.Stores[i].Name, "error", err)
		}
		e.stores[i], wiped = nil, true
	}
	return wiped
}

// restore opens the stores that are not open and replays their changelogs. Few tasks open, or
// replay much, at once; questions to Kafka are asked for all of them together.
func (w *Worker) restore(e *entry, committed map[kafka.Partition]kafka.Offset) error {
	if len(e.stores) == 0 {
		return nil
	}
	starts, ends, err := w.bounds(e)
	if err != nil {
		return err
	}
	if !w.c.Sched.Wait(e.ctx, w.starting, 0) {
		return e.ctx.Err()
	}
	leave := sync.OnceFunc(func() { w.starting <- struct{}{} })
	defer leave()
	if _, err := openStores(w.c, e.layout, e.id, e.stores); err != nil {
		return err
	}
	var all []changelog.Restore
	for i, st := range e.layout.Plan.Subtopologies[e.id.Subtopology].Stores {
		p := e.layout.Changelog(e.id, i)
		if p.Topic == "" {
			continue
		}
		r := changelog.Restore{Store: e.stores[i], Partition: p, From: max(e.stores[i].Offset(), starts[p]), To: ends[p]}
		if st.Source >= 0 {
			// What is not processed yet is no part of the table.
			r.To, r.Convert = committed[p].At, st.Convert()
		} else if err := unfit(st, p, e.stores[i].Offset(), starts[p], r.To); err != nil {
			return err
		}
		all = append(all, r)
	}
	if !long(all) {
		leave() // most of it is waiting, which many may do at once
	}
	return w.replay(e, all)
}

// bounds are the starts of a task's changelogs and, but for topics of others, their ends.
//
// The end is that of the log, whatever is committed: a transaction's markers may still be
// on their way when its commit was acknowledged.
func (w *Worker) bounds(e *entry) (starts, ends map[kafka.Partition]int64, err error) {
	var all, own []kafka.Partition
	for i, st := range e.layout.Plan.Subtopologies[e.id.Subtopology].Stores {
		if p := e.layout.Changelog(e.id, i); p.Topic != "" {
			if all = append(all, p); st.Source < 0 {
				own = append(own, p)
			}
		}
	}
	if ends, err = w.c.Client.ListOffsets(e.ctx, own, broker.Latest, false); err != nil {
		return nil, nil, err
	}
	starts, err = w.c.Client.ListOffsets(e.ctx, all, broker.Earliest, false)
	return starts, ends, err
}

// replay restores, and says in the log how far it is.
func (w *Worker) replay(e *entry, all []changelog.Restore) error {
	if long(all) && w.busy() {
		if !w.c.Sched.Wait(e.ctx, w.beside, 0) {
			return e.ctx.Err()
		}
		defer func() { w.beside <- struct{}{} }()
	}
	now := w.c.Sched.Now
	begun, said := now(), now()
	var last changelog.Progress
	err := w.readers.Run(e.ctx, all, func(p changelog.Progress) {
		last = p
		e.restoration.Store(&Restoration{p, begun})
		if now().Sub(said) < 3*time.Second {
			return
		}
		said = now()
		done := float64(p.Rows) / now().Sub(begun).Seconds()
		w.log.Info("restoring", "task", e.id.String(), "rows", p.Rows, "bytes", p.Bytes, "rows_per_second", int64(done), "offsets_left", p.Left)
	})
	if err == nil && last.Rows > 0 {
		w.log.Info("restored", "task", e.id.String(), "rows", last.Rows, "bytes", last.Bytes, "took", now().Sub(begun).Round(time.Millisecond))
	}
	return err
}

// long says whether a restore takes so long that tasks which run would feel it.
func long(all []changelog.Restore) bool {
	left := int64(0)
	for _, r := range all {
		left += max(0, r.To-r.From)
	}
	return left > assign.CaughtUp
}

var errNoOffset = errors.New("no offset is committed and the topic's StartAt is None: commit one with kafka-consumer-groups --reset-offsets, or set StartAt")

// positions are where the inputs begin: at the committed offset, or at StartAt.
func (w *Worker) positions(e *entry, committed map[kafka.Partition]kafka.Offset) ([]kafka.Offset, error) {
	sources := e.layout.Plan.Subtopologies[e.id.Subtopology].Sources
	all := make([]kafka.Offset, len(sources))
	for i, p := range e.inputs {
		if p.Topic == "" {
			continue
		}
		if o, ok := committed[p]; ok {
			all[i] = o
			continue
		}
		at := broker.Earliest
		switch s := sources[i].StartAt; {
		case s == plan.StartLatest:
			at = broker.Latest
		case s == plan.StartNone:
			return nil, fmt.Errorf("%s: %w", p, errNoOffset)
		case s < 0:
			at = max(w.c.Sched.Now().UnixMilli()+s, 0)
		}
		found, err := w.c.Client.ListOffsets(e.ctx, []kafka.Partition{p}, at, w.c.ExactlyOnce)
		if err != nil {
			return nil, err
		}
		all[i].At = found[p]
	}
	return all, nil
}

// begin wires a prepared task and lets it run.
func (w *Worker) begin(e *entry, positions []kafka.Offset) (err error) {
	sub := e.layout.Plan.Subtopologies[e.id.Subtopology]
	partitions := func(sink int) int32 {
		if sub.Sinks[sink].Each {
			return 0
		}
		return e.layout.Partitions[sub.Sinks[sink].In(w.c.App)]
	}
	e.task, err = task.New(task.Config{
		ID: e.id, Plan: sub, Inputs: e.inputs, TopicIDs: e.layout.idsOf(e.inputs), Stores: e.stores, Globals: w.globals, Partitions: partitions, PartitionsOf: w.partitionsOf, Positions: positions,
		Context: e.ctx, Wall: w.now.UnixMilli(), MaxIdle: w.c.MaxTaskIdle.Milliseconds(), CacheBytes: w.c.CacheBytes, Repeats: !w.c.ExactlyOnce, Uncommitted: w.c.MaxUncommitted,
		Release: func(slot int, b kafka.Batch) { e.subs[slot].Done(b) },
		OnBad:   w.c.OnBad, DeadLetters: w.c.DeadLetters, Refused: e.refused,
		Fits: func(o plan.Out) error { return w.fits(e, o) },
	})
	if err != nil {
		return err
	}
	e.first, e.logs = make([]int, len(sub.Sinks)), make([]cluster.Target, len(sub.Stores))
	n := 0
	for i := range sub.Sinks {
		e.first[i] = n
		n += int(partitions(i))
	}
	e.targets = make([]cluster.Target, n)
	e.subs = make([]cluster.Subscription, len(e.inputs))
	for slot, p := range e.inputs {
		if p.Topic != "" {
			e.subs[slot] = w.fetcher.Subscribe(p, positions[slot].At, func(b kafka.Batch) { w.deliver(mail{e, slot, b}) })
		}
	}
	w.order = append(w.order, e)
	w.shareCaches()
	w.running(e.id)
	return nil
}

// shareCaches gives the record caches of the worker's tasks their sizes.
func (w *Worker) shareCaches() {
	if w.c.Memory.Caches == 0 {
		return
	}
	for _, e := range w.order {
		e.task.LimitCache(min(w.c.CacheBytes, w.c.Memory.Caches/len(w.order)))
	}
}
