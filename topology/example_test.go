package topology_test

import (
	"fmt"
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
	payments = topology.Topic[string, int64]{Name: "payments", Key: serde.String, Value: serde.Int64} // account, pounds
	limits   = topology.Topic[string, int64]{Name: "limits", Key: serde.String, Value: serde.Int64}   // account, pounds
	notes    = topology.Topic[string, string]{Name: "notes", Key: serde.String, Value: serde.String}  // account, text
	totals   = topology.Topic[string, int64]{Name: "totals", Key: serde.String, Value: serde.Int64}
	spent    = state.Store[string, int64]{Name: "spent", Key: serde.String, Value: serde.Int64}
)

func ExampleSource() {
	b := topology.NewBuilder()
	topology.Sink(topology.Source(b, payments), totals)

	d := run(b)
	send(d, payments, "alice", 3)
	show(d, totals)
	// Output: alice 3
}

func ExampleSink() {
	b := topology.NewBuilder()
	topology.Sink(topology.Source(b, payments), totals)

	d := run(b)
	send(d, payments, "alice", 3)
	show(d, totals)
	// Output: alice 3
}

// The topic is chosen for each record.
func ExampleSinkEach() {
	statement := topology.Topic[string, int64]{Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	topology.SinkEach(topology.Source(b, payments), func(r topology.Record[string, int64]) string { return "statement-" + r.Key }, statement)

	d := run(b)
	send(d, payments, "alice", 3)
	statement.Name = "statement-alice"
	show(d, statement)
	// Output: alice 3
}

// A processor is a function for each record, made by a function for each task.
func ExampleProcess() {
	b := topology.NewBuilder()
	half := topology.Process(topology.Source(b, payments), "share", func(c *topology.Context[string, int64]) (topology.Processor[string, int64], error) {
		return func(r topology.Record[string, int64]) error {
			for _, account := range []string{r.Key, "savings"} {
				if err := c.Emit(topology.Record[string, int64]{Key: account, Value: r.Value / 2}); err != nil {
					return err
				}
			}
			return nil
		}, nil
	})
	topology.Sink(half, totals)

	d := run(b)
	send(d, payments, "alice", 6)
	show(d, totals)
	// Output:
	// alice 3
	// savings 3
}

// What ProcessValues sends has the key of the record in hand, whatever its Key says.
func ExampleProcessValues() {
	b := topology.NewBuilder()
	texts := topology.ProcessValues(topology.Source(b, payments), "text", func(c *topology.Context[string, string]) (topology.Processor[string, int64], error) {
		return func(r topology.Record[string, int64]) error {
			return c.Emit(topology.Record[string, string]{Value: fmt.Sprintf("you paid £%d", r.Value)})
		}, nil
	})
	topology.Sink(texts, notes)

	d := run(b)
	send(d, payments, "alice", 6)
	show(d, notes)
	// Output: alice you paid £6
}

// A store is opened when a task starts, and is among the arguments of Process.
func ExampleOpen() {
	b := topology.NewBuilder()
	sums := topology.ProcessValues(topology.Source(b, payments), "sum", func(c *topology.Context[string, int64]) (topology.Processor[string, int64], error) {
		store, err := topology.Open(c, spent)
		if err != nil {
			return nil, err
		}
		return func(r topology.Record[string, int64]) error {
			sum, _, err := store.Get(r.Key)
			if err != nil {
				return err
			}
			if err := store.Put(r.Key, sum+r.Value); err != nil {
				return err
			}
			return c.Emit(topology.Record[string, int64]{Value: sum + r.Value})
		}, nil
	}, spent)
	topology.Sink(sums, totals)

	d := run(b)
	send(d, payments, "alice", 3)
	send(d, payments, "alice", 4)
	show(d, totals)
	// Output:
	// alice 3
	// alice 7
}

// A processor reads the rows of a table beside it.
func ExampleView() {
	b := topology.NewBuilder()
	ktable.From(b, limits)
	over := kstream.ProcessValues(kstream.From(b, payments), "check", func(c *topology.Context[string, string]) (topology.Processor[string, int64], error) {
		limit, err := topology.View(c, limits.Store())
		if err != nil {
			return nil, err
		}
		return func(r topology.Record[string, int64]) error {
			most, ok, err := limit.Get(r.Key)
			if err != nil || !ok || r.Value <= most {
				return err
			}
			return c.Emit(topology.Record[string, string]{Value: fmt.Sprintf("£%d is more than £%d", r.Value, most)})
		}, nil
	}, limits.Store())
	kstream.To(over, notes)

	d := run(b)
	send(d, limits, "alice", 100)
	send(d, payments, "alice", 3)
	send(d, payments, "alice", 500)
	show(d, notes)
	// Output: alice £500 is more than £100
}

// countEvery counts payments, and says how many there were when its schedule calls.
func countEvery(b *topology.Builder, d time.Duration, clock topology.Clock) {
	counts := kstream.Process(kstream.From(b, payments), "count", func(c *topology.Context[string, int64]) (topology.Processor[string, int64], error) {
		var n int64
		c.Schedule(d, clock, func(now time.Time) error {
			return c.Emit(topology.Record[string, int64]{Key: now.Format("15:04"), Value: n})
		})
		return func(topology.Record[string, int64]) error { n++; return nil }, nil
	})
	kstream.To(counts, totals)
}

// Stream time moves with the records: this schedule is called at the first one, and then
// once an hour is over.
func ExampleContext_Schedule() {
	b := topology.NewBuilder()
	countEvery(b, time.Hour, topology.StreamTime)

	d := run(b)
	sendAt(d, payments, "09:10", "alice", 3)
	sendAt(d, payments, "09:50", "bob", 4)
	sendAt(d, payments, "12:20", "carol", 5) // the calls of 10:00, 11:00 and 12:00 are one
	show(d, totals)
	// Output:
	// 09:10 1
	// 12:20 3
}

// Wall-clock time moves by itself, and in a test by hand.
func ExampleContext_Schedule_wallClock() {
	b := topology.NewBuilder()
	countEvery(b, time.Minute, topology.WallClock)

	d := run(b)
	send(d, payments, "alice", 3)
	d.Advance(time.Minute)
	send(d, payments, "bob", 4)
	d.Advance(time.Minute)
	show(d, totals)
	// Output:
	// 00:01 1
	// 00:02 2
}

// This schedule is called at half past each hour.
func ExampleContext_ScheduleFrom() {
	b := topology.NewBuilder()
	ticks := kstream.Process(kstream.From(b, payments), "tick", func(c *topology.Context[string, string]) (topology.Processor[string, int64], error) {
		c.ScheduleFrom(clock("09:30"), time.Hour, topology.StreamTime, func(now time.Time) error {
			return c.Emit(topology.Record[string, string]{Key: "tick", Value: now.Format("15:04")})
		})
		return func(topology.Record[string, int64]) error { return nil }, nil
	})
	kstream.To(ticks, notes)

	d := run(b)
	for _, at := range []string{"09:10", "09:31", "10:29", "10:30"} {
		sendAt(d, payments, at, "alice", 3)
	}
	show(d, notes)
	// Output:
	// tick 09:31
	// tick 10:30
}

func ExampleContext_Source() {
	b := topology.NewBuilder()
	places := kstream.ProcessValues(kstream.From(b, payments), "place", func(c *topology.Context[string, string]) (topology.Processor[string, int64], error) {
		return func(topology.Record[string, int64]) error {
			topic, partition, offset, _ := c.Source()
			return c.Emit(topology.Record[string, string]{Value: fmt.Sprintf("%s/%d at %d", topic, partition, offset)})
		}, nil
	})
	kstream.To(places, notes)

	d := run(b)
	send(d, payments, "alice", 3)
	send(d, payments, "alice", 4)
	show(d, notes)
	// Output:
	// alice payments/0 at 0
	// alice payments/0 at 1
}

// The event time of a trade is in the trade.
func ExampleTopic_timeOf() {
	type trade struct {
		Price int64
		At    time.Time
	}
	trades := topology.Topic[string, trade]{
		Name: "trades", Key: serde.String, Value: serde.JSON[trade](),
		TimeOf: func(r topology.Record[string, trade], _ time.Time) (time.Time, bool) {
			return r.Value.At, !r.Value.At.IsZero() // without a time the trade is dropped and counted
		},
	}

	b := topology.NewBuilder()
	kstream.To(kstream.MapValues(kstream.From(b, trades), func(t trade) int64 { return t.Price }), totals)

	d := run(b)
	send(d, trades, "SHEL", trade{Price: 27, At: clock("09:30")})
	send(d, trades, "SHEL", trade{Price: 28})
	for _, r := range streamstest.Read(d, totals) {
		fmt.Println(r.Key, r.Value, r.Time.Format("15:04"))
	}
	// Output: SHEL 27 09:30
}

// A stream of a nullable topic sees deletes.
func ExampleNullable() {
	b := topology.NewBuilder()
	kstream.To(kstream.MapValues(kstream.From(b, topology.Nullable(limits)), func(pounds *int64) string {
		if pounds == nil {
			return "no limit"
		}
		return fmt.Sprintf("no more than £%d", *pounds)
	}), notes)

	d := run(b)
	send(d, limits, "alice", 100)
	remove(d, limits, "alice")
	show(d, notes)
	// Output:
	// alice no more than £100
	// alice no limit
}

// A new application begins with the payments of the last week.
func ExampleAgo() {
	recent := payments
	recent.StartAt = topology.Ago(7 * 24 * time.Hour)

	b := topology.NewBuilder()
	kstream.To(kstream.From(b, recent), totals)

	d := run(b) // a topic of a test begins empty
	send(d, recent, "alice", 3)
	show(d, totals)
	// Output: alice 3
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
