package topology_test

import (
	"fmt"
	"runtime"
	"strings"
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

// text describes a topic of text.
func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// rows describes a store of text.
func rows(name string) state.Store[string, string] {
	return state.Store[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// counts describes a store of numbers.
func counts(name string) state.Store[string, int64] {
	return state.Store[string, int64]{Name: name, Key: serde.String, Value: serde.Int64}
}

// windowCounts describes a store of numbers in windows.
func windowCounts(w window.Windows) state.Store[window.Key[string], int64] {
	return state.Store[window.Key[string], int64]{Name: "counts", Key: window.Keys(serde.String, w), Value: serde.Int64}
}

var (
	hour = window.Tumbling{Size: time.Hour}
	day  = window.Tumbling{Size: 24 * time.Hour}
)

func id(k, _ string) string { return k }

func first(a, _ string) string { return a }

// rekeyed is a stream whose key was changed.
func rekeyed(b *topology.Builder) kstream.Stream[string, string] {
	return kstream.SelectKey(kstream.From(b, text("in")), id)
}

// mistake is a program that Build refuses. It calls here on the line before the one that
// makes the mistake, and Build says what, and what to do.
type mistake struct {
	name  string
	build func(b *topology.Builder, here func())
	want  string
}

func refused(t *testing.T, mistakes []mistake) {
	t.Helper()
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			b := topology.NewBuilder()
			line := 0
			m.build(b, func() { _, _, line, _ = runtime.Caller(1) })
			_, err := b.Build()
			require.Error(t, err)
			at, what, ok := strings.Cut(strings.TrimPrefix(err.Error(), "topology: "), ": ")
			require.True(t, ok, err)
			require.Equal(t, fmt.Sprintf("build_test.go:%d", line+1), at)
			require.Contains(t, what, m.want)
			require.NotContains(t, err.Error(), "\n", "it is one mistake")
		})
	}
}

func TestMistakesInTopics(t *testing.T) {
	refused(t, []mistake{
		{"no name", func(b *topology.Builder, here func()) {
			here()
			kstream.From(b, text(""))
		}, "a topic without a Name"},
		{"no name to write to", func(b *topology.Builder, here func()) {
			in := kstream.From(b, text("in"))
			here()
			kstream.To(in, text(""))
		}, "a topic without a Name"},
		{"a bad name", func(b *topology.Builder, here func()) {
			here()
			ktable.From(b, text("all payments"))
		}, `topic "all payments": a name has 1 to 249 letters, digits, '.', '_' and '-'`},
		{"the name of a folder", func(b *topology.Builder, here func()) {
			here()
			kstream.From(b, text(".."))
		}, `topic "..": a name has`},
		{"a long name", func(b *topology.Builder, here func()) {
			here()
			kstream.From(b, text(strings.Repeat("x", 250)))
		}, "a name has 1 to 249 letters"},
		{"no key serde", func(b *topology.Builder, here func()) {
			here()
			kstream.From(b, topology.Topic[string, string]{Name: "in", Value: serde.String})
		}, `topic "in": no Key serde`},
		{"no value serde", func(b *topology.Builder, here func()) {
			here()
			kstream.From(b, topology.Topic[string, string]{Name: "in", Key: serde.String})
		}, `topic "in": no Value serde`},
		{"no value serde in a nullable topic", func(b *topology.Builder, here func()) {
			here()
			kstream.From(b, topology.Nullable(topology.Topic[string, string]{Name: "in", Key: serde.String}))
		}, `topic "in": no Value serde`},
		{"read as a stream and as a table", func(b *topology.Builder, here func()) {
			kstream.From(b, text("in"))
			here()
			ktable.From(b, text("in"))
		}, `topic "in" is read here as a table of string and string, at build_test.go:`},
		{"read as two types", func(b *topology.Builder, here func()) {
			kstream.From(b, text("in"))
			here()
			kstream.From(b, topology.Topic[string, int64]{Name: "in", Key: serde.String, Value: serde.Int64})
		}, "read it once, and share the stream"},
		{"read as a global table too", func(b *topology.Builder, here func()) {
			kstream.From(b, text("in"))
			here()
			ktable.GlobalFrom(b, text("in"))
		}, `topic "in" is read as a global table here`},
		{"two repartition topics of a name", func(b *topology.Builder, here func()) {
			s := kstream.From(b, text("in"))
			kstream.Repartition(s, text("through"))
			here()
			kstream.GroupBy(s, id, text("through"))
		}, `repartition topic "through" is used twice, here and at build_test.go:`},
	})
}

// A topic that is read twice in one way is read once, and both have its records.
func TestATopicReadTwiceInOneWay(t *testing.T) {
	topo, err := topologyOf(func(b *topology.Builder) {
		kstream.To(kstream.From(b, text("in")), text("one"))
		kstream.To(kstream.From(b, text("in")), text("two"))
	})
	require.NoError(t, err)
	d := streamstest.New(t, topo)
	send(d, text("in"), "k", "v")
	require.Len(t, streamstest.Read(d, text("one")), 1)
	require.Len(t, streamstest.Read(d, text("two")), 1)
}

func TestMistakesInStores(t *testing.T) {
	group := func(b *topology.Builder) kstream.Grouped[string, string] {
		return kstream.GroupByKey(kstream.From(b, text("in")))
	}
	refused(t, []mistake{
		{"no name", func(b *topology.Builder, here func()) {
			g := group(b)
			here()
			kstream.Count(g, counts(""))
		}, `store "": a name has 1 to 249 letters`},
		{"a bad name", func(b *topology.Builder, here func()) {
			g := group(b)
			here()
			kstream.Count(g, counts("a/b"))
		}, `store "a/b": a name has`},
		{"no key serde", func(b *topology.Builder, here func()) {
			g := group(b)
			here()
			kstream.Count(g, state.Store[string, int64]{Name: "counts", Value: serde.Int64})
		}, `store "counts": no Key serde`},
		{"no value serde", func(b *topology.Builder, here func()) {
			g := group(b)
			here()
			kstream.Count(g, state.Store[string, int64]{Name: "counts", Key: serde.String})
		}, `store "counts": no Value serde`},
		{"negative history", func(b *topology.Builder, here func()) {
			s := kstream.From(b, text("in"))
			store := rows("rows")
			store.History = -time.Hour
			here()
			kstream.ToTable(s, store)
		}, `store "rows": a negative History or Retention`},
		{"retention without windows", func(b *topology.Builder, here func()) {
			s := kstream.From(b, text("in"))
			store := rows("rows")
			store.Retention = time.Hour
			here()
			kstream.ToTable(s, store)
		}, `store "rows": it has Retention, which is for window stores: their Key comes from window.Keys`},
		{"history of windows", func(b *topology.Builder, here func()) {
			g := kstream.WindowedBy(group(b), hour)
			store := windowCounts(hour)
			store.History = time.Hour
			here()
			kstream.Count(g, store)
		}, `store "counts": it has windows and History: a window keeps its latest value alone`},
		{"retention shorter than the windows", func(b *topology.Builder, here func()) {
			g := kstream.WindowedBy(group(b), hour)
			store := windowCounts(hour)
			store.Retention = time.Minute
			here()
			kstream.Count(g, store)
		}, `store "counts": its Retention 1m0s is less than its windows need, 1h0m0s`},
		{"windowed keys by another serde", func(b *topology.Builder, here func()) {
			g := kstream.WindowedBy(group(b), hour)
			store := windowCounts(hour)
			store.Key = serde.JSON[window.Key[string]]()
			here()
			kstream.Count(g, store)
		}, `store "counts": the Key of a window store comes from window.Keys`},
		{"described in two ways", func(b *topology.Builder, here func()) {
			s := kstream.From(b, text("in"))
			kstream.ToTable(s, rows("rows"))
			other := rows("rows")
			other.InMemory = true
			here()
			kstream.Process(s, "p", nothing, other)
		}, `store "rows" is described in two ways: here as state.Store`},
		{"of two types", func(b *topology.Builder, here func()) {
			s := kstream.From(b, text("in"))
			kstream.ToTable(s, rows("store"))
			here()
			kstream.Process(s, "p", nothing, counts("store"))
		}, `store "store" is described in two ways`},
		{"kept twice", func(b *topology.Builder, here func()) {
			s := kstream.From(b, text("in"))
			kstream.ToTable(s, rows("rows"))
			here()
			kstream.ToTable(s, rows("rows"))
		}, `store "rows" is kept twice: only the table at build_test.go:`},
		{"two joins of one name", func(b *topology.Builder, here func()) {
			s := kstream.From(b, text("in"))
			on := kstream.Joined[string, string, string]{Name: "pair", Key: serde.String, Left: serde.String, Right: serde.String, Window: window.Within(time.Minute)}
			f := func(l, r string) string { return l + r }
			kstream.JoinStream(s, kstream.From(b, text("two")), f, on)
			here()
			kstream.JoinStream(s, kstream.From(b, text("three")), f, on)
		}, `store "pair-left" is kept twice: only the join-side at build_test.go:`},
		{"a table kept in two stores", func(b *topology.Builder, here func()) {
			t := ktable.Materialize(ktable.From(b, text("in")), rows("one"))
			here()
			ktable.Materialize(t, rows("two"))
		}, `Materialize in store "two": the table is kept in store "one" already; use that one`},
	})
}

func nothing(*topology.Context[string, string]) (topology.Processor[string, string], error) {
	return func(topology.Record[string, string]) error { return nil }, nil
}

// What needs records of one key in one task refuses a stream whose key was changed.
func TestMistakesInKeys(t *testing.T) {
	advice := "send it through kstream.Repartition first, or change the key with kstream.KeyBy or kstream.GroupBy"
	changed := func(call string) string {
		return call + " of a stream whose key was changed by select-key at build_test.go:"
	}
	join := kstream.Joined[string, string, string]{Name: "join", Key: serde.String, Left: serde.String, Right: serde.String, Window: window.Within(time.Hour)}
	missing := func(a, _ string, _ bool) string { return a }
	refused(t, []mistake{
		{"GroupByKey", func(b *topology.Builder, here func()) {
			s := rekeyed(b)
			here()
			kstream.GroupByKey(s)
		}, changed("GroupByKey")},
		{"ToTable", func(b *topology.Builder, here func()) {
			s := rekeyed(b)
			here()
			kstream.ToTable(s, rows("rows"))
		}, changed("ToTable")},
		{"Join", func(b *topology.Builder, here func()) {
			s, t := rekeyed(b), ktable.From(b, text("table"))
			here()
			kstream.Join(s, t, first)
		}, changed("Join")},
		{"LeftJoin", func(b *topology.Builder, here func()) {
			s, t := rekeyed(b), ktable.From(b, text("table"))
			here()
			kstream.LeftJoin(s, t, missing)
		}, changed("LeftJoin")},
		{"JoinStream", func(b *topology.Builder, here func()) {
			s, other := rekeyed(b), kstream.From(b, text("other"))
			here()
			kstream.JoinStream(other, s, first, join)
		}, changed("JoinStream")},
		{"LeftJoinStream", func(b *topology.Builder, here func()) {
			s, other := rekeyed(b), kstream.From(b, text("other"))
			here()
			kstream.LeftJoinStream(s, other, missing, join)
		}, changed("LeftJoinStream")},
		{"OuterJoinStream", func(b *topology.Builder, here func()) {
			s, other := rekeyed(b), kstream.From(b, text("other"))
			here()
			kstream.OuterJoinStream(s, other, func(a string, _ bool, _ string, _ bool) string { return a }, join)
		}, changed("OuterJoinStream")},
		{"behind steps that keep the key", func(b *topology.Builder, here func()) {
			s := kstream.Filter(kstream.MapValues(rekeyed(b), func(v string) string { return v }), func(string, string) bool { return true })
			here()
			kstream.GroupByKey(s)
		}, advice},
		{"behind a merge", func(b *topology.Builder, here func()) {
			s := kstream.Merge(kstream.From(b, text("other")), rekeyed(b))
			here()
			kstream.GroupByKey(s)
		}, advice},
		{"changed by Map", func(b *topology.Builder, here func()) {
			s := kstream.Map(kstream.From(b, text("in")), func(k, v string) (string, string) { return v, k })
			here()
			kstream.GroupByKey(s)
		}, "whose key was changed by map at build_test.go:"},
		{"changed by FlatMap", func(b *topology.Builder, here func()) {
			s := kstream.FlatMap(kstream.From(b, text("in")), func(k, v string, emit func(string, string)) { emit(v, k) })
			here()
			kstream.GroupByKey(s)
		}, "whose key was changed by flat-map at build_test.go:"},
		{"changed by a processor", func(b *topology.Builder, here func()) {
			s := kstream.Process(kstream.From(b, text("in")), "swap", nothing)
			here()
			kstream.GroupByKey(s)
		}, "whose key was changed by swap at build_test.go:"},
	})
}

// A new key needs nothing where records of one key need not meet, and nothing behind a
// repartition; ProcessValues keeps the key.
func TestKeysThatMayChange(t *testing.T) {
	_, err := topologyOf(func(b *topology.Builder) {
		kstream.To(rekeyed(b), text("out"))
		kstream.GroupByKey(kstream.Repartition(rekeyed(b), text("through")))
		kstream.GroupByKey(kstream.KeyBy(kstream.From(b, text("in")), id, text("by-key")))
		kstream.GroupBy(rekeyed(b), id, text("grouped"))
		kstream.GroupByKey(kstream.ProcessValues(kstream.From(b, text("in")), "p", nothing))
	})
	require.NoError(t, err)
}

func TestMistakesInWindowsAndFolds(t *testing.T) {
	group := func(b *topology.Builder) kstream.Grouped[string, string] {
		return kstream.GroupByKey(kstream.From(b, text("in")))
	}
	refused(t, []mistake{
		{"the store has others", func(b *topology.Builder, here func()) {
			g := kstream.WindowedBy(group(b), day)
			here()
			kstream.Count(g, windowCounts(hour))
		}, `store "counts" has keys of windows Tumbling{Size: 1h0m0s}, the stream that it keeps has Tumbling{Size: 24h0m0s}: give both the same windows`},
		{"the stream has none", func(b *topology.Builder, here func()) {
			s := kstream.Process(kstream.From(b, text("in")), "window", func(*topology.Context[window.Key[string], string]) (topology.Processor[string, string], error) {
				return func(topology.Record[string, string]) error { return nil }, nil
			})
			g := kstream.GroupByKey(kstream.Repartition(s, topology.Topic[window.Key[string], string]{Name: "through", Key: window.Keys(serde.String, hour), Value: serde.String}))
			here()
			kstream.Count(g, windowCounts(hour))
		}, "the stream that it keeps has none"},
		{"no windows", func(b *topology.Builder, here func()) {
			g := group(b)
			here()
			kstream.WindowedBy(g, nil)
		}, "WindowedBy: window: windows are a <nil>: write a value of one of the types of package window"},
		{"of no size", func(b *topology.Builder, here func()) {
			g := group(b)
			here()
			kstream.WindowedBy(g, window.Tumbling{})
		}, "a window needs a Size: write how long it lasts"},
		{"of windows", func(b *topology.Builder, here func()) {
			g := kstream.WindowedBy(group(b), hour)
			here()
			kstream.WindowedBy(g, day)
		}, "WindowedBy of a stream that is windowed already: window it once"},
		{"an aggregator without Add", func(b *topology.Builder, here func()) {
			g := group(b)
			here()
			kstream.Aggregate(g, aggregate.Aggregator[string, int64]{}, counts("counts"))
		}, `the fold in store "counts": the Aggregator has no Add`},
		{"sessions without Merge", func(b *topology.Builder, here func()) {
			sessions := window.Session{Gap: time.Hour}
			g := kstream.WindowedBy(group(b), sessions)
			fold := aggregate.Fold(nil, func(n int64, _ string) int64 { return n + 1 })
			here()
			kstream.Aggregate(g, fold, windowCounts(sessions))
		}, `the fold in store "counts": the Aggregator has no Merge, and a record can join two sessions: give it one`},
		{"a table without Remove", func(b *topology.Builder, here func()) {
			g := ktable.GroupBy(ktable.From(b, text("in")), func(k, v string) (string, string) { return v, k }, text("through"))
			fold := aggregate.Fold(nil, func(n int64, _ string) int64 { return n + 1 })
			here()
			ktable.Aggregate(g, fold, counts("counts"))
		}, `Aggregate of a table in store "counts": the Aggregator needs Add and Remove, since rows change and go`},
		{"a join of streams without a name", func(b *topology.Builder, here func()) {
			s, other := kstream.From(b, text("in")), kstream.From(b, text("other"))
			here()
			kstream.JoinStream(s, other, first, kstream.Joined[string, string, string]{Key: serde.String, Left: serde.String, Right: serde.String})
		}, `JoinStream "": it keeps records in stores: set Name`},
		{"a join of streams without serdes", func(b *topology.Builder, here func()) {
			s, other := kstream.From(b, text("in")), kstream.From(b, text("other"))
			here()
			kstream.JoinStream(s, other, first, kstream.Joined[string, string, string]{Name: "join"})
		}, `JoinStream "join": set Key, Left and Right, the serdes of what it keeps`},
		{"a join of streams of no time", func(b *topology.Builder, here func()) {
			s, other := kstream.From(b, text("in")), kstream.From(b, text("other"))
			on := kstream.Joined[string, string, string]{Name: "join", Key: serde.String, Left: serde.String, Right: serde.String}
			on.Window = window.Join{Before: -time.Hour}
			here()
			kstream.JoinStream(s, other, first, on)
		}, "the window is empty: Before and After together cannot be negative"},
		{"a foreign key of a table that is not kept", func(b *topology.Builder, here func()) {
			left, right := ktable.From(b, text("left")), ktable.From(b, text("right"))
			computed := ktable.Filter(right, func(string, string) bool { return true })
			here()
			ktable.JoinForeignKey(left, computed, func(_, v string) (string, bool) { return v, true }, first, "fk")
		}, `the foreign-key join "fk": both tables must be kept in stores; keep the one that is computed with ktable.Materialize`},
		{"Suppress of a table with History", func(b *topology.Builder, here func()) {
			past := rows("past")
			past.History = time.Hour
			t := ktable.Materialize(ktable.From(b, text("in")), past)
			here()
			ktable.Suppress(t, time.Hour, ktable.Buffer{}, rows("held"))
		}, "suppress of a table with History"},
	})
}

func TestMistakesInBuilders(t *testing.T) {
	refused(t, []mistake{
		{"two builders", func(b *topology.Builder, here func()) {
			one, two := kstream.From(b, text("one")), kstream.From(topology.NewBuilder(), text("two"))
			here()
			kstream.Merge(one, two)
		}, "merge joins steps of two builders: make them of one"},
	})
}

func TestBuildTwice(t *testing.T) {
	b := topology.NewBuilder()
	kstream.From(b, text("in"))
	_, err := b.Build()
	require.NoError(t, err)
	_, err = b.Build()
	require.ErrorContains(t, err, "Build is called twice: a builder makes one topology")
	require.ErrorContains(t, err, "build_test.go:")
}

func TestBuildOfNothing(t *testing.T) {
	_, err := topology.NewBuilder().Build()
	require.ErrorContains(t, err, "an empty topology: read a topic with kstream.From or ktable.From")
}

// All mistakes are told at once, in the order of the program.
func TestBuildTellsAllMistakes(t *testing.T) {
	_, err := topologyOf(func(b *topology.Builder) {
		s := kstream.From(b, text(""))
		kstream.GroupByKey(kstream.SelectKey(s, id))
		kstream.To(s, text("all payments"))
	})
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], "a topic without a Name")
	require.Contains(t, lines[1], "GroupByKey of a stream")
	require.Contains(t, lines[2], `topic "all payments"`)
}

func topologyOf(build func(*topology.Builder)) (*topology.Topology, error) {
	b := topology.NewBuilder()
	build(b)
	return b.Build()
}
