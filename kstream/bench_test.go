package kstream_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// BenchmarkHopping sums records in windows of 1000 s, of which 1, 10 or 100 hold a record,
// in one task with stores on disk and a commit each 20,000 records. There is a record each
// 10 ms, of one of 100 keys. Windows send each update, or once: put together from panes, or
// each folding every record.
func BenchmarkHopping(b *testing.B) {
	one := func(int64) int64 { return 1 }
	sum := aggregate.Sum(one)
	alone := aggregate.Aggregator[int64, int64]{Add: sum.Add}
	for _, overlap := range []int{1, 10, 100} {
		w := window.Hopping{Size: 1000 * time.Second, Every: 1000 * time.Second / time.Duration(overlap)}
		once := w
		once.Emit = window.OnClose()
		for _, c := range []struct {
			name string
			w    window.Hopping
			f    aggregate.Aggregator[int64, int64]
		}{{"updates", w, sum}, {"once", once, alone}, {"once-of-panes", once, sum}} {
			b.Run(fmt.Sprintf("%s/overlap=%d", c.name, overlap), func(b *testing.B) { hop(b, c.w, c.f) })
		}
	}
}

func hop(b *testing.B, w window.Hopping, f aggregate.Aggregator[int64, int64]) {
	numbers := func(name string) topology.Topic[int64, int64] {
		return topology.Topic[int64, int64]{Name: name, Key: serde.Int64, Value: serde.Int64}
	}
	builder := topology.NewBuilder()
	sums := kstream.Aggregate(kstream.WindowedBy(kstream.GroupByKey(kstream.From(builder, numbers("in"))), w), f,
		state.Store[window.Key[int64], int64]{Name: "sums", Key: window.Keys(serde.Int64, w), Value: serde.Int64})
	kstream.To(kstream.Updates(sums), topology.Topic[window.Key[int64], int64]{Name: "out", Key: window.Keys(serde.Int64, w), Value: serde.Int64})
	topo, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	t := onDisk(b, topo.Subtopologies[0])
	n, key := int64(0), make([]byte, 8)
	commit := func() {
		t.Taken()
		for _, slot := range t.Changelogs() {
			if err := t.Changelog(slot, func([]byte, []byte, int64) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
		if err := t.Committed(func(int) int64 { return n }); err != nil {
			b.Fatal(err)
		}
	}
	const batch = 1000
	records := make([]kafka.Record, batch)
	b.ReportAllocs()
	for b.Loop() {
		if n%batch == 0 {
			for i := range records {
				at := n + int64(i)
				k, _ := serde.Int64.Append(nil, at*7919%100)
				records[i] = kafka.Record{Key: k, Value: key, Time: 10 * at, Offset: at}
			}
			t.Add(0, kafka.Batch{Records: records, Next: n + batch, End: n + batch})
			if _, err := t.Run(0, batch); err != nil {
				b.Fatal(err)
			}
			if n%20_000 == 0 {
				commit()
			}
		}
		n++
	}
}

// onDisk makes the task of a sub-topology that reads one topic.
func onDisk(b *testing.B, sub *plan.Subtopology) *task.Task {
	var stores []*store.Store
	for _, s := range sub.Stores {
		open, err := store.Open(b.TempDir(), s.Spec, "", store.NewResources(store.ResourceLimits{}))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = open.Close() })
		stores = append(stores, open)
	}
	t, err := task.New(task.Config{
		ID: plan.TaskID{}, Plan: sub, Inputs: []kafka.Partition{{Topic: "in"}}, Stores: stores,
		Partitions: func(int) int32 { return 1 }, Positions: make([]kafka.Offset, 1), Context: context.Background(),
		Release: func(int, kafka.Batch) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	return t
}
