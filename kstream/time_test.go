package kstream_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

var kept = state.Store[string, string]{Name: "kept", Key: serde.String, Value: serde.String}

func comma(a, v string) string { return a + "," + v }

// inWindows folds the topic in by windows, and writes the results.
func inWindows(w window.Windows) func(*topology.Builder) {
	return func(b *topology.Builder) {
		store := state.Store[window.Key[string], string]{Name: "kept", Key: window.Keys(serde.String, w), Value: serde.String}
		r := kstream.Reduce(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), w), comma, store)
		kstream.To(kstream.SelectKey(kstream.Changes(r), func(k window.Key[string], _ *string) string { return k.Key }), topology.Nullable(text("out")))
	}
}

// joinStreams joins the topics in and other by a window of 10 ms.
func joinStreams(join func(left, right kstream.Stream[string, string], on kstream.Joined[string, string, string]) kstream.Stream[string, string]) func(*topology.Builder) {
	return func(b *topology.Builder) {
		on := kstream.Joined[string, string, string]{Name: "join", Key: serde.String, Left: serde.String, Right: serde.String, Window: window.Within(10 * ms)}
		kstream.To(join(kstream.From(b, text("in")), kstream.From(b, text("other")), on), text("out"))
	}
}

// The time of a result says of which records it is made. Other is written before in, and
// then after.
func TestTimesOfResults(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(*topology.Builder)
		other []string
		in    []string
		want  []string
	}{
		{name: "a step keeps the time", build: func(b *topology.Builder) {
			m := kstream.FlatMapValues(kstream.From(b, text("in")), func(v string) []string { return []string{v, v} })
			kstream.To(kstream.Repartition(m, text("through")), text("out"))
		}, in: []string{"a@7", "b@3"}, want: []string{"a@7", "a@7", "b@3", "b@3"}},

		{name: "a step may choose the time", build: func(b *topology.Builder) {
			kstream.To(kstream.MapRecords(kstream.From(b, text("in")), func(r topology.Record[string, string]) (topology.Record[string, string], error) {
				r.Time = r.Time.Add(time.Second)
				return r, nil
			}), text("out"))
		}, in: []string{"a@7"}, want: []string{"a@1007"}},

		{name: "a fold has the greatest of its records", build: func(b *topology.Builder) {
			ktable.To(kstream.Reduce(kstream.GroupByKey(kstream.From(b, text("in"))), comma, kept), text("out"))
		}, in: []string{"a@7", "b@3", "c@9"}, want: []string{"a@7", "a,b@7", "a,b,c@9"}},

		{name: "a fold that was deleted begins anew", build: func(b *topology.Builder) {
			f := aggregate.Fold(func() *string { return new("") }, func(a *string, v string) *string {
				if v == "end" {
					return nil
				}
				return new(*a + v)
			})
			store := state.Store[string, *string]{Name: "kept", Key: serde.String, Value: serde.Nullable(serde.String)}
			ktable.To(kstream.Aggregate(kstream.GroupByKey(kstream.From(b, text("in"))), f, store), topology.Nullable(text("out")))
		}, in: []string{"a@7", "end@5", "b@3"}, want: []string{"a@7", "null@7", "b@3"}},

		{name: "a window has the greatest of its records", build: inWindows(window.Tumbling{Size: 10 * ms}),
			in: []string{"a@7", "b@3"}, want: []string{"a@7", "a,b@7"}},

		{name: "a session has its end", build: inWindows(window.Session{Gap: 10 * ms}),
			in: []string{"a@17", "b@13", "c@23"}, want: []string{"a@17", "null@17", "a,b@17", "null@17", "a,b,c@23"}},

		{name: "a window that closes has the greatest of its records", build: inWindows(window.Tumbling{Size: 10 * ms, Emit: window.OnClose()}),
			in: []string{"a@7", "b@3", "c@50"}, want: []string{"a,b@7"}},

		{name: "a session that closes has its end", build: inWindows(window.Session{Gap: 10 * ms, Emit: window.OnClose()}),
			in: []string{"a@7", "b@3", "c@50"}, want: []string{"a,b@7"}},

		{name: "a join with a table has the record's", build: func(b *topology.Builder) {
			kstream.To(kstream.Join(kstream.From(b, text("in")), ktable.From(b, text("other")), pair), text("out"))
		}, other: []string{"row@100"}, in: []string{"a@7"}, want: []string{"a-row@7"}},

		{name: "a join of streams has the greater", build: joinStreams(func(l, r kstream.Stream[string, string], on kstream.Joined[string, string, string]) kstream.Stream[string, string] {
			return kstream.JoinStream(l, r, pair, on)
		}), other: []string{"x@10"}, in: []string{"a@7", "b@13"}, want: []string{"a-x@10", "b-x@13"}},

		{name: "a record that met none has its own", build: joinStreams(func(l, r kstream.Stream[string, string], on kstream.Joined[string, string, string]) kstream.Stream[string, string] {
			return kstream.LeftJoinStream(l, r, pairLeft, on)
		}), in: []string{"a@7", "b@50"}, want: []string{"a-nothing@7"}},

		{name: "a join of tables has the greater", build: func(b *topology.Builder) {
			ktable.To(ktable.Join(ktable.From(b, text("in")), ktable.From(b, text("other")), pair), text("out"))
		}, other: []string{"row@10"}, in: []string{"a@7", "b@13", "@8"}, want: []string{"a-row@10", "b-row@13", "null@10"}},

		{name: "a left join of tables without the other has its own", build: func(b *topology.Builder) {
			ktable.To(ktable.LeftJoin(ktable.From(b, text("in")), ktable.From(b, text("other")), pairLeft), text("out"))
		}, in: []string{"a@7"}, want: []string{"a-nothing@7"}},

		{name: "a grouped table has the greater of the row and the group", build: func(b *topology.Builder) {
			g := ktable.GroupBy(ktable.From(b, text("in")), func(k, v string) (string, string) { return k, v }, text("through"))
			remove := func(a, v string) string { return a + "-" + v }
			ktable.To(ktable.Reduce(g, comma, remove, kept), text("out"))
		}, in: []string{"a@7", "b@3"}, want: []string{"a@7", "a-a,b@7"}},

		{name: "what was held back has the time of the update", build: func(b *topology.Builder) {
			ktable.To(ktable.Suppress(ktable.From(b, text("in")), 10*ms, ktable.Buffer{}, kept), text("out"))
		}, in: []string{"a@7", "b@9", "c@17"}, want: []string{"c@17"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := start(t, c.build)
			put(t, d, "other", c.other...)
			put(t, d, "in", c.in...)
			require.Equal(t, c.want, got(d, "out"))
		})
	}
}

// A schedule's records have its time, and no headers, unless they say others.
func TestTimesOfSchedules(t *testing.T) {
	d := start(t, func(b *topology.Builder) {
		kstream.To(kstream.Process(kstream.From(b, text("in")), "tick", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			n := 0
			c.Schedule(10*ms, topology.WallClock, func(now time.Time) error {
				n++
				if n == 2 {
					return c.Emit(topology.Record[string, string]{Key: "k", Value: "own", Time: now.Add(ms)})
				}
				return c.Emit(topology.Record[string, string]{Key: "k", Value: strconv.Itoa(n)})
			})
			return func(topology.Record[string, string]) error { return nil }, nil
		}), text("out"))
	})
	d.Advance(15 * ms)
	d.Advance(10 * ms)
	require.Equal(t, []string{"1@15", "own@26"}, got(d, "out"))
}

// Headers are those of the record that a result comes from; a processor may set others,
// or none.
func TestHeaders(t *testing.T) {
	d := start(t, func(b *topology.Builder) {
		in := kstream.From(b, text("in"))
		kstream.To(kstream.MapValues(in, func(v string) string { return v }), text("out"))
		kstream.To(kstream.ProcessValues(in, "headers", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			return func(r topology.Record[string, string]) error {
				for _, h := range [][]topology.Header{nil, {}, {{Key: "b", Value: []byte("2")}}} {
					if err := c.Emit(topology.Record[string, string]{Headers: h}); err != nil {
						return err
					}
				}
				return nil
			}, nil
		}), text("out"))
	})
	a := []topology.Header{{Key: "a", Value: []byte("1")}}
	streamstest.Send(d, text("in"), topology.Record[string, string]{Key: "k", Headers: a})
	var headers [][]topology.Header
	for _, r := range streamstest.Read(d, text("out")) {
		headers = append(headers, r.Headers)
	}
	require.Equal(t, [][]topology.Header{a, a, {}, {{Key: "b", Value: []byte("2")}}}, headers)
}

// The inputs of a Cogroup have one store of open windows: one of them closes, in time, what
// another has opened.
func TestCogroupClosesWindowsOfAllInputs(t *testing.T) {
	w := window.Tumbling{Size: 10 * ms, Grace: 20 * ms, Emit: window.OnClose()}
	d := start(t, func(b *topology.Builder) {
		input := func(topic string) kstream.Input[window.Key[string], string] {
			add := aggregate.Aggregator[string, string]{Init: func() string { return "" }, Add: comma}
			return kstream.Folding(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text(topic))), w), add)
		}
		store := state.Store[window.Key[string], string]{Name: "kept", Key: window.Keys(serde.String, w), Value: serde.String}
		r := kstream.Cogroup(store, input("in"), input("other"))
		kstream.To(kstream.SelectKey(kstream.Updates(r), func(k window.Key[string], _ string) string { return k.Key }), text("out"))
	})
	put(t, d, "in", "a@75")
	put(t, d, "other", "b@56")
	put(t, d, "in", "c@99")
	require.Equal(t, []string{",b@56"}, got(d, "out"))
	put(t, d, "other", "d@115")
	require.Equal(t, []string{",a@75"}, got(d, "out"))
}

// A join and a windowed fold have each a time of their own, also if the fold's store has the
// join's name.
func TestAJoinAndAStoreOfOneName(t *testing.T) {
	w := window.Tumbling{Size: 10 * ms}
	d := start(t, func(b *topology.Builder) {
		in := kstream.From(b, text("in"))
		joinStreams(func(_, right kstream.Stream[string, string], on kstream.Joined[string, string, string]) kstream.Stream[string, string] {
			return kstream.JoinStream(in, right, pair, on)
		})(b)
		store := state.Store[window.Key[string], string]{Name: "join", Key: window.Keys(serde.String, w), Value: serde.String}
		r := kstream.Reduce(kstream.WindowedBy(kstream.GroupByKey(in), w), comma, store)
		kstream.To(kstream.SelectKey(kstream.Updates(r), func(k window.Key[string], _ string) string { return k.Key }), text("folded"))
	})
	put(t, d, "other", "a@1000")
	put(t, d, "in", "b@500")
	require.Equal(t, []string{"b@500"}, got(d, "folded"))
}
