// Package changelog brings stores to the state that their changelogs hold.
package changelog

import (
	"fmt"
	"sync"

	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/store"
)

// Restore brings one store from a position of its changelog to another.
type Restore struct {
	Store     *store.Store
	Partition kafka.Partition
	From, To  int64
	Convert   func(kafka.Record) (row kafka.Record, ok bool) // nil: records are rows
}

// Progress says how far the restores of a task are.
type Progress struct {
	Rows, Bytes int64
	Left        int64 // offsets, which markers and compacted records are among
}

// OffsetError says that a changelog no longer has, or does not have yet, the position that
// a store stands for. The store is wrong and has to be built anew.
type OffsetError struct {
	Partition kafka.Partition
	Offset    int64
	Err       error
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("changelog %s: offset %d: %v", e.Partition, e.Offset, e.Err)
}

func (e *OffsetError) Unwrap() error { return e.Err }

type delivery struct {
	slot  int
	batch kafka.Batch
	err   error
}

type run struct {
	progressed    func(Progress)
	restores      []Restore
	subscriptions []cluster.Subscription
	open          int
	progress      Progress
	left          int64

	arrived chan struct{}
	mu      sync.Mutex
	queue   []delivery
}

// push runs on the fetcher's goroutines.
func (r *run) push(d delivery) {
	r.mu.Lock()
	r.queue = append(r.queue, d)
	r.mu.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// take restores what has arrived.
func (r *run) take() error {
	r.mu.Lock()
	queue := r.queue
	r.queue = nil
	r.mu.Unlock()
	for _, d := range queue {
		if d.err != nil {
			return d.err
		}
		if err := r.restore(d.slot, d.batch); err != nil {
			return fmt.Errorf("changelog %s: %w", r.restores[d.slot].Partition, err)
		}
	}
	return nil
}

func (r *run) restore(slot int, b kafka.Batch) error {
	sub := r.subscriptions[slot]
	if sub == nil {
		return nil // a batch that was under way when its store was done
	}
	re := &r.restores[slot]
	rows := b.Records
	if re.Convert != nil {
		rows = rows[:0]
		for _, rec := range b.Records {
			if row, ok := re.Convert(rec); ok && rec.Offset < re.To {
				rows = append(rows, row)
			}
		}
	}
	next := b.Next
	if re.Convert != nil {
		next = min(next, re.To) // a source's records after it are still to be processed
	}
	if err := re.Store.Restore(rows, next); err != nil {
		return err
	}
	r.progress.Rows += int64(len(rows))
	r.progress.Bytes += int64(b.Bytes)
	r.left -= min(next, re.To) - min(re.From, re.To)
	re.From = next
	sub.Done(b)
	if next >= re.To {
		sub.Close()
		r.subscriptions[slot] = nil
		r.open--
		if err := re.Store.FinishRestore(); err != nil {
			return err
		}
	}
	if r.progressed != nil {
		r.progress.Left = r.left
		r.progressed(r.progress)
	}
	return nil
}
