package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/task"
)

// revoke lets tasks go after the next commit. Until then they process nothing.
func (w *Worker) revoke(ids []plan.TaskID) {
	for _, id := range ids {
		if e := w.tasks[id]; e != nil {
			e.leaving = true
			if w.dirtySince.IsZero() && e.task != nil && e.task.Changed() {
				w.dirtySince = w.now
			}
		}
	}
}

// letGo closes the tasks that are to leave and have nothing left to commit.
func (w *Worker) letGo() {
	var done []*entry
	if len(w.owed) > 0 {
		return // their offsets are still to be committed
	}
	for _, e := range w.tasks {
		if e.leaving && (e.task == nil || !e.task.Changed()) {
			done = append(done, e)
		} else if e.leaving && w.dirtySince.IsZero() {
			w.dirtySince = w.now // after the last commit it read the end of a transaction, without a record
		}
	}
	for _, e := range inOrder(done) {
		w.release(e)
	}
}

// lost drops all tasks at once: they are somebody else's by now, so nothing of them may be
// committed. Losses is how often that was.
func (w *Worker) lost(losses int) error {
	w.losses, w.stale = losses, -1
	if len(w.tasks) == 0 && w.c.ExactlyOnce {
		return nil // else the producer has the lease of the former membership
	}
	w.forgetWork()
	w.search = nil
	for _, e := range w.entries() {
		w.release(e)
	}
	return w.renew()
}

// detach takes a task out of processing and ends it. What it did not commit is dropped.
func (w *Worker) detach(e *entry) {
	e.cancel()
	for _, s := range e.subs {
		if s != nil {
			s.Close()
		}
	}
	if e.task == nil {
		return
	}
	for _, err := range e.task.Close() {
		w.log.Error("a processor's cleanup failed", "task", e.id.String(), "error", err)
	}
	for why, n := range e.task.Dropped() {
		w.log.Info("records were left out", "task", e.id.String(), "reason", why.String(), "records", n)
	}
	e.task = nil
	w.order = slices.DeleteFunc(w.order, func(o *entry) bool { return o == e })
}

// release ends a task here and closes its stores in the background, since that may write.
func (w *Worker) release(e *entry) {
	w.detach(e)
	delete(w.tasks, e.id)
	w.letsGo(e.id)
	w.closing.Go(w.c.Sched, func() {
		w.c.Sched.Wait(context.Background(), e.prepared, 0)
		for _, s := range e.stores {
			if s == nil {
				continue
			}
			if err := s.Close(); err != nil {
				w.log.Error("close a store", "task", e.id.String(), "error", err)
			}
		}
		w.closed(e.id)
	})
}

// stop commits what is processed, unless cause says that this cannot work, and ends
// everything.
func (w *Worker) stop(cause error) error {
	var bad *task.Error
	var err error
	if cause == nil || errors.As(cause, &bad) && !bad.Broken {
		err = w.lastCommit()
	}
	for _, e := range w.entries() {
		w.release(e)
	}
	w.end()
	w.fetcher.Close()
	w.producer.Close()
	w.purge.close()
	w.done()
	w.closing.Wait(w.c.Sched)
	return err
}

// lastCommit commits while the membership lasts; a rebalance may hold it back for a moment.
func (w *Worker) lastCommit() error {
	for deadline := w.c.Sched.Now().Add(stopTimeout); w.c.Sched.Now().Before(deadline); w.c.Sched.Wait(context.Background(), nil, linger) {
		w.now = w.c.Sched.Now()
		if w.gate.lost(w.losses) {
			return nil // what is not committed is somebody else's
		}
		for _, e := range w.order {
			if w.dirtySince.IsZero() && e.task.Changed() {
				w.dirtySince = w.now
			}
		}
		if w.dirtySince.IsZero() {
			return nil
		}
		if err := w.commit(); err != nil {
			return err
		}
	}
	return fmt.Errorf("worker %d: the last commit was held back for %v by a rebalance; what it held will be processed again", w.index, stopTimeout)
}

// starter bounds how many tasks are restored at once: a start takes a place from it, and
// puts it back.
type starter = chan struct{}

func newStarter(places int) starter {
	s := make(starter, places)
	for range places {
		s <- struct{}{}
	}
	return s
}

// newWorker makes a worker; Run starts it.
func newWorker(ctx context.Context, c Config, l *Layout, index int, g *gate, starting starter) (*Worker, error) {
	w := &Worker{
		c: c, layout: l, index: index, stale: -1, stride: stepLimit, gate: g, log: c.Log, starting: starting,
		tasks: map[plan.TaskID]*entry{}, named: map[string]int32{}, missed: map[kafka.Partition]int64{}, done: func() {}, wake: make(chan struct{}, 1),
	}
	w.life, w.end = context.WithCancel(context.Background())
	p, err := w.newProducer(ctx)
	if err != nil {
		return nil, err
	}
	w.producer = p
	w.fetcher = c.Client.NewFetcher(w.fetchOptions())
	w.purge = newPurger(c, l)
	return w, nil
}
