package kstream_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// The topics of a bank, which most examples read and write.
var (
	payments  = topology.Topic[string, int64]{Name: "payments", Key: serde.String, Value: serde.Int64}    // account, pounds
	notes     = topology.Topic[string, string]{Name: "notes", Key: serde.String, Value: serde.String}     // account, text
	customers = topology.Topic[string, string]{Name: "customers", Key: serde.String, Value: serde.String} // account, name
	totals    = topology.Topic[string, int64]{Name: "totals", Key: serde.String, Value: serde.Int64}
)

// How often does each word occur?
func Example() {
	lines := topology.Topic[string, string]{Name: "lines", Key: serde.String, Value: serde.String}
	words := topology.Topic[string, string]{Name: "words", Key: serde.String, Value: serde.String}
	counts := state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	split := kstream.FlatMapValues(kstream.From(b, lines), strings.Fields)
	byWord := kstream.GroupBy(split, func(_, word string) string { return word }, words)
	ktable.To(kstream.Count(byWord, counts), totals)

	d := run(b)
	send(d, lines, "hamlet", "to be or not to be")
	show(d, totals)
	// Output:
	// to 1
	// be 1
	// or 1
	// not 1
	// to 2
	// be 2
}

// run builds a topology and starts a driver of it. In a test, which has a t, that is
//
//	topo, err := b.Build()
//	require.NoError(t, err)
//	d := streamstest.New(t, topo)
func run(b *topology.Builder) *streamstest.Driver {
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}
	return streamstest.New(streamstest.InExample, topo)
}

// send writes a record to a topic.
func send[K, V any](d *streamstest.Driver, t topology.Topic[K, V], k K, v V) {
	streamstest.Send(d, t, topology.Record[K, V]{Key: k, Value: v})
}

// sendAt writes a record of a time of day.
func sendAt[K, V any](d *streamstest.Driver, t topology.Topic[K, V], at string, k K, v V) {
	streamstest.Send(d, t, topology.Record[K, V]{Key: k, Value: v, Time: clock(at)})
}

// remove writes a null, which deletes a row of a table.
func remove[K, V any](d *streamstest.Driver, t topology.Topic[K, V], k K) {
	send(d, topology.Nullable(t), k, nil)
}

// clock is a time of a day.
func clock(at string) time.Time {
	t, err := time.Parse(time.DateTime, "2025-11-24 "+at+":00")
	if err != nil {
		panic(err)
	}
	return t
}

// show prints what was written to a topic since the last time.
func show[K, V any](d *streamstest.Driver, t topology.Topic[K, V]) {
	for _, r := range streamstest.Read(d, topology.Nullable(t)) {
		if r.Value == nil {
			fmt.Println(r.Key, "deleted")
		} else {
			fmt.Println(r.Key, *r.Value)
		}
	}
}
