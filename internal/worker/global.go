package worker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/changelog"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
)

// globals are the global tables of an instance: restored before it works, and then kept up
// with their topics by a goroutine of their own.
type globals struct {
	c       Config
	layout  *Layout
	rows    []*plan.GlobalRows
	fetcher cluster.Fetcher

	arrived chan struct{}
	mu      sync.Mutex
	queue   []arrival
	failed  error
}

// arrival is a batch of the topic of a global table.
type arrival struct {
	global    int
	partition int32
	batch     kafka.Batch
}

// openGlobals opens the global tables and restores them to the ends of their topics.
func openGlobals(ctx context.Context, c Config, l *Layout) (_ *globals, err error) {
	g := &globals{c: c, layout: l, arrived: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	for i, t := range l.Plan.Globals {
		g.rows = append(g.rows, &plan.GlobalRows{Partitions: make([]*store.Store, l.Partitions[t.Topic])})
		for p := range l.Partitions[t.Topic] {
			if err := g.restore(ctx, i, p); err != nil {
				return nil, fmt.Errorf("global table %s: %w", t.Name, err)
			}
		}
	}
	return g, nil
}

// restore brings one partition of a global table to the end of its topic; a store that is
// wrong is built anew.
func (g *globals) restore(ctx context.Context, i int, partition int32) error {
	t := g.layout.Plan.Globals[i]
	p := kafka.Partition{Topic: t.Topic, Index: partition}
	for wiped := false; ; wiped = true {
		dir := filepath.Join(g.c.StateDir, "global", t.Name, strconv.Itoa(int(partition)))
		s, err := store.Open(dir, t.Spec, plan.MadeOrigin(p, g.layout.IDs[t.Topic], g.c.Fingerprint), g.c.Resources)
		if err != nil {
			return err
		}
		g.rows[i].Partitions[partition] = s
		err = g.replay(ctx, s, p, t)
		var corrupt *store.CorruptError
		var offset *changelog.OffsetError
		if err == nil || wiped || !errors.As(err, &corrupt) && !errors.As(err, &offset) {
			return err
		}
		g.c.Log.Warn("a global table is wrong and is restored from the start", "store", t.Name, "partition", partition, "error", err)
		if err := s.Destroy(); err != nil {
			return err
		}
	}
}

func (g *globals) replay(ctx context.Context, s *store.Store, p kafka.Partition, t plan.Global) error {
	ps := []kafka.Partition{p}
	ends, err := g.c.Client.ListOffsets(ctx, ps, broker.Latest, g.c.ExactlyOnce)
	if err != nil {
		return err
	}
	starts, err := g.c.Client.ListOffsets(ctx, ps, broker.Earliest, false)
	if err != nil {
		return err
	}
	if at := s.Offset(); at > ends[p] {
		return &changelog.OffsetError{Partition: p, Offset: at, Err: fmt.Errorf("the topic has %d to %d", starts[p], ends[p])}
	}
	readers := changelog.NewReaders(g.c.Client, changelog.Options{Sched: g.c.Sched, ReadCommitted: g.c.ExactlyOnce, MaxBytes: g.c.Memory.RestoreFetch})
	return readers.Run(ctx, []changelog.Restore{{
		Store: s, Partition: p, From: max(s.Offset(), starts[p]), To: ends[p], Convert: t.Convert(),
	}}, nil)
}

// follow applies what comes to the topics, until ctx ends or a table fails.
func (g *globals) follow(ctx context.Context) error {
	if len(g.rows) == 0 {
		return nil
	}
	g.fetcher = g.c.Client.NewFetcher(broker.FetchOptions{ReadCommitted: g.c.ExactlyOnce, MaxBytes: g.c.Memory.RestoreFetch, OnError: func(p kafka.Partition, _ int, at int64, err error) {
		g.push(arrival{}, fmt.Errorf("read %s at offset %d: %w", p, at, err))
	}})
	defer g.fetcher.Close()
	subs, converts := map[kafka.Partition]cluster.Subscription{}, map[kafka.Partition]func(kafka.Record) (kafka.Record, bool){}
	for i, t := range g.layout.Plan.Globals {
		for p, s := range g.rows[i].Partitions {
			at := kafka.Partition{Topic: t.Topic, Index: int32(p)}
			converts[at] = t.Convert()
			subs[at] = g.fetcher.Subscribe(at, max(s.Offset(), 0), func(b kafka.Batch) {
				g.push(arrival{i, at.Index, b}, nil)
			})
		}
	}
	for {
		if !g.c.Sched.Wait(ctx, g.arrived, 0) {
			return nil
		}
		g.mu.Lock()
		queue, failed := g.queue, g.failed
		g.queue = nil
		g.mu.Unlock()
		if failed != nil {
			return failed
		}
		for _, a := range queue {
			at := kafka.Partition{Topic: g.layout.Plan.Globals[a.global].Topic, Index: a.partition}
			if err := g.apply(a, converts[at]); err != nil {
				return fmt.Errorf("global table %s: %w", g.layout.Plan.Globals[a.global].Name, err)
			}
			subs[at].Done(a.batch)
		}
	}
}

func (g *globals) apply(a arrival, convert func(kafka.Record) (kafka.Record, bool)) error {
	var rows []kafka.Record
	for _, r := range a.batch.Records {
		if row, ok := convert(r); ok {
			rows = append(rows, row)
		}
	}
	return g.rows[a.global].Apply(a.partition, rows, a.batch.Next)
}

func (g *globals) push(a arrival, err error) {
	g.mu.Lock()
	if err != nil {
		g.failed = err
	} else {
		g.queue = append(g.queue, a)
	}
	g.mu.Unlock()
	select {
	case g.arrived <- struct{}{}:
	default:
	}
}

// close closes the stores.
func (g *globals) close() {
	for i, rows := range g.rows {
		for _, s := range rows.Partitions {
			if s == nil {
				continue
			}
			if err := s.Close(); err != nil {
				g.c.Log.Error("close a global table", "store", g.layout.Plan.Globals[i].Name, "error", err)
			}
		}
	}
}
