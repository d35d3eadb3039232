//go:build unix

package chaos

import (
	"errors"
	"strconv"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

const day = 24 * time.Hour

// tens are windows of ten seconds. Nothing is late for them.
var tens = window.Tumbling{Size: 10 * time.Second, Grace: day}

// number reads numbers, and nothing else: other records are poison.
var number = serde.Func(
	func(dst []byte, n int64) ([]byte, error) { return strconv.AppendInt(dst, n, 10), nil },
	func(data []byte) (int64, error) {
		n, err := strconv.ParseInt(string(data), 10, 64)
		if err != nil {
			return 0, errors.New("poison")
		}
		return n, nil
	})

func topicOf[V any](name string, value serde.Serde[V]) topology.Topic[string, V] {
	return topology.Topic[string, V]{Name: name, Key: serde.String, Value: value}
}

// inputs are the topics that are read, by all applications.
var inputs = []string{"events", "lefts", "rights", "purchases", "users", "names", "ages", "orders", "customers", "messages"}

// outputs are the topics of results, each with the application's name before it.
var outputs = []string{"counts", "sums", "pairs", "profiles", "people", "deliveries", "once"}

// everything is the topology: each part has its own inputs and results. A prefix keeps runs apart.
func everything(b *topology.Builder, prefix, app string) {
	in := func(name string) topology.Topic[string, string] { return topicOf(prefix+name, serde.String) }
	out := func(name string) topology.Topic[string, string] { return topicOf(app+"-"+name, serde.String) }

	events := kstream.GroupByKey(kstream.From(b, topicOf(prefix+"events", number)))
	ktable.To(kstream.Count(events, state.Store[string, int64]{Name: "count", Key: serde.String, Value: number}), topicOf(app+"-counts", number))
	sums := state.Store[window.Key[string], int64]{Name: "sum", Key: window.Keys(serde.String, tens), Value: number, Retention: 2 * day}
	sum := aggregate.Sum(func(n int64) int64 { return n })
	ktable.To(kstream.Aggregate(kstream.WindowedBy(events, tens), sum, sums), topology.Topic[window.Key[string], int64]{Name: app + "-sums", Key: sums.Key, Value: number})

	pairs := kstream.JoinStream(kstream.From(b, in("lefts")), kstream.From(b, in("rights")), func(l, r string) string { return l + "+" + r },
		kstream.Joined[string, string, string]{Name: "pair", Key: serde.String, Left: serde.String, Right: serde.String, Window: window.Join{Before: time.Hour, After: time.Hour}})
	kstream.To(pairs, out("pairs"))

	byUser := kstream.KeyBy(kstream.From(b, in("purchases")), func(_, user string) string { return user }, topicOf("by-user", serde.String))
	withKey := kstream.Join(byUser, ktable.From(b, in("users")), func(user, profile string) string { return user + "+" + profile })
	kstream.To(withKey, out("profiles"))

	people := ktable.Join(ktable.From(b, in("names")), ktable.From(b, in("ages")), func(name, age string) string { return name + "+" + age })
	ktable.To(people, out("people"))

	deliveries := ktable.JoinForeignKey(ktable.From(b, in("orders")), ktable.From(b, in("customers")),
		func(_, customer string) (string, bool) { return customer, customer != "" }, func(order, customer string) string { return order + "+" + customer }, "delivery")
	ktable.To(deliveries, out("deliveries"))

	once := dedup.By(kstream.From(b, in("messages")), func(_, id string) string { return id }, dedup.Seen[string]{Name: "seen", Key: serde.String, Within: day})
	kstream.To(once, out("once"))
}
