package registry

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// readTimeout bounds reading a registry to its end.
const readTimeout = 30 * time.Second

// Read is all that the registry says now.
func (r *Registry) Read(ctx context.Context) (Contents, error) {
	w, err := r.Watch(ctx)
	if err != nil {
		return Contents{}, err
	}
	defer w.Close()
	return w.Latest(ctx)
}

// Watch is a reader that keeps up with a registry.
type Watch struct {
	r       *Registry
	fetcher *broker.Fetcher
	changed chan struct{} // full after something was read

	mu       sync.Mutex
	contents Contents
	position int64
	err      error         // nothing more is read
	moved    chan struct{} // closed when the position or err changes
}

// Watch begins to read the registry, from its start.
func (r *Registry) Watch(ctx context.Context) (*Watch, error) {
	start, err := r.offset(ctx, broker.Earliest)
	if err != nil {
		return nil, err
	}
	w := &Watch{r: r, position: start, changed: make(chan struct{}, 1), moved: make(chan struct{})}
	w.fetcher = r.client.NewFetcher(broker.FetchOptions{OnError: func(_ kafka.Partition, _ int, at int64, err error) {
		w.take(func() { w.err = fmt.Errorf("registry of %s: read %s at offset %d: %w", r.App, r.at, at, err) })
	}})
	var sub *broker.Subscription
	ready := make(chan struct{})
	sub = w.fetcher.Subscribe(r.at, start, func(b kafka.Batch) {
		<-ready
		w.take(func() { w.apply(b) })
		sub.Done(b)
	})
	close(ready)
	return w, nil
}

func (r *Registry) offset(ctx context.Context, at int64) (int64, error) {
	found, err := r.client.ListOffsets(ctx, []kafka.Partition{r.at}, at, false)
	if err != nil {
		return 0, fmt.Errorf("registry of %s: %w", r.App, err)
	}
	return found[r.at], nil
}

func (w *Watch) apply(b kafka.Batch) {
	if w.err != nil {
		return
	}
	for _, rec := range b.Records {
		if err := w.contents.apply(rec); err != nil {
			w.err = fmt.Errorf("%s, offset %d: %w", w.r.at, rec.Offset, err)
			return
		}
	}
	w.position = b.Next
}

// take changes what is known, and says so.
func (w *Watch) take(change func()) {
	w.mu.Lock()
	change()
	close(w.moved)
	w.moved = make(chan struct{})
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Changed receives when something was read since it did so last.
func (w *Watch) Changed() <-chan struct{} { return w.changed }

// Known is what was read so far, and why nothing more is read, if so.
func (w *Watch) Known() (Contents, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.copied(), w.err
}

func (w *Watch) copied() Contents {
	c := w.contents
	c.Instances = slices.Clone(c.Instances)
	return c
}

// Latest is what the registry says, with everything that was written before the call.
func (w *Watch) Latest(ctx context.Context) (Contents, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	end, err := w.r.offset(ctx, broker.Latest)
	if err != nil {
		return Contents{}, err
	}
	for {
		w.mu.Lock()
		contents, position, err, moved := w.copied(), w.position, w.err, w.moved
		w.mu.Unlock()
		if err != nil || position >= end {
			return contents, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return contents, fmt.Errorf("registry of %s: read to offset %d of %d: %w", w.r.App, position, end, ctx.Err())
		}
	}
}

// Close ends the reading.
func (w *Watch) Close() { w.fetcher.Close() }
