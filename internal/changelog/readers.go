package changelog

import (
	"context"
	"sync"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/sched"
)

// Options are common to restores.
type Options struct {
	Sched         sched.Sched
	ReadCommitted bool
	MaxBytes      int   // fetched by one reader and not yet restored; 0: the fetcher's default
	Short         int64 // offsets: restores of no more share a reader; default 0: each has its own
}

// Readers restore stores, of several tasks at once. A short restore waits most of the time, so
// that many go on at once with one reader, its connections and its requests. A long one has a
// reader of its own, and leaves it to one that begins later. All end with the last restore.
type Readers struct {
	c cluster.Cluster
	o Options

	mu     sync.Mutex
	shared *reader
	free   []*reader
	used   int // restores
}

// reader reads for one restore, or for short ones.
type reader struct {
	fetcher cluster.Fetcher
	mu      sync.Mutex
	runs    map[kafka.Partition]*run
}

// NewReaders returns readers that hold nothing while nobody restores.
func NewReaders(c cluster.Cluster, o Options) *Readers { return &Readers{c: c, o: o} }

// Run restores stores until each is at its end position, or ctx ends. Positions past
// markers, aborted data and what compaction left out count, so that a changelog that
// ends in any of these ends. Progress is called after each batch; nil: not.
func (rs *Readers) Run(ctx context.Context, all []Restore, progress func(Progress)) error {
	r := &run{progressed: progress, restores: all, arrived: make(chan struct{}, 1), subscriptions: make([]cluster.Subscription, len(all))}
	for _, restore := range all {
		if restore.From < restore.To {
			r.open++
			r.left += restore.To - restore.From
		}
	}
	if r.open == 0 {
		return nil
	}
	x := rs.take(r.left <= rs.o.Short)
	defer rs.put(x)
	x.begin(r)
	defer x.end(r)
	for r.open > 0 {
		if !rs.o.Sched.Wait(ctx, r.arrived, 0) {
			return ctx.Err()
		}
		if err := r.take(); err != nil {
			return err
		}
	}
	return nil
}

// take returns the reader of short restores, or one that nobody uses.
func (rs *Readers) take(short bool) *reader {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.used++
	if short {
		if rs.shared == nil {
			rs.shared = rs.open()
		}
		return rs.shared
	}
	if n := len(rs.free); n > 0 {
		x := rs.free[n-1]
		rs.free = rs.free[:n-1]
		return x
	}
	return rs.open()
}

func (rs *Readers) open() *reader {
	x := &reader{runs: map[kafka.Partition]*run{}}
	x.fetcher = rs.c.NewFetcher(broker.FetchOptions{ReadCommitted: rs.o.ReadCommitted, MaxBytes: rs.o.MaxBytes, OnError: x.failed})
	return x
}

// put gives a reader back. The last one that is used ends all.
func (rs *Readers) put(x *reader) {
	rs.mu.Lock()
	rs.used--
	if x != rs.shared {
		rs.free = append(rs.free, x)
	}
	var done []*reader
	if rs.used == 0 {
		done, rs.free = rs.free, nil
		if rs.shared != nil {
			done, rs.shared = append(done, rs.shared), nil
		}
	}
	rs.mu.Unlock()
	for _, x := range done {
		x.fetcher.Close()
	}
}

// begin subscribes to what a restore needs.
func (x *reader) begin(r *run) {
	x.mu.Lock()
	for _, restore := range r.restores {
		x.runs[restore.Partition] = r
	}
	x.mu.Unlock()
	for i, restore := range r.restores {
		if restore.From < restore.To {
			r.subscriptions[i] = x.fetcher.Subscribe(restore.Partition, restore.From, func(b kafka.Batch) { r.push(delivery{slot: i, batch: b}) })
		}
	}
}

// end ends what a restore still reads.
func (x *reader) end(r *run) {
	for _, sub := range r.subscriptions {
		if sub != nil {
			sub.Close()
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, restore := range r.restores {
		if x.runs[restore.Partition] == r { // else another restore of it has begun
			delete(x.runs, restore.Partition)
		}
	}
}

func (x *reader) failed(p kafka.Partition, _ int, at int64, err error) {
	x.mu.Lock()
	r := x.runs[p]
	x.mu.Unlock()
	if r != nil { // else it has ended
		r.push(delivery{err: &OffsetError{Partition: p, Offset: at, Err: err}})
	}
}
