package streamstest_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

var (
	payments = topology.Topic[string, int64]{Name: "payments", Key: serde.String, Value: serde.Int64} // account, pounds
	limits   = topology.Topic[string, int64]{Name: "limits", Key: serde.String, Value: serde.Int64}   // account, pounds
	totals   = topology.Topic[string, int64]{Name: "totals", Key: serde.String, Value: serde.Int64}
	sums     = state.Store[string, int64]{Name: "sums", Key: serde.String, Value: serde.Int64}
)

// sumPayments is the program under test.
func sumPayments(b *topology.Builder) {
	sum := kstream.Reduce(kstream.GroupByKey(kstream.From(b, payments)), func(a, pounds int64) int64 { return a + pounds }, sums)
	ktable.To(sum, totals)
}

// A test sends records, and looks at what came out.
func Example() {
	t := streamstest.InExample // in a test, its *testing.T

	b := topology.NewBuilder()
	sumPayments(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	d := streamstest.New(t, topo)
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 4})
	for _, r := range streamstest.Read(d, totals) {
		fmt.Println(r.Key, r.Value)
	}
	// Output:
	// alice 3
	// alice 7
}

func ExampleRows() {
	b := topology.NewBuilder()
	sumPayments(b)

	d := run(b)
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
	sum, ok, err := streamstest.Rows(d, sums).Get("alice")
	fmt.Println(sum, ok, err)
	// Output: 3 true <nil>
}

// Records have the times that a test gives them.
func ExampleSend() {
	b := topology.NewBuilder()
	sumPayments(b)

	d := run(b)
	noon := time.Date(2025, 11, 24, 12, 0, 0, 0, time.UTC)
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3, Time: noon})
	for _, r := range streamstest.Read(d, totals) {
		fmt.Println(r.Key, r.Value, r.Time)
	}
	// Output: alice 3 2025-11-24 12:00:00 +0000 UTC
}

// Deletes are sent and read as nil, of a topic that is nullable.
func ExampleRead() {
	b := topology.NewBuilder()
	ktable.To(ktable.From(b, limits), totals)

	d := run(b)
	streamstest.Send(d, topology.Nullable(limits), topology.Record[string, *int64]{Key: "alice"})
	for _, r := range streamstest.Read(d, topology.Nullable(totals)) {
		fmt.Println(r.Key, r.Value == nil)
	}
	// Output: alice true
}

// What is due by the clock is called when a test moves it.
func ExampleDriver_Advance() {
	everySecond := window.Tumbling{Size: time.Hour, Emit: window.Every(time.Second)}
	perHour := state.Store[window.Key[string], int64]{Name: "per-hour", Key: window.Keys(serde.String, everySecond), Value: serde.Int64}

	b := topology.NewBuilder()
	counts := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, payments)), everySecond), perHour)
	kstream.To(kstream.SelectKey(kstream.Updates(counts), func(k window.Key[string], _ int64) string { return k.Key }), totals)

	d := run(b)
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 4})
	fmt.Println(len(streamstest.Read(d, totals)))
	d.Advance(time.Second)
	for _, r := range streamstest.Read(d, totals) {
		fmt.Println(r.Key, r.Value)
	}
	// Output:
	// 0
	// alice 2
}

// With more partitions and the record cache a test is closer to production.
func ExampleOptions() {
	b := topology.NewBuilder()
	sumPayments(b)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}
	d := streamstest.Options{Partitions: 4, CommitEvery: 100, CacheBytes: 1 << 20}.New(streamstest.InExample, topo)
	for range 3 {
		streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
	}
	d.Commit()
	for _, r := range streamstest.Read(d, totals) {
		fmt.Println(r.Key, r.Value)
	}
	// Output: alice 9
}

// What a processor has in a variable is lost in a restart; what it has in a store is not.
func ExampleDriver_Restart() {
	b := topology.NewBuilder()
	sumPayments(b)

	d := run(b)
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
	d.Restart()
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 4})
	for _, r := range streamstest.Read(d, totals) {
		fmt.Println(r.Key, r.Value)
	}
	// Output:
	// alice 3
	// alice 7
}

// run builds a topology and starts a driver of it.
func run(b *topology.Builder) *streamstest.Driver {
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}
	return streamstest.New(streamstest.InExample, topo)
}
