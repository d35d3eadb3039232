package window_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// count counts records, which come so many seconds after the hour, in windows, and prints
// what is sent at each.
func count(w window.Windows, seconds ...int64) {
	visits := topology.Topic[string, string]{Name: "visits", Key: serde.String, Value: serde.String}
	counts := topology.Topic[window.Key[string], *int64]{Name: "counts", Key: window.Keys(serde.String, w), Value: serde.Nullable(serde.Int64)}
	kept := state.Store[window.Key[string], int64]{Name: "kept", Key: counts.Key, Value: serde.Int64}
	b := topology.NewBuilder()
	n := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, visits)), w), kept)
	kstream.To(kstream.Changes(n), counts)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}

	d := streamstest.New(streamstest.InExample, topo)
	for _, s := range seconds {
		fmt.Printf("at %d:\n", s)
		streamstest.Send(d, visits, topology.Record[string, string]{Key: "alice", Time: time.Unix(s, 0)})
		for _, r := range streamstest.Read(d, counts) {
			n := "deleted"
			if r.Value != nil {
				n = fmt.Sprint(*r.Value)
			}
			fmt.Printf("  from %d to %d: %s\n", r.Key.Start.Unix(), r.Key.End.Unix(), n)
		}
	}
}

// A window ends at each record. The second record comes in the window that begins just
// after the first, and in its own, with the records of the last ten seconds.
func ExampleSliding() {
	count(window.Sliding{Size: 10 * time.Second}, 10, 14)
	// Output:
	// at 10:
	//   from 0 to 10: 1
	// at 14:
	//   from 10 to 20: 1
	//   from 4 to 14: 2
}

// The third record joins two sessions, which are deleted.
func ExampleSession() {
	count(window.Session{Gap: 10 * time.Second, Grace: time.Minute}, 0, 15, 8)
	// Output:
	// at 0:
	//   from 0 to 0: 1
	// at 15:
	//   from 15 to 15: 1
	// at 8:
	//   from 0 to 0: deleted
	//   from 15 to 15: deleted
	//   from 0 to 15: 3
}

// What comes before the window's start is in none.
func ExampleUnlimited() {
	count(window.Unlimited{Start: time.Unix(10, 0)}, 5, 12, 100_000)
	// Output:
	// at 5:
	// at 12:
	//   from 10 to 9223372036854775: 1
	// at 100000:
	//   from 10 to 9223372036854775: 2
}

func ExampleOnClose() {
	count(window.Tumbling{Size: 10 * time.Second, Grace: 5 * time.Second, Emit: window.OnClose()}, 1, 12, 3, 15)
	// Output:
	// at 1:
	// at 12:
	// at 3:
	// at 15:
	//   from 0 to 10: 2
}

// The second view comes just in time, the third too late.
func ExampleWithin() {
	text := func(name string) topology.Topic[string, string] {
		return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
	}
	clicks, views, pairs := text("clicks"), text("views"), text("pairs")
	b := topology.NewBuilder()
	kstream.To(kstream.JoinStream(kstream.From(b, clicks), kstream.From(b, views), func(click, view string) string { return click + ", " + view },
		kstream.Joined[string, string, string]{Name: "seen", Key: serde.String, Left: serde.String, Right: serde.String, Window: window.Within(10 * time.Second)}), pairs)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}

	d := streamstest.New(streamstest.InExample, topo)
	send := func(t topology.Topic[string, string], seconds int64, v string) {
		streamstest.Send(d, t, topology.Record[string, string]{Key: "alice", Value: v, Time: time.Unix(seconds, 0)})
	}
	send(views, 12, "view 1")
	send(clicks, 20, "click")
	send(views, 30, "view 2")
	send(views, 31, "view 3")
	for _, r := range streamstest.Read(d, pairs) {
		fmt.Printf("at %d: %s\n", r.Time.Unix(), r.Value)
	}
	// Output:
	// at 20: click, view 1
	// at 30: click, view 2
}
