package kstream_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// A payment is told to the customer by name, if there is one.
func ExampleJoin() {
	b := topology.NewBuilder()
	texts := kstream.Join(kstream.From(b, payments), ktable.From(b, customers), func(pounds int64, name string) string {
		return fmt.Sprintf("%s, you paid £%d", name, pounds)
	})
	kstream.To(texts, notes)

	d := run(b)
	send(d, customers, "7", "Alice")
	send(d, payments, "7", 30)
	send(d, payments, "8", 500)
	show(d, notes)
	// Output: 7 Alice, you paid £30
}

// A table with History is joined as of a payment's own time, also when it comes late.
func ExampleJoin_history() {
	rates := topology.Topic[string, int64]{Name: "rates", Key: serde.String, Value: serde.Int64} // currency, pence
	foreign := topology.Topic[string, int64]{Name: "foreign", Key: serde.String, Value: serde.Int64}
	history := state.Store[string, int64]{Name: "rate-history", Key: serde.String, Value: serde.Int64, History: 24 * time.Hour}

	b := topology.NewBuilder()
	past := ktable.Materialize(ktable.From(b, rates), history)
	kstream.To(kstream.Join(kstream.From(b, foreign), past, func(amount, pence int64) int64 { return amount * pence }), totals)

	d := run(b)
	sendAt(d, rates, "09:00", "EUR", 84)
	sendAt(d, rates, "12:00", "EUR", 90)
	sendAt(d, foreign, "12:30", "EUR", 100)
	sendAt(d, foreign, "10:15", "EUR", 100) // late
	show(d, totals)
	// Output:
	// EUR 9000
	// EUR 8400
}

func ExampleLeftJoin() {
	b := topology.NewBuilder()
	texts := kstream.LeftJoin(kstream.From(b, payments), ktable.From(b, customers), func(pounds int64, name string, ok bool) string {
		if !ok {
			name = "somebody"
		}
		return fmt.Sprintf("%s paid £%d", name, pounds)
	})
	kstream.To(texts, notes)

	d := run(b)
	send(d, customers, "7", "Alice")
	send(d, payments, "7", 30)
	send(d, payments, "8", 500)
	show(d, notes)
	// Output:
	// 7 Alice paid £30
	// 8 somebody paid £500
}

// The last payment of each account.
func ExampleToTable() {
	b := topology.NewBuilder()
	ktable.To(kstream.ToTable(kstream.From(b, payments), sums), totals)

	d := run(b)
	send(d, payments, "alice", 30)
	send(d, payments, "alice", 40)
	show(d, totals)
	// Output:
	// alice 30
	// alice 40
}

// New and changed rows are a stream. Deletes are left out, since a string is never nil.
func ExampleUpdates() {
	b := topology.NewBuilder()
	kstream.To(kstream.MapValues(kstream.Updates(ktable.From(b, customers)), func(name string) string { return "is " + name }), notes)

	d := run(b)
	send(d, customers, "7", "Alice")
	remove(d, customers, "7")
	show(d, notes)
	// Output: 7 is Alice
}

func ExampleChanges() {
	b := topology.NewBuilder()
	kstream.To(kstream.MapValues(kstream.Changes(ktable.From(b, customers)), func(name *string) string {
		if name == nil {
			return "left"
		}
		return "is " + *name
	}), notes)

	d := run(b)
	send(d, customers, "7", "Alice")
	remove(d, customers, "7")
	show(d, notes)
	// Output:
	// 7 is Alice
	// 7 left
}
