package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

var kept = state.Store[int64, []byte]{Name: "rows", Key: serde.Int64, Value: serde.Bytes}

// restoreInput is a topic without records and, full, the changelog of the store: a topic
// whose name the application's id and the store's make up. So the id is always the same.
func restoreInput(n int) []input {
	return []input{
		{topic: restoreID(n)},
		numbered(restoreID(n)+"-"+kept.Name+"-changelog", n, compacted),
	}
}

func restoreID(n int) string { return fmt.Sprintf("bench-restore-%d", n) }

// besideInput is that, and what is processed while the store is restored.
func besideInput(n int) []input { return append(restoreInput(n), numberedInput(n)...) }

// restore starts an application that has rows in its changelog and none on its disk, and
// measures until it is ready.
func restore(ctx context.Context, b *bench, inputs []input) (s sample, err error) {
	id, changelog := inputs[0].topic, inputs[1]
	builder := topology.NewBuilder()
	keepLast(builder, id)
	i, err := b.newInstance(builder, id)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, i.remove()) }()
	defer func() { err = errors.Join(err, b.dropGroup(id)) }()
	m := newMeter()
	ctx = i.start(ctx)
	select {
	case <-i.app.Ready():
		s = m.sample(changelog.records)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err = i.stop(err); err != nil {
		return s, err
	}
	stored, err := i.stored()
	if want := int64(changelog.records) * valueSize; err == nil && stored < want {
		err = fmt.Errorf("has %d bytes on disk after it, and should have %d at least", stored, want)
	}
	return s, err
}

// keepLast keeps the last value of each key of a topic in the store.
func keepLast(b *topology.Builder, topic string) {
	last := func(_, v []byte) []byte { return v }
	kstream.Reduce(kstream.GroupByKey(kstream.From(b, numbers(topic))), last, kept)
}

// beside is restore, but measures how much tasks without a store process meanwhile.
func beside(ctx context.Context, b *bench, inputs []input) (s sample, err error) {
	id, in := inputs[0].topic, inputs[2]
	t := topics{in: []string{in.topic}, out: newID(), meter: sync.OnceValue(newMeter)}
	if err := b.create(ctx, t.out, nil); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, b.drop(t.out)) }()
	builder := topology.NewBuilder()
	stateless(builder, t)
	keepLast(builder, id)
	i, err := b.newInstance(builder, id)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, i.remove()) }()
	defer func() { err = errors.Join(err, b.dropGroup(id)) }()
	ctx = i.start(ctx)
	defer func() { err = i.stop(err) }()
	// A restore of few rows is over before anything is committed: then the first that is counts.
	done := 0
	for done == 0 || done < in.records && !i.ready() {
		if err := sleep(ctx, fastest); err != nil {
			return s, err
		}
		if done, err = b.committed(ctx, id, in.topic); err != nil {
			return s, err
		}
	}
	return t.meter().sample(done), nil
}
