package kstream_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

func ExampleFrom() {
	cards := topology.Topic[string, int64]{Name: "card-payments", Key: serde.String, Value: serde.Int64}
	transfers := topology.Topic[string, int64]{Name: "transfers", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	kstream.To(kstream.From(b, cards, transfers), payments)

	d := run(b)
	send(d, cards, "alice", 3)
	send(d, transfers, "bob", 500)
	show(d, payments)
	// Output:
	// alice 3
	// bob 500
}

func ExampleTo() {
	b := topology.NewBuilder()
	kstream.To(kstream.From(b, payments), totals)

	d := run(b)
	send(d, payments, "alice", 3)
	show(d, totals)
	// Output: alice 3
}

// Each account has a topic of its own. The topics have to be there.
func ExampleToEach() {
	statement := topology.Topic[string, int64]{Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	kstream.ToEach(kstream.From(b, payments), func(r topology.Record[string, int64]) string { return "statement-" + r.Key }, statement)

	d := run(b)
	send(d, payments, "alice", 3)
	send(d, payments, "bob", 500)
	statement.Name = "statement-bob"
	show(d, statement)
	// Output: bob 500
}

func ExampleFilter() {
	b := topology.NewBuilder()
	large := kstream.Filter(kstream.From(b, payments), func(_ string, pounds int64) bool { return pounds >= 100 })
	kstream.To(large, totals)

	d := run(b)
	send(d, payments, "alice", 3)
	send(d, payments, "bob", 500)
	show(d, totals)
	// Output: bob 500
}

func ExampleMap() {
	b := topology.NewBuilder()
	byDigits := kstream.Map(kstream.From(b, payments), func(account string, pounds int64) (string, string) {
		return fmt.Sprint(len(strconv.FormatInt(pounds, 10)), " digits"), account
	})
	kstream.To(byDigits, notes)

	d := run(b)
	send(d, payments, "alice", 3)
	send(d, payments, "bob", 500)
	show(d, notes)
	// Output:
	// 1 digits alice
	// 3 digits bob
}

func ExampleMapValues() {
	b := topology.NewBuilder()
	texts := kstream.MapValues(kstream.From(b, payments), func(pounds int64) string { return fmt.Sprintf("you paid £%d", pounds) })
	kstream.To(texts, notes)

	d := run(b)
	send(d, payments, "alice", 3)
	show(d, notes)
	// Output: alice you paid £3
}

func ExampleMapValuesWithKey() {
	b := topology.NewBuilder()
	texts := kstream.MapValuesWithKey(kstream.From(b, payments), func(account string, pounds int64) string {
		return fmt.Sprintf("%s, you paid £%d", account, pounds)
	})
	kstream.To(texts, notes)

	d := run(b)
	send(d, payments, "alice", 3)
	show(d, notes)
	// Output: alice alice, you paid £3
}

func ExampleTryMapValues() {
	b := topology.NewBuilder()
	numbers := kstream.TryMapValues(kstream.From(b, notes), func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) })
	kstream.To(numbers, totals)

	d := run(b)
	send(d, notes, "alice", "3") // a note that is no number goes to Config.OnBadRecord
	show(d, totals)
	// Output: alice 3
}

// What a record says of the branch moves from its headers into its value.
func ExampleMapRecords() {
	b := topology.NewBuilder()
	texts := kstream.MapRecords(kstream.From(b, payments), func(r topology.Record[string, int64]) (topology.Record[string, string], error) {
		out := topology.Record[string, string]{Value: fmt.Sprintf("£%d", r.Value), Headers: []topology.Header{}}
		for _, h := range r.Headers {
			if h.Key == "branch" {
				out.Value += " in " + string(h.Value)
			}
		}
		return out, nil
	})
	kstream.To(texts, notes)

	d := run(b)
	streamstest.Send(d, payments, topology.Record[string, int64]{
		Key: "alice", Value: 3, Headers: []topology.Header{{Key: "branch", Value: []byte("London")}},
	})
	show(d, notes)
	// Output: alice £3 in London
}

// A transfer is a payment of one account and an income of another.
func ExampleFlatMap() {
	transfers := topology.Topic[string, int64]{Name: "transfers", Key: serde.String, Value: serde.Int64} // from>to, pounds

	b := topology.NewBuilder()
	bookings := kstream.FlatMap(kstream.From(b, transfers), func(accounts string, pounds int64, emit func(string, int64)) {
		from, to, _ := strings.Cut(accounts, ">")
		emit(from, -pounds)
		emit(to, pounds)
	})
	kstream.To(bookings, totals)

	d := run(b)
	send(d, transfers, "alice>bob", 5)
	show(d, totals)
	// Output:
	// alice -5
	// bob 5
}

func ExampleFlatMapValues() {
	b := topology.NewBuilder()
	kstream.To(kstream.FlatMapValues(kstream.From(b, customers), strings.Fields), notes)

	d := run(b)
	send(d, customers, "alice", "Alice Liddell")
	show(d, notes)
	// Output:
	// alice Alice
	// alice Liddell
}

func ExampleSelectKey() {
	b := topology.NewBuilder()
	byName := kstream.SelectKey(kstream.From(b, customers), func(_, name string) string { return strings.ToLower(name) })
	kstream.To(byName, notes)

	d := run(b)
	send(d, customers, "7", "Alice")
	show(d, notes)
	// Output: alice Alice
}

func ExamplePeek() {
	b := topology.NewBuilder()
	seen := kstream.Peek(kstream.From(b, payments), func(account string, pounds int64) { fmt.Println("saw", account, pounds) })
	kstream.To(seen, totals)

	d := run(b)
	send(d, payments, "alice", 3)
	show(d, totals)
	// Output:
	// saw alice 3
	// alice 3
}

func ExampleMerge() {
	b := topology.NewBuilder()
	paid := kstream.MapValues(kstream.From(b, payments), func(pounds int64) string { return fmt.Sprintf("paid £%d", pounds) })
	joined := kstream.MapValues(kstream.From(b, customers), func(name string) string { return "welcome, " + name })
	kstream.To(kstream.Merge(paid, joined), notes)

	d := run(b)
	send(d, customers, "alice", "Alice")
	send(d, payments, "alice", 3)
	show(d, notes)
	// Output:
	// alice welcome, Alice
	// alice paid £3
}

func ExampleSplit() {
	b := topology.NewBuilder()
	large, rest := kstream.Split(kstream.From(b, payments), func(_ string, pounds int64) bool { return pounds >= 1000 })
	medium, small := kstream.Split(rest, func(_ string, pounds int64) bool { return pounds >= 100 })
	say := func(s kstream.Stream[string, int64], size string) {
		kstream.To(kstream.MapValues(s, func(pounds int64) string { return fmt.Sprint(pounds, " is ", size) }), notes)
	}
	say(large, "large")
	say(medium, "medium")
	say(small, "small")

	d := run(b)
	send(d, payments, "alice", 3)
	send(d, payments, "bob", 500)
	send(d, payments, "carol", 70_000)
	show(d, notes)
	// Output:
	// alice 3 is small
	// bob 500 is medium
	// carol 70000 is large
}

func ExampleForEach() {
	b := topology.NewBuilder()
	kstream.ForEach(kstream.From(b, payments), func(_ context.Context, r topology.Record[string, int64]) error {
		_, err := fmt.Println("text", r.Key, "about", r.Value)
		return err
	})

	d := run(b)
	send(d, payments, "alice", 3)
	// Output: text alice about 3
}
