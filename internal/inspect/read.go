package inspect

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// Reading says what Read reads.
type Reading struct {
	From        map[kafka.Partition]int64 // where each partition begins
	To          map[kafka.Partition]int64 // where it ends; nil: never
	Uncommitted bool                      // also records of transactions that were aborted or are open
	Bytes       int32                     // to ask of a partition at a time; 1 MiB by default
	Progress    func(done, total int64)   // is told offsets, where there is an end; nil: nobody
}

// What a function returns to end a Read before its end.
var (
	ErrStop   = errors.New("stop")   // reading anything
	ErrEnough = errors.New("enough") // reading this partition
)

// Read gives f the records of partitions, those of each in order, until every partition is
// at its end, f fails, or ctx ends. A record's bytes are f's only until it returns.
func Read(ctx context.Context, c *broker.Client, r Reading, f func(kafka.Partition, kafka.Record) error) error {
	run := &reading{r: r, f: f, arrived: make(chan struct{}, 1), open: map[kafka.Partition]*broker.Subscription{}, at: map[kafka.Partition]int64{}}
	fetcher := c.NewFetcher(broker.FetchOptions{ReadCommitted: !r.Uncommitted, MaxPartitionBytes: r.Bytes, OnError: func(p kafka.Partition, _ int, at int64, err error) {
		run.push(arrival{err: fmt.Errorf("read %s at offset %d: %w", p, at, err)})
	}})
	defer fetcher.Close()
	for p, from := range r.From {
		if to, bounded := r.To[p]; r.To != nil && (!bounded || from >= to) {
			continue
		}
		run.at[p] = from
		run.total += max(r.To[p]-from, 0)
		run.open[p] = fetcher.Subscribe(p, from, func(b kafka.Batch) { run.push(arrival{p: p, b: b}) })
	}
	for len(run.open) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-run.arrived:
		}
		if err := run.take(); err != nil {
			if errors.Is(err, ErrStop) {
				return nil
			}
			return err
		}
	}
	return nil
}

type arrival struct {
	p   kafka.Partition
	b   kafka.Batch
	err error
}

type reading struct {
	r           Reading
	f           func(kafka.Partition, kafka.Record) error
	open        map[kafka.Partition]*broker.Subscription
	at          map[kafka.Partition]int64
	done, total int64

	arrived chan struct{}
	mu      sync.Mutex
	queue   []arrival
}

// push runs on the fetcher's goroutines.
func (r *reading) push(a arrival) {
	r.mu.Lock()
	r.queue = append(r.queue, a)
	r.mu.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

func (r *reading) take() error {
	r.mu.Lock()
	queue := r.queue
	r.queue = nil
	r.mu.Unlock()
	for _, a := range queue {
		if a.err != nil {
			return a.err
		}
		sub := r.open[a.p]
		if sub == nil {
			continue // a batch that was under way when its partition was done
		}
		if err := r.give(a); err != nil {
			return err
		}
		r.moved(a)
		sub.Done(a.b)
	}
	return nil
}

// give gives the records of a batch to the function.
func (r *reading) give(a arrival) error {
	to, bounded := r.r.To[a.p]
	for _, rec := range a.b.Records {
		if bounded && rec.Offset >= to {
			return nil
		}
		err := r.f(a.p, rec)
		if errors.Is(err, ErrEnough) {
			r.close(a.p)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) close(p kafka.Partition) {
	r.open[p].Close()
	delete(r.open, p)
}

// moved counts a batch, and ends a partition that is at its end.
func (r *reading) moved(a arrival) {
	to, bounded := r.r.To[a.p]
	if !bounded || r.open[a.p] == nil {
		return
	}
	r.done += min(a.b.Next, to) - r.at[a.p]
	r.at[a.p] = a.b.Next
	if a.b.Next >= to {
		r.close(a.p)
	}
	if r.r.Progress != nil {
		r.r.Progress(r.done, r.total)
	}
}

// Partitions are those of a topic, which must exist.
func Partitions(ctx context.Context, c *broker.Client, topic string) ([]kafka.Partition, error) {
	found, err := c.Topics(ctx, topic)
	if err != nil {
		return nil, err
	}
	t, ok := found[topic]
	if !ok {
		return nil, fmt.Errorf("there is no topic %q", topic)
	}
	var ps []kafka.Partition
	for i := range t.Partitions {
		ps = append(ps, kafka.Partition{Topic: topic, Index: i})
	}
	return ps, nil
}

// Whole is all that partitions hold now: from their starts to their ends, as far as it is
// committed.
func Whole(ctx context.Context, c *broker.Client, ps []kafka.Partition) (r Reading, err error) {
	if r.From, err = c.ListOffsets(ctx, ps, broker.Earliest, false); err != nil {
		return r, err
	}
	r.To, err = c.ListOffsets(ctx, ps, broker.Latest, true)
	return r, err
}
