//go:build !race

// The race detector makes pools forget.

package task_test

import (
	"testing"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// longs describes a topic of numbers.
func longs(name string) topology.Topic[int64, int64] {
	return topology.Topic[int64, int64]{Name: name, Key: serde.Int64, Value: serde.Int64}
}

// allocations are those of a record, where a batch of many goes through the task again and
// again, with a commit behind it.
func allocations(t *testing.T, build func(*topology.Builder)) float64 {
	t.Helper()
	const many = 1000
	r := start(t, build)
	batch := kafka.Batch{Records: make([]kafka.Record, many)}
	for i := range batch.Records {
		k, err := serde.Int64.Append(nil, int64(i%100))
		require.NoError(t, err)
		batch.Records[i] = kafka.Record{Key: k, Value: k, Time: int64(i)}
	}
	once := func() {
		r.given++
		for i := range batch.Records {
			batch.Records[i].Offset = batch.Next + int64(i)
		}
		batch.Next += many
		batch.End = batch.Next
		r.Add(0, batch)
		if n, err := r.Run(0, many); n != many || err != nil {
			t.Fatalf("%d records were processed: %v", n, err)
		}
	}
	commit := func() {
		r.Taken()
		for _, slot := range r.Changelogs() {
			if err := r.Changelog(slot, func([]byte, []byte, int64) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Committed(func(int) int64 { return -1 }); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // memory grows to what a commit's worth takes
		once()
		commit()
	}
	return testing.AllocsPerRun(20, func() { once(); commit() }) / many
}

// few allocations a commit are none a record.
const few = 0.01

func TestStatelessRecordsAllocateNothing(t *testing.T) {
	n := allocations(t, func(b *topology.Builder) {
		s := kstream.From(b, longs("in"))
		s = kstream.Filter(s, func(_, v int64) bool { return v >= 0 })
		s = kstream.MapValues(s, func(v int64) int64 { return v + 1 })
		s = kstream.SelectKey(s, func(k, v int64) int64 { return k + v })
		kstream.To(s, longs("out"))
	})
	require.Less(t, n, few, "allocations a record")
	t.Logf("%.4f allocations a record, commits counted in", n)
}

func TestCountedRecordsAllocateNothing(t *testing.T) {
	n := allocations(t, func(b *topology.Builder) {
		counts := state.Store[int64, int64]{Name: "counts", Key: serde.Int64, Value: serde.Int64}
		ktable.To(kstream.Count(kstream.GroupByKey(kstream.From(b, longs("in"))), counts), longs("out"))
	})
	require.Less(t, n, few, "allocations a record")
	t.Logf("%.4f allocations a record, commits counted in", n)
}
