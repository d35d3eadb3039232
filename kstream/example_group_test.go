package kstream_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// sums keeps a number for each account.
var sums = state.Store[string, int64]{Name: "sums", Key: serde.String, Value: serde.Int64}

func add(a, b int64) int64 { return a + b }

// Records whose key was changed meet in one task behind a topic of the application.
func ExampleRepartition() {
	byHolder := topology.Topic[string, int64]{Name: "by-holder", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	renamed := kstream.SelectKey(kstream.From(b, payments), func(account string, _ int64) string {
		holder, _, _ := strings.Cut(account, "-")
		return holder
	})
	ktable.To(kstream.Reduce(kstream.GroupByKey(kstream.Repartition(renamed, byHolder)), add, sums), totals)

	d := run(b)
	send(d, payments, "alice-1", 3)
	send(d, payments, "alice-2", 4)
	show(d, totals)
	// Output:
	// alice 3
	// alice 7
}

func ExampleKeyBy() {
	byName := topology.Topic[string, string]{Name: "by-name", Key: serde.String, Value: serde.String}

	b := topology.NewBuilder()
	kstream.To(kstream.KeyBy(kstream.From(b, customers), func(_, name string) string { return name }, byName), notes)

	d := run(b)
	send(d, customers, "7", "Alice")
	show(d, notes)
	// Output: Alice Alice
}

func ExampleGroupByKey() {
	b := topology.NewBuilder()
	ktable.To(kstream.Count(kstream.GroupByKey(kstream.From(b, payments)), sums), totals)

	d := run(b)
	send(d, payments, "alice", 30)
	send(d, payments, "bob", 500)
	send(d, payments, "alice", 40)
	show(d, totals)
	// Output:
	// alice 1
	// bob 1
	// alice 2
}

func ExampleGroupBy() {
	bySize := topology.Topic[string, int64]{Name: "by-size", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	sized := kstream.GroupBy(kstream.From(b, payments), func(_ string, pounds int64) string {
		if pounds < 100 {
			return "small"
		}
		return "large"
	}, bySize)
	ktable.To(kstream.Count(sized, sums), totals)

	d := run(b)
	send(d, payments, "alice", 3)
	send(d, payments, "bob", 500)
	send(d, payments, "carol", 4)
	show(d, totals)
	// Output:
	// small 1
	// large 1
	// small 2
}

// What does each account pay in an hour? A payment that comes late still counts in its own
// hour, for ten minutes.
func ExampleWindowedBy() {
	hourly := window.Tumbling{Size: time.Hour, Grace: 10 * time.Minute}
	perHour := state.Store[window.Key[string], int64]{Name: "per-hour", Key: window.Keys(serde.String, hourly), Value: serde.Int64}

	b := topology.NewBuilder()
	grouped := kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, payments)), hourly)
	sum := kstream.Reduce(grouped, add, perHour)
	kstream.To(kstream.Map(kstream.Updates(sum), func(k window.Key[string], pounds int64) (string, int64) {
		return k.Key + " from " + k.Start.Format("15:04"), pounds
	}), totals)

	d := run(b)
	sendAt(d, payments, "09:10", "alice", 3)
	sendAt(d, payments, "10:05", "alice", 5)
	sendAt(d, payments, "09:59", "alice", 4) // late, but not too late
	sendAt(d, payments, "10:20", "alice", 6)
	sendAt(d, payments, "09:59", "alice", 7) // too late
	show(d, totals)
	// Output:
	// alice from 09:00 3
	// alice from 10:00 5
	// alice from 09:00 7
	// alice from 10:00 11
}

func ExampleCount() {
	b := topology.NewBuilder()
	ktable.To(kstream.Count(kstream.GroupByKey(kstream.From(b, payments)), sums), totals)

	d := run(b)
	send(d, payments, "alice", 30)
	send(d, payments, "alice", 40)
	show(d, totals)
	// Output:
	// alice 1
	// alice 2
}

func ExampleReduce() {
	b := topology.NewBuilder()
	largest := func(a, pounds int64) int64 { return max(a, pounds) }
	ktable.To(kstream.Reduce(kstream.GroupByKey(kstream.From(b, payments)), largest, sums), totals)

	d := run(b)
	send(d, payments, "alice", 30)
	send(d, payments, "alice", 40)
	send(d, payments, "alice", 35)
	show(d, totals)
	// Output:
	// alice 30
	// alice 40
	// alice 40
}

func ExampleAggregate() {
	type spending struct{ Payments, Pounds int64 }
	spent := state.Store[string, spending]{Name: "spent", Key: serde.String, Value: serde.JSON[spending]()}

	b := topology.NewBuilder()
	fold := aggregate.Fold(nil, func(s spending, pounds int64) spending {
		return spending{s.Payments + 1, s.Pounds + pounds}
	})
	table := kstream.Aggregate(kstream.GroupByKey(kstream.From(b, payments)), fold, spent)
	kstream.To(kstream.MapValues(kstream.Updates(table), func(s spending) string {
		return fmt.Sprintf("£%d in %d payments", s.Pounds, s.Payments)
	}), notes)

	d := run(b)
	send(d, payments, "alice", 30)
	send(d, payments, "alice", 40)
	show(d, notes)
	// Output:
	// alice £30 in 1 payments
	// alice £70 in 2 payments
}

// A balance is what payments and incomes make, together.
func ExampleCogroup() {
	incomes := topology.Topic[string, int64]{Name: "incomes", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	balance := kstream.Cogroup(sums,
		kstream.Folding(kstream.GroupByKey(kstream.From(b, incomes)), aggregate.Fold(nil, func(a, pounds int64) int64 { return a + pounds })),
		kstream.Folding(kstream.GroupByKey(kstream.From(b, payments)), aggregate.Fold(nil, func(a, pounds int64) int64 { return a - pounds })))
	ktable.To(balance, totals)

	d := run(b)
	send(d, incomes, "alice", 100)
	send(d, payments, "alice", 30)
	show(d, totals)
	// Output:
	// alice 100
	// alice 70
}

func ExampleFolding() {
	b := topology.NewBuilder()
	length := aggregate.Fold(nil, func(a int64, text string) int64 { return a + int64(len(text)) })
	ktable.To(kstream.Cogroup(sums,
		kstream.Folding(kstream.GroupByKey(kstream.From(b, notes)), length),
		kstream.Folding(kstream.GroupByKey(kstream.From(b, customers)), length)), totals)

	d := run(b)
	send(d, customers, "7", "Alice")
	send(d, notes, "7", "paid")
	show(d, totals)
	// Output:
	// 7 5
	// 7 9
}
