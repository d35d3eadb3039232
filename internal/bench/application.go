package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
)

// application is a workload of a topology that reads its inputs to their ends.
type application struct {
	build   func(*topology.Builder, topics)
	results func(records int) int // how many records it writes for so many of the first input
	through string                // its repartition topic, if it has one
}

// topics are what the topology of one run reads and writes.
type topics struct {
	in    []string
	out   string
	meter func() meter // made by the first call
}

// read is a topic to be read, whose first record starts the run's meter. The first task
// processes a good while before the last is ready, so that is no time to start at.
func read[K, V any](in topics, t topology.Topic[K, V]) topology.Topic[K, V] {
	t.Key = &metered[K]{t.Key, in.meter}
	return t
}

// metered is a serde that starts a meter.
type metered[T any] struct {
	serde.Serde[T]
	meter func() meter
}

func (m *metered[T]) Decode(data []byte) (T, error) {
	m.meter()
	return m.Serde.Decode(data)
}

// run runs it until all that it reads is committed.
func (a application) run(ctx context.Context, b *bench, inputs []input) (s sample, err error) {
	id := newID()
	defer func() { err = errors.Join(err, b.drop(id)) }()
	t := topics{out: id + "-out", meter: sync.OnceValue(newMeter)}
	var records int
	t.in, records = together(inputs)
	if err := b.create(ctx, t.out, nil); err != nil {
		return s, err
	}
	builder := topology.NewBuilder()
	a.build(builder, t)
	i, err := b.newInstance(builder, id)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, i.remove()) }()
	ctx = i.start(ctx)
	defer func() { err = i.stop(err) }()
	if err := b.await(ctx, id, 0, t.in...); err != nil {
		return s, err
	}
	if a.through != "" {
		if err := b.await(ctx, id, b.markers(), id+"-"+a.through+"-repartition"); err != nil {
			return s, err
		}
	}
	s = t.meter().sample(records)
	return s, b.checkResults(ctx, t.out, a.results(inputs[0].records))
}

// newID names a run. Topics, group and state of a run begin with it.
func newID() string { return "bench-run-" + uuid.NewString() }

// markers is how many offsets at the end of a partition that the application wrote to may
// be no records, and so need not be committed: the ends of its workers' last transactions.
func (b *bench) markers() int64 {
	if b.guarantee == streams.ExactlyOnce {
		return int64(b.workers)
	}
	return 0
}

// checkResults fails if fewer results were written than must have been: a run that does
// less is no faster.
func (b *bench) checkResults(ctx context.Context, topic string, want int) error {
	ends, err := b.client.ListOffsets(ctx, partitionsOf(topic), broker.Latest, false)
	if err != nil {
		return err
	}
	got := 0
	for _, end := range ends {
		got += int(end)
	}
	if got < want {
		return fmt.Errorf("wrote %d records and should have written %d", got, want)
	}
	return nil
}

// instance is an application that runs, with a state directory of its own.
type instance struct {
	app    *streams.App
	dir    string
	cancel context.CancelCauseFunc
	done   chan error
}

// newInstance makes an instance of the topology in b.
func (b *bench) newInstance(builder *topology.Builder, id string) (*instance, error) {
	t, err := builder.Build()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "streams-bench-")
	if err != nil {
		return nil, err
	}
	app, err := streams.New(t, streams.Config{
		ApplicationID: id, Brokers: b.addrs, StateDir: dir, Workers: b.workers, Guarantee: b.guarantee,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &instance{app: app, dir: dir, done: make(chan error, 1)}, nil
}

// start starts it. The context ends when it fails, and says why.
func (i *instance) start(ctx context.Context) context.Context {
	ctx, i.cancel = context.WithCancelCause(ctx)
	go func() {
		err := i.app.Run(ctx)
		i.cancel(err)
		i.done <- err
	}()
	return ctx
}

// ready says whether all its tasks are.
func (i *instance) ready() bool {
	select {
	case <-i.app.Ready():
		return true
	default:
		return false
	}
}

// stop ends it and waits until it has. Where it failed, that is the reason for any error
// of the measurement.
func (i *instance) stop(err error) error {
	i.cancel(nil)
	if failed := <-i.done; failed != nil {
		return failed
	}
	return err
}

// stored is how many bytes its state has on disk. It is complete after stop.
func (i *instance) stored() (n int64, err error) {
	err = filepath.WalkDir(i.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// remove deletes its state.
func (i *instance) remove() error { return os.RemoveAll(i.dir) }
