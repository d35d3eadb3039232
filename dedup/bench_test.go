package dedup_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
)

// BenchmarkBy checks new ids in one task, with a store on disk and a commit each 20,000.
func BenchmarkBy(b *testing.B) {
	in := topology.Topic[string, []byte]{Name: "in", Key: serde.String, Value: serde.Bytes}
	out := topology.Topic[string, []byte]{Name: "out", Key: serde.String, Value: serde.Bytes}
	builder := topology.NewBuilder()
	once := dedup.By(kstream.From(builder, in), func(k string, _ []byte) string { return k },
		dedup.Seen[string]{Name: "seen", Key: serde.String, Within: time.Hour})
	kstream.To(once, out)
	topo, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	sub := topo.Subtopologies[0]
	seen, err := store.Open(b.TempDir(), sub.Stores[0].Spec, "", store.NewResources(store.ResourceLimits{}))
	if err != nil {
		b.Fatal(err)
	}
	defer seen.Close()
	t, err := task.New(task.Config{
		ID: plan.TaskID{}, Plan: sub, Inputs: []kafka.Partition{{Topic: "in"}}, Stores: []*store.Store{seen},
		Partitions: func(int) int32 { return 1 }, Positions: make([]kafka.Offset, 1), Context: context.Background(),
		Release: func(int, kafka.Batch) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	const batch = 1000
	value, n := make([]byte, 100), int64(0)
	b.ReportAllocs()
	for b.Loop() {
		if n%batch == 0 {
			records := make([]kafka.Record, batch)
			for i := range records {
				id := uint64(n+int64(i)) * 0x9e3779b97f4a7c15
				records[i] = kafka.Record{Key: fmt.Appendf(nil, "%016x", id), Value: value, Time: n, Offset: n + int64(i)}
			}
			t.Add(0, kafka.Batch{Records: records, Next: n + batch, End: n + batch})
			if _, err := t.Run(0, batch); err != nil {
				b.Fatal(err)
			}
			if n%20_000 == 0 {
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
		}
		n++
	}
}
