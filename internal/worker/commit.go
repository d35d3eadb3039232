package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/task"
)

// commit makes durable what the worker's tasks have done since the last one, all of it or
// none:
//
//  1. under AtLeastOnce, the broker acknowledges the results;
//  2. the rows that changed go to the changelogs;
//  3. the broker acknowledges all of it; under ExactlyOnce together with the input offsets,
//     in the transaction's end;
//  4. only now do the local stores take the rows, with the changelog's offset beside them;
//  5. under AtLeastOnce, the input offsets are committed.
//
// A crash between any two of these leaves the local stores behind the changelogs, never
// ahead, and neither the input offsets nor the changelogs ahead of the results: a row may
// say that a record was seen, and whoever restores it will not send that record's result.
//
// The coordinator refuses offsets of a generation that is over. Then nothing is lost: all of
// it is done again, with what was processed meanwhile, when the next generation is known.
func (w *Worker) commit() error {
	member, ok := w.gate.enter(w.losses)
	if !ok || member.Generation == w.stale && w.now.Sub(w.staleAt) < w.c.Session {
		w.retryAt = w.now.Add(linger)
		return nil
	}
	err := w.commitAs(member)
	if errors.Is(err, broker.ErrStaleGeneration) && member.Generation != w.stale {
		w.log.Info("a commit waits for the group's next generation", "worker", w.index, "generation", member.Generation, "error", err)
		w.stale, w.staleAt, w.retryAt = member.Generation, w.now, w.now.Add(linger)
		w.outdated(member, err)
		return nil
	}
	if err != nil {
		return w.failed(err)
	}
	w.dirtySince, w.unsent, w.failures = time.Time{}, false, 0
	w.passed()
	return nil
}

func (w *Worker) commitAs(member broker.Member) error {
	offsets := map[kafka.Partition]kafka.Offset{}
	maps.Copy(offsets, w.owed)
	if err := w.sendResults(offsets); err != nil {
		return err
	}
	if err := w.sendChangelogs(); err != nil {
		return err
	}
	if w.c.ExactlyOnce {
		if err := w.producer.Commit(member, offsets); err != nil {
			return err
		}
	}
	for _, e := range w.order {
		if !e.task.Changed() {
			continue
		}
		if err := e.task.Committed(func(slot int) int64 { return acked(e.logs[slot]) }); err != nil {
			return fmt.Errorf("task %s: %w", e.id, err)
		}
		e.committed = w.now
	}
	if !w.c.ExactlyOnce {
		w.owed = offsets
		if err := w.c.Client.CommitOffsets(member, offsets); err != nil {
			return err
		}
		w.owed = nil
	}
	w.purge.committed(offsets)
	if w.purge.due() {
		w.forget()
		w.purge.purge()
	}
	return nil
}

// sendResults sends what is left of the tasks' output, and gathers how far they have come.
func (w *Worker) sendResults(offsets map[kafka.Partition]kafka.Offset) error {
	for _, e := range w.order {
		if !e.task.Changed() {
			continue
		}
		if err := e.task.Flush(); err != nil {
			return err
		}
		if err := w.send(e); err != nil {
			return err
		}
		maps.Copy(offsets, e.task.Offsets())
	}
	if w.c.ExactlyOnce {
		return nil
	}
	return w.producer.Wait()
}

// forget tells the purger what the changelogs of window stores need not keep.
func (w *Worker) forget() {
	for _, e := range w.order {
		for i, st := range e.layout.Plan.Subtopologies[e.id.Subtopology].Stores {
			if st.Kind.Windowed() && !st.NoChangelog && st.Source < 0 {
				w.purge.needed(e.layout.Changelog(e.id, i), e.stores[i].Needed())
			}
		}
	}
}

// acked is the changelog's position after what was acknowledged; -1: nothing was sent.
func acked(t cluster.Target) int64 {
	if t == nil {
		return -1
	}
	return t.Acked()
}

// sendChangelogs sends the rows of all tasks. Without transactions a crash may come after any
// of them: so each store waits for those that are written before it.
func (w *Worker) sendChangelogs() error {
	for turn, more := 0, true; more; turn++ {
		more = false
		for _, e := range w.order {
			if slots := e.task.Changelogs(); turn < len(slots) && e.task.Changed() {
				more = true
				if err := w.sendChangelog(e, slots[turn]); err != nil {
					return err
				}
			}
		}
		if more && !w.c.ExactlyOnce {
			if err := w.producer.Wait(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Worker) sendChangelog(e *entry, slot int) error {
	return e.task.Changelog(slot, func(key, value []byte, ms int64) error {
		t := e.logs[slot]
		if t == nil {
			t = w.producer.Target(e.layout.Changelog(e.id, slot))
			e.logs[slot] = t
		}
		return w.producer.Add(t, key, value, nil, ms)
	})
}

// failed recovers from a commit or a send that failed, and from a store that is damaged.
// What the outcome was may be unknown, so nothing is assumed: the producer begins anew,
// which ends an open transaction, and all tasks go back to what the cluster says is
// committed. Their stores stay, without what was not committed, and catch up with their
// changelogs.
func (w *Worker) failed(cause error) error {
	if hopeless(cause) {
		return cause
	}
	if errors.Is(cause, broker.ErrNoLease) {
		return nil // the membership is lost, and all of it is dropped in a moment
	}
	refused, err := w.refused(cause)
	if err != nil {
		return err
	}
	if refused {
		w.failures = 0 // the search ends
	} else if w.failures++; w.failures > maxFailures {
		return fmt.Errorf("worker %d gives up after %d commits that failed one after the other: %w", w.index, w.failures, cause)
	}
	w.log.Warn("commit failed; going back to what is committed", "worker", w.index, "failures", w.failures, "error", cause)
	if err := w.renew(); err != nil {
		return fmt.Errorf("worker %d: begin anew: %w; after: %w", w.index, err, cause)
	}
	w.forgetWork()
	if w.search != nil {
		w.search.at = nil
	}
	clear(w.named) // a topic may be gone
	for _, e := range slices.Clone(w.order) {
		w.detach(e)
		if e.leaving {
			w.release(e)
			continue
		}
		w.wipe(e, cause)
		w.start(e)
	}
	return nil
}

// forgetWork drops what waits to be committed.
func (w *Worker) forgetWork() {
	w.dirtySince, w.unsent, w.owed, w.records = time.Time{}, false, nil, 0
}

// hopeless says that doing it again would fail again.
func hopeless(cause error) bool {
	var bad *task.Error
	return errors.As(cause, &bad) && !task.Recoverable(cause)
}

// renew makes the producer usable again, or replaces it.
func (w *Worker) renew() error {
	if w.c.ExactlyOnce {
		err := w.producer.Abort()
		if err == nil || !broker.Fenced(err) {
			return err
		}
	}
	w.producer.Close()
	p, err := w.newProducer(context.Background())
	if err != nil {
		return err
	}
	w.producer = p
	return nil
}

func (w *Worker) newProducer(ctx context.Context) (cluster.Producer, error) {
	o := broker.ProducerOptions{Compression: w.c.Compression, MaxBufferedBytes: w.c.Memory.Produce}
	if w.c.ExactlyOnce {
		o.TransactionalID, o.TransactionTimeout = TransactionalID(w.c.App, w.c.Process, w.index), transactionTimeout
	} else { // what a transaction's epoch refuses is not to be sent
		losses := w.losses
		o.Lease = func() (time.Time, bool) { return w.gate.lease(losses) }
	}
	return w.c.Client.NewProducer(ctx, o)
}

// TransactionalID is stable, so that a process that starts again ends the transaction that
// it left open.
func TransactionalID(app, process string, worker int) string {
	return fmt.Sprintf("%s-%s-%d", app, process, worker)
}
