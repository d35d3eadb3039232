package state_test

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
	balances = topology.Topic[string, int64]{Name: "balances", Key: serde.String, Value: serde.Int64} // account, pounds

	hourly  = window.Tumbling{Size: time.Hour}
	perHour = state.Store[window.Key[string], int64]{Name: "per-hour", Key: window.Keys(serde.String, hourly), Value: serde.Int64, Retention: 24 * time.Hour}
	history = state.Store[string, int64]{Name: "balance-history", Key: serde.String, Value: serde.Int64, History: 24 * time.Hour}
)

// hours is what accounts paid in each hour.
func hours() *streamstest.Driver {
	b := topology.NewBuilder()
	grouped := kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, payments)), hourly)
	kstream.Reduce(grouped, func(a, pounds int64) int64 { return a + pounds }, perHour)
	d := run(b)
	sendAt(d, payments, "09:10", "alice", 3)
	sendAt(d, payments, "09:50", "alice", 4)
	sendAt(d, payments, "10:20", "bob", 500)
	sendAt(d, payments, "11:30", "alice", 5)
	return d
}

// balanced is what an account had at different times.
func balanced() *streamstest.Driver {
	b := topology.NewBuilder()
	ktable.Materialize(ktable.From(b, balances), history)
	d := run(b)
	sendAt(d, balances, "09:00", "alice", 20)
	sendAt(d, balances, "12:00", "alice", 70)
	sendAt(d, balances, "15:00", "alice", 40)
	return d
}

// A store is described once, and named where it is written and where it is read.
func ExampleStore() {
	latest := state.Store[string, int64]{Name: "latest", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	kstream.ToTable(kstream.From(b, payments), latest)

	d := run(b)
	sendAt(d, payments, "09:10", "alice", 3)
	v, ok, err := streamstest.Rows(d, latest).Get("alice")
	fmt.Println(v, ok, err)
	// Output: 3 true <nil>
}

func ExampleReader_range() {
	latest := state.Store[string, int64]{Name: "latest", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	kstream.ToTable(kstream.From(b, payments), latest)

	d := run(b)
	for i, account := range []string{"dave", "alice", "carol", "bob"} {
		sendAt(d, payments, "09:10", account, int64(i))
	}
	from, to := "b", "carol"
	for row, err := range streamstest.Rows(d, latest).Range(&from, &to) {
		fmt.Println(row.Key, row.Value, err)
	}
	// Output:
	// bob 3 <nil>
	// carol 2 <nil>
}

func ExampleWindows() {
	rows := streamstest.Rows(hours(), perHour)
	for row, err := range state.Windows(rows, "alice", clock("09:30"), clock("11:00")) {
		fmt.Println(row.Key.Start.Format("15:04"), row.Value, err)
	}
	// Output:
	// 09:00 7 <nil>
	// 11:00 5 <nil>
}

// A zero time is no bound.
func ExampleAllWindows() {
	rows := streamstest.Rows(hours(), perHour)
	for row, err := range state.AllWindows(rows, clock("10:00"), time.Time{}) {
		fmt.Println(row.Key.Start.Format("15:04"), row.Key.Key, row.Value, err)
	}
	// Output:
	// 10:00 bob 500 <nil>
	// 11:00 alice 5 <nil>
}

func ExampleGetAt() {
	row, ok, err := state.GetAt(streamstest.Rows(balanced(), history), "alice", clock("13:00"))
	fmt.Println(row.Value, "from", row.Time.Format("15:04"), "to", row.Until.Format("15:04"), ok, err)
	// Output: 70 from 12:00 to 15:00 true <nil>
}

func ExampleVersions() {
	for row, err := range state.Versions(streamstest.Rows(balanced(), history), "alice", clock("11:00"), clock("12:30")) {
		fmt.Println(row.Value, "from", row.Time.Format("15:04"), err)
	}
	// Output:
	// 20 from 09:00 <nil>
	// 70 from 12:00 <nil>
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

// sendAt writes a record of a time of day.
func sendAt[K, V any](d *streamstest.Driver, t topology.Topic[K, V], at string, k K, v V) {
	streamstest.Send(d, t, topology.Record[K, V]{Key: k, Value: v, Time: clock(at)})
}

// clock is a time of a day.
func clock(at string) time.Time {
	t, err := time.Parse(time.DateTime, "2025-11-24 "+at+":00")
	if err != nil {
		panic(err)
	}
	return t
}
