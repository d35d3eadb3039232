package kstream_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// Orders and their payments, which come within an hour of each other.
var (
	orders = topology.Topic[string, string]{Name: "orders", Key: serde.String, Value: serde.String} // order, article
	paid   = topology.Topic[string, int64]{Name: "paid", Key: serde.String, Value: serde.Int64}     // order, pounds

	withinAnHour = kstream.Joined[string, string, int64]{
		Name: "paid-orders", Key: serde.String, Left: serde.String, Right: serde.Int64, Window: window.Within(time.Hour),
	}
)

// An order and its payment meet, whichever comes first.
func ExampleJoinStream() {
	b := topology.NewBuilder()
	kstream.To(kstream.JoinStream(kstream.From(b, orders), kstream.From(b, paid), func(article string, pounds int64) string {
		return fmt.Sprintf("%s for £%d", article, pounds)
	}, withinAnHour), notes)

	d := run(b)
	sendAt(d, orders, "09:00", "7", "a kettle")
	sendAt(d, paid, "09:20", "7", 30)
	sendAt(d, paid, "09:30", "8", 500)
	sendAt(d, orders, "09:40", "8", "a piano")
	sendAt(d, paid, "12:00", "7", 30) // no order is near
	show(d, notes)
	// Output:
	// 7 a kettle for £30
	// 8 a piano for £500
}

// An order that nobody pays within an hour is told when the hour is over.
func ExampleLeftJoinStream() {
	b := topology.NewBuilder()
	kstream.To(kstream.LeftJoinStream(kstream.From(b, orders), kstream.From(b, paid), func(article string, pounds int64, ok bool) string {
		if !ok {
			return article + " is not paid"
		}
		return fmt.Sprintf("%s for £%d", article, pounds)
	}, withinAnHour), notes)

	d := run(b)
	sendAt(d, orders, "09:00", "7", "a kettle")
	sendAt(d, orders, "09:10", "8", "a piano")
	sendAt(d, paid, "09:20", "7", 30)
	sendAt(d, orders, "10:30", "9", "a lamp") // it is later than 10:10 now
	show(d, notes)
	// Output:
	// 7 a kettle for £30
	// 8 a piano is not paid
}

// A payment without an order is told too.
func ExampleOuterJoinStream() {
	b := topology.NewBuilder()
	kstream.To(kstream.OuterJoinStream(kstream.From(b, orders), kstream.From(b, paid), func(article string, ordered bool, pounds int64, paid bool) string {
		switch {
		case !ordered:
			return fmt.Sprintf("£%d for nothing", pounds)
		case !paid:
			return article + " is not paid"
		}
		return fmt.Sprintf("%s for £%d", article, pounds)
	}, withinAnHour), notes)

	d := run(b)
	sendAt(d, orders, "09:00", "7", "a kettle")
	sendAt(d, paid, "09:10", "8", 500)
	sendAt(d, orders, "10:30", "9", "a lamp")
	show(d, notes)
	// Output:
	// 7 a kettle is not paid
	// 8 £500 for nothing
}

var countries = topology.Topic[string, string]{Name: "countries", Key: serde.String, Value: serde.String} // currency, country

// country is the currency that a note begins with.
func country(_, note string) (string, bool) {
	if len(note) < 3 {
		return "", false
	}
	return note[:3], true
}

// A global table is whole in every instance, and is looked up by any key.
func ExampleJoinGlobal() {
	b := topology.NewBuilder()
	where := kstream.JoinGlobal(kstream.From(b, orders), ktable.GlobalFrom(b, countries), country, func(order, country string) string {
		return order + " from " + country
	})
	kstream.To(where, notes)

	d := run(b)
	send(d, countries, "CHF", "Switzerland")
	send(d, orders, "7", "CHF 40")
	send(d, orders, "8", "QQQ 40")
	show(d, notes)
	// Output: 7 CHF 40 from Switzerland
}

func ExampleLeftJoinGlobal() {
	b := topology.NewBuilder()
	where := kstream.LeftJoinGlobal(kstream.From(b, orders), ktable.GlobalFrom(b, countries), country, func(order, country string, ok bool) string {
		if !ok {
			country = "nowhere"
		}
		return order + " from " + country
	})
	kstream.To(where, notes)

	d := run(b)
	send(d, countries, "CHF", "Switzerland")
	send(d, orders, "7", "CHF 40")
	send(d, orders, "8", "QQQ 40")
	show(d, notes)
	// Output:
	// 7 CHF 40 from Switzerland
	// 8 QQQ 40 from nowhere
}

// Payments of a clock that is slow come in their places, if they are not later than ten
// minutes.
func ExampleReorder() {
	waiting := state.Store[string, int64]{Name: "waiting", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	kstream.To(kstream.Reorder(kstream.From(b, payments), 10*time.Minute, waiting), totals)

	d := run(b)
	sendAt(d, payments, "09:05", "alice", 2)
	sendAt(d, payments, "09:01", "bob", 1)
	sendAt(d, payments, "09:07", "carol", 3)
	sendAt(d, payments, "09:20", "dave", 4)
	show(d, totals)
	// Output:
	// bob 1
	// alice 2
	// carol 3
}
