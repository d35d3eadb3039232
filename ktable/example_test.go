package ktable_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// The topics of a bank, which most examples read and write.
var (
	balances  = topology.Topic[string, int64]{Name: "balances", Key: serde.String, Value: serde.Int64}    // account, pounds
	customers = topology.Topic[string, string]{Name: "customers", Key: serde.String, Value: serde.String} // account, name
	texts     = topology.Topic[string, string]{Name: "texts", Key: serde.String, Value: serde.String}
	numbers   = topology.Topic[string, int64]{Name: "numbers", Key: serde.String, Value: serde.Int64}
)

func ExampleFrom() {
	b := topology.NewBuilder()
	ktable.To(ktable.From(b, customers), texts)

	d := run(b)
	send(d, customers, "7", "Alice")
	send(d, customers, "7", "Alice L.")
	remove(d, customers, "7")
	show(d, texts)
	// Output:
	// 7 Alice
	// 7 Alice L.
	// 7 deleted
}

func ExampleTo() {
	b := topology.NewBuilder()
	ktable.To(ktable.From(b, customers), texts)

	d := run(b)
	send(d, customers, "7", "Alice")
	show(d, texts)
	// Output: 7 Alice
}

// A row that does not pass is a delete.
func ExampleFilter() {
	b := topology.NewBuilder()
	ktable.To(ktable.Filter(ktable.From(b, balances), func(_ string, pounds int64) bool { return pounds < 0 }), numbers)

	d := run(b)
	send(d, balances, "alice", -5)
	send(d, balances, "alice", 20)
	show(d, numbers)
	// Output:
	// alice -5
	// alice deleted
}

func ExampleMapValues() {
	b := topology.NewBuilder()
	ktable.To(ktable.MapValues(ktable.From(b, balances), func(pounds int64) string { return fmt.Sprintf("£%d", pounds) }), texts)

	d := run(b)
	send(d, balances, "alice", 20)
	remove(d, balances, "alice")
	show(d, texts)
	// Output:
	// alice £20
	// alice deleted
}

func ExampleMapValuesWithKey() {
	b := topology.NewBuilder()
	ktable.To(ktable.MapValuesWithKey(ktable.From(b, balances), func(account string, pounds int64) string {
		return fmt.Sprintf("%s has £%d", account, pounds)
	}), texts)

	d := run(b)
	send(d, balances, "alice", 20)
	show(d, texts)
	// Output: alice alice has £20
}

// Rows in a store of their own can be queried, and read by a processor.
func ExampleMaterialize() {
	debts := state.Store[string, int64]{Name: "debts", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	ktable.Materialize(ktable.Filter(ktable.From(b, balances), func(_ string, pounds int64) bool { return pounds < 0 }), debts)

	d := run(b)
	send(d, balances, "alice", -5)
	send(d, balances, "bob", 40)
	for row, err := range streamstest.Rows(d, debts).All() {
		fmt.Println(row.Key, row.Value, err)
	}
	// Output: alice -5 <nil>
}

// With History a table knows what it held before.
func ExampleMaterialize_history() {
	history := state.Store[string, int64]{Name: "balance-history", Key: serde.String, Value: serde.Int64, History: 24 * time.Hour}

	b := topology.NewBuilder()
	ktable.Materialize(ktable.From(b, balances), history)

	d := run(b)
	sendAt(d, balances, "09:00", "alice", 20)
	sendAt(d, balances, "12:00", "alice", 70)
	row, ok, err := state.GetAt(streamstest.Rows(d, history), "alice", clock("11:00"))
	fmt.Println(row.Value, ok, err)
	// Output: 20 true <nil>
}

// How many accounts has each customer?
func ExampleGroupBy() {
	byName := topology.Topic[string, string]{Name: "by-name", Key: serde.String, Value: serde.String}
	accounts := state.Store[string, int64]{Name: "accounts", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	grouped := ktable.GroupBy(ktable.From(b, customers), func(account, name string) (string, string) { return name, account }, byName)
	ktable.To(ktable.Count(grouped, accounts), numbers)

	d := run(b)
	send(d, customers, "7", "Alice")
	send(d, customers, "8", "Alice")
	send(d, customers, "8", "Bob") // the account has another holder now
	show(d, numbers)
	// Output:
	// Alice 1
	// Alice 2
	// Alice 1
	// Bob 1
}

func ExampleCount() {
	byName := topology.Topic[string, string]{Name: "by-name", Key: serde.String, Value: serde.String}
	accounts := state.Store[string, int64]{Name: "accounts", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	grouped := ktable.GroupBy(ktable.From(b, customers), func(account, name string) (string, string) { return name, account }, byName)
	ktable.To(ktable.Count(grouped, accounts), numbers)

	d := run(b)
	send(d, customers, "7", "Alice")
	remove(d, customers, "7")
	show(d, numbers)
	// Output:
	// Alice 1
	// Alice 0
}

// sign puts an account among those that owe money or those that have some.
func sign(_ string, pounds int64) (string, int64) {
	if pounds < 0 {
		return "owed", pounds
	}
	return "owned", pounds
}

var bySign = topology.Topic[string, int64]{Name: "by-sign", Key: serde.String, Value: serde.Int64}

// What do all accounts together own, and owe?
func ExampleReduce() {
	sums := state.Store[string, int64]{Name: "sums", Key: serde.String, Value: serde.Int64}
	add := func(a, pounds int64) int64 { return a + pounds }
	remove := func(a, pounds int64) int64 { return a - pounds }

	b := topology.NewBuilder()
	ktable.To(ktable.Reduce(ktable.GroupBy(ktable.From(b, balances), sign, bySign), add, remove, sums), numbers)

	d := run(b)
	send(d, balances, "alice", 20)
	send(d, balances, "bob", 40)
	send(d, balances, "alice", 25)
	show(d, numbers)
	// Output:
	// owned 20
	// owned 60
	// owned 65
}

func ExampleAggregate() {
	sums := state.Store[string, int64]{Name: "sums", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	sum := aggregate.Sum(func(pounds int64) int64 { return pounds })
	ktable.To(ktable.Aggregate(ktable.GroupBy(ktable.From(b, balances), sign, bySign), sum, sums), numbers)

	d := run(b)
	send(d, balances, "alice", 20)
	send(d, balances, "alice", -5)
	show(d, numbers)
	// Output:
	// owned 20
	// owned 0
	// owed -5
}

func greet(name string, pounds int64) string { return fmt.Sprintf("%s has £%d", name, pounds) }

// Rows of the same account make one.
func ExampleJoin() {
	b := topology.NewBuilder()
	ktable.To(ktable.Join(ktable.From(b, customers), ktable.From(b, balances), greet), texts)

	d := run(b)
	send(d, customers, "7", "Alice")
	send(d, balances, "7", 20)
	send(d, balances, "7", 25)
	remove(d, customers, "7")
	show(d, texts)
	// Output:
	// 7 Alice has £20
	// 7 Alice has £25
	// 7 deleted
}

func ExampleLeftJoin() {
	b := topology.NewBuilder()
	ktable.To(ktable.LeftJoin(ktable.From(b, customers), ktable.From(b, balances), func(name string, pounds int64, ok bool) string {
		if !ok {
			return name + " has no account"
		}
		return greet(name, pounds)
	}), texts)

	d := run(b)
	send(d, customers, "7", "Alice")
	send(d, balances, "7", 20)
	show(d, texts)
	// Output:
	// 7 Alice has no account
	// 7 Alice has £20
}

func ExampleOuterJoin() {
	b := topology.NewBuilder()
	ktable.To(ktable.OuterJoin(ktable.From(b, customers), ktable.From(b, balances), func(name string, known bool, pounds int64, has bool) string {
		switch {
		case !known:
			return fmt.Sprintf("nobody knows whose £%d these are", pounds)
		case !has:
			return name + " has no account"
		}
		return greet(name, pounds)
	}), texts)

	d := run(b)
	send(d, balances, "7", 20)
	send(d, customers, "8", "Bob")
	send(d, customers, "7", "Alice")
	show(d, texts)
	// Output:
	// 7 nobody knows whose £20 these are
	// 8 Bob has no account
	// 7 Alice has £20
}

// Accounts are joined with their holders by what their rows say, since their keys are others.
func ExampleJoinForeignKey() {
	holders := topology.Topic[string, string]{Name: "holders", Key: serde.String, Value: serde.String} // account, customer

	b := topology.NewBuilder()
	names := ktable.JoinForeignKey(ktable.From(b, holders), ktable.From(b, customers),
		func(_, customer string) (string, bool) { return customer, true },
		func(customer, name string) string { return name }, "account-names")
	ktable.To(names, texts)

	d := run(b)
	send(d, customers, "c7", "Alice")
	send(d, holders, "1", "c7")
	send(d, holders, "2", "c7")
	send(d, customers, "c7", "Alice L.") // both accounts hear of it
	show(d, texts)
	// Output:
	// 1 Alice
	// 2 Alice
	// 1 Alice L.
	// 2 Alice L.
}

func ExampleLeftJoinForeignKey() {
	holders := topology.Topic[string, string]{Name: "holders", Key: serde.String, Value: serde.String} // account, customer

	b := topology.NewBuilder()
	names := ktable.LeftJoinForeignKey(ktable.From(b, holders), ktable.From(b, customers),
		func(_, customer string) (string, bool) { return customer, true },
		func(customer, name string, ok bool) string {
			if !ok {
				return "unknown " + customer
			}
			return name
		}, "account-names")
	ktable.To(names, texts)

	d := run(b)
	send(d, holders, "1", "c7")
	send(d, customers, "c7", "Alice")
	show(d, texts)
	// Output:
	// 1 unknown c7
	// 1 Alice
}

// A balance that changes often is sent once in ten minutes.
func ExampleSuppress() {
	held := state.Store[string, int64]{Name: "held", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	ktable.To(ktable.Suppress(ktable.From(b, balances), 10*time.Minute, ktable.Buffer{}, held), numbers)

	d := run(b)
	sendAt(d, balances, "09:00", "alice", 20)
	sendAt(d, balances, "09:04", "alice", 25)
	sendAt(d, balances, "09:10", "bob", 40)
	show(d, numbers)
	// Output: alice 25
}

// Each hour has one result, when it is over.
func ExampleSuppressUntilClose() {
	hourly := window.Tumbling{Size: time.Hour}
	perHour := state.Store[window.Key[string], int64]{Name: "per-hour", Key: window.Keys(serde.String, hourly), Value: serde.Int64}
	held := perHour
	held.Name = "held"

	b := topology.NewBuilder()
	counts := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, balances)), hourly), perHour)
	final := ktable.SuppressUntilClose(counts, ktable.Buffer{}, held)
	kstream.To(kstream.SelectKey(kstream.Updates(final), func(k window.Key[string], _ int64) string { return k.Key }), numbers)

	d := run(b)
	sendAt(d, balances, "09:00", "alice", 20)
	sendAt(d, balances, "09:50", "alice", 25)
	sendAt(d, balances, "10:00", "bob", 40)
	show(d, numbers)
	// Output: alice 2
}

// Every instance has all rows of a global table.
func ExampleGlobalFrom() {
	b := topology.NewBuilder()
	names := ktable.GlobalFrom(b, customers)
	byAccount := func(account string, _ int64) (string, bool) { return account, true }
	kstream.To(kstream.JoinGlobal(kstream.From(b, balances), names, byAccount, func(pounds int64, name string) string {
		return greet(name, pounds)
	}), texts)

	d := run(b)
	send(d, customers, "7", "Alice")
	send(d, balances, "7", 20)
	show(d, texts)
	// Output: 7 Alice has £20
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
