package main

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// workload is one row of the table.
type workload struct {
	name, about string
	inputs      func(records int) []input
	run         func(context.Context, *bench, []input) (sample, error)
	app         application // that is run, where it reads its inputs to their ends
}

// reading is a workload that is over when all that it reads is processed.
func reading(name, about string, inputs func(records int) []input, a application) workload {
	return workload{name, about, inputs, a.run, a}
}

var workloads = []workload{
	reading("stateless", "filter, which keeps all but 1 in 1000, and map", numberedInput, application{build: stateless, results: func(n int) int { return n - n/1000 - 1 }}),
	reading("count", "counts per key, Zipf over 100,000 keys, every count to a topic", zipfInput, application{build: count, results: all}),
	reading("count-quiet", "the same counts, kept in the store and its changelog alone", zipfInput, application{build: countQuiet, results: none}),
	reading("dedup", "drops the 1 in 20 whose id, of 16 characters, came before", func(n int) []input { return []input{withRepeats(n)} }, application{build: dropRepeats, results: uniqueOf}),
	reading("window", "counts per key and minute", zipfInput, application{build: countWindows, results: all}),
	reading("join", "joins a stream with a table of 100,000 rows", func(n int) []input { return []input{zipf(n), tableRows()} }, application{build: join, results: all}),
	reading("lunch", "the topology of examples/lunch-abroad: dedup, filter, repartition, join as of a day; JSON", func(n int) []input { return []input{payments(n), rates(n)} }, application{build: lunch, results: paymentsAbroad, through: paymentsByCurrency.Name}),
	{"restore", "restores a store of 8 + 100 bytes a row from its changelog, start included", restoreInput, restore, application{}},
	{"beside", "the same as stateless, while such a store is restored", besideInput, beside, application{}},
}

func numberedInput(n int) []input {
	return []input{numbered(fmt.Sprintf("bench-numbered-%d", n), n, nil)}
}

func zipfInput(n int) []input { return []input{zipf(n)} }
func all(n int) int           { return n }
func none(int) int            { return 0 }

// numbers is a topic of numbers and bytes.
func numbers(topic string) topology.Topic[int64, []byte] {
	return topology.Topic[int64, []byte]{Name: topic, Key: serde.Int64, Value: serde.Bytes}
}

func stateless(b *topology.Builder, t topics) {
	most := kstream.Filter(kstream.From(b, read(t, numbers(t.in[0]))), func(k int64, _ []byte) bool { return k%1000 != 0 })
	mapped := kstream.MapValues(most, func(v []byte) []byte {
		v[0] ^= 1 // Bytes made a copy
		return v
	})
	kstream.To(mapped, numbers(t.out))
}

var counts = state.Store[int64, int64]{Name: "counts", Key: serde.Int64, Value: serde.Int64}

func count(b *topology.Builder, t topics) {
	perKey := kstream.Count(kstream.GroupByKey(kstream.From(b, read(t, numbers(t.in[0])))), counts)
	ktable.To(perKey, topology.Topic[int64, int64]{Name: t.out, Key: serde.Int64, Value: serde.Int64})
}

func countQuiet(b *topology.Builder, t topics) {
	kstream.Count(kstream.GroupByKey(kstream.From(b, read(t, numbers(t.in[0])))), counts)
}

func dropRepeats(b *topology.Builder, t topics) {
	text := func(name string) topology.Topic[string, []byte] {
		return topology.Topic[string, []byte]{Name: name, Key: serde.String, Value: serde.Bytes}
	}
	seen := dedup.Seen[string]{Name: "seen", Key: serde.String, Within: time.Hour}
	once := dedup.By(kstream.From(b, read(t, text(t.in[0]))), func(k string, _ []byte) string { return k }, seen)
	kstream.To(once, text(t.out))
}

func countWindows(b *topology.Builder, t topics) {
	minute := window.Tumbling{Size: time.Minute, Grace: time.Minute}
	keys := window.Keys(serde.Int64, minute)
	perMinute := state.Store[window.Key[int64], int64]{Name: "per-minute", Key: keys, Value: serde.Int64}
	grouped := kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, read(t, numbers(t.in[0])))), minute)
	ktable.To(kstream.Count(grouped, perMinute), topology.Topic[window.Key[int64], int64]{Name: t.out, Key: keys, Value: serde.Int64})
}

func join(b *topology.Builder, t topics) {
	rows := ktable.From(b, read(t, numbers(t.in[1])))
	joined := kstream.Join(kstream.From(b, read(t, numbers(t.in[0]))), rows, func(_, row []byte) []byte { return row })
	kstream.To(joined, numbers(t.out))
}
