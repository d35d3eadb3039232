package dedup_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// A client that got no answer sends its payment again, and it is booked once.
func ExampleBy() {
	type payment struct {
		ID     string
		Pounds int64
	}
	payments := topology.Topic[string, payment]{Name: "payments", Key: serde.String, Value: serde.JSON[payment]()}
	booked := topology.Topic[string, payment]{Name: "booked", Key: serde.String, Value: serde.JSON[payment]()}
	paid := dedup.Seen[string]{Name: "paid", Key: serde.String, Within: 24 * time.Hour}

	b := topology.NewBuilder()
	once := dedup.By(kstream.From(b, payments), func(_ string, p payment) string { return p.ID }, paid)
	kstream.To(once, booked)

	d := run(b)
	send(d, payments, "alice", payment{"p1", 30})
	send(d, payments, "alice", payment{"p1", 30})
	send(d, payments, "alice", payment{"p2", 30})
	show(d, booked)
	// Output:
	// alice {p1 30}
	// alice {p2 30}
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

// show prints what was written to a topic since the last time.
func show[K, V any](d *streamstest.Driver, t topology.Topic[K, V]) {
	for _, r := range streamstest.Read(d, t) {
		fmt.Println(r.Key, r.Value)
	}
}
