package worker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// fetchOptions are those of the tasks' inputs.
func (w *Worker) fetchOptions() broker.FetchOptions {
	return broker.FetchOptions{ReadCommitted: w.c.ExactlyOnce, MaxBytes: w.c.Memory.Fetch, Topics: w.layout.IDs, OnError: func(p kafka.Partition, _ int, at int64, err error) {
		w.post(func() error { return w.unreadable(p, at, err) })
	}}
}

// unreadable runs when an input cannot be read where its task is. An instance that was cut
// off, and does not know yet that others have its tasks, may ask for what they have processed
// and deleted since: it goes back to what is committed, as after a commit that failed. Who
// finds the same there has lost records.
func (w *Worker) unreadable(p kafka.Partition, at int64, cause error) error {
	if !slices.ContainsFunc(w.order, func(e *entry) bool { return slices.Contains(e.inputs, p) }) {
		return nil // it is not read here any more
	}
	if errors.Is(cause, broker.ErrTopicRecreated) {
		return fmt.Errorf("read %s at offset %d: %w", p, at, ErrTopicsChanged)
	}
	if before, ok := w.missed[p]; broker.OutOfRange(cause) && (!ok || before != at) {
		w.missed[p] = at
		return w.failed(cause)
	}
	return fmt.Errorf("read %s at offset %d: %w; if the topic's retention deleted records before they were processed, or the topic was made anew, set the group's offsets with kafka-consumer-groups --reset-offsets", p, at, cause)
}
