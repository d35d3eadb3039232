package streams_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

var errDown = errors.New("the service is down")

// decide tries again what may be better soon, some times, and puts everything else aside.
func decide(b streams.BadRecord) streams.Decision {
	if errors.Is(b.Err, errDown) && b.Attempt < 5 {
		return streams.Retry
	}
	return streams.DeadLetter
}

// A service fails twice and then answers, and one record is no number. The same function
// goes into Config.OnBadRecord.
func ExampleBadRecord() {
	orders := topology.Topic[string, int64]{Name: "orders", Key: serde.String, Value: serde.Int64}
	raw := topology.Topic[string, []byte]{Name: "orders", Key: serde.String, Value: serde.Bytes}
	prices := topology.Topic[string, string]{Name: "prices", Key: serde.String, Value: serde.String}
	dead := topology.Topic[string, []byte]{Name: "orders-dead", Key: serde.String, Value: serde.Bytes}

	calls := 0
	price := func(articles int64) (string, error) {
		if calls++; calls <= 2 {
			return "", errDown
		}
		return fmt.Sprintf("%d pounds", 3*articles), nil
	}
	b := topology.NewBuilder()
	kstream.To(kstream.TryMapValues(kstream.From(b, orders), price), prices)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}

	d := streamstest.Options{OnBadRecord: decide, DeadLetterTopic: dead.Name}.New(streamstest.InExample, topo)
	streamstest.Send(d, orders, topology.Record[string, int64]{Key: "alice", Value: 2})
	streamstest.Send(d, raw, topology.Record[string, []byte]{Key: "bob", Value: []byte("two")})
	fmt.Println(len(streamstest.Read(d, prices)), "prices; bob waits behind alice")
	d.Advance(100 * time.Millisecond)
	d.Advance(200 * time.Millisecond)
	for _, r := range streamstest.Read(d, prices) {
		fmt.Println(r.Key, r.Value)
	}
	for _, r := range streamstest.Read(d, dead) {
		fmt.Printf("%s %q\n", r.Key, r.Value)
		for _, h := range r.Headers {
			if h.Key == "__streams.errors.message" {
				fmt.Printf("%s\n", h.Value)
			}
		}
	}
	// Output:
	// 0 prices; bob waits behind alice
	// alice 6 pounds
	// bob "two"
	// decode the value: serde: Int64 takes 8 bytes, not 3: use the serde that the data was written with
}
