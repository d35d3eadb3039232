package graph_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

func rows(name string) state.Store[string, string] {
	return state.Store[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// compiled is a plan, of which the tests look at what Kafka and the disk will see.
func compiled(t *testing.T, build func(*topology.Builder)) []*plan.Subtopology {
	t.Helper()
	b := topology.NewBuilder()
	build(b)
	topo, err := b.Build()
	require.NoError(t, err)
	return (*plan.Plan)(topo).Subtopologies
}

func sources(s *plan.Subtopology) (names []string) {
	for _, src := range s.Sources {
		names = append(names, src.In("app"))
	}
	return names
}

func sinks(s *plan.Subtopology) (names []string) {
	for _, sink := range s.Sinks {
		names = append(names, sink.In("app"))
	}
	return names
}

func pass(a, _ string) string { return a }

// Steps that share no record and no store are tasks of their own.
func TestSubtopologies(t *testing.T) {
	parts := compiled(t, func(b *topology.Builder) {
		kstream.To(kstream.From(b, text("one")), text("out"))
		kstream.To(kstream.From(b, text("two")), text("out"))
		grouped := kstream.GroupBy(kstream.From(b, text("three")), pass, text("grouped"))
		kstream.Reduce(grouped, pass, rows("rows"))
	})
	require.Len(t, parts, 4)
	require.Equal(t, []string{"one"}, sources(parts[0]))
	require.Equal(t, []string{"two"}, sources(parts[1]))
	require.Equal(t, []string{"three"}, sources(parts[2]))
	require.Equal(t, []string{"app-grouped-repartition"}, sinks(parts[2]))
	require.Equal(t, []string{"app-grouped-repartition"}, sources(parts[3]))
	for i, p := range parts {
		require.Equal(t, i, p.ID)
	}
}

// A table that is looked up, and a store that is shared, put steps into one task.
func TestStepsThatShareATask(t *testing.T) {
	joined := compiled(t, func(b *topology.Builder) {
		kstream.To(kstream.Join(kstream.From(b, text("stream")), ktable.From(b, text("table")), pass), text("out"))
	})
	require.Len(t, joined, 1)
	require.Equal(t, []string{"stream", "table"}, sources(joined[0]))
	require.Equal(t, [][]int{{0, 1}}, joined[0].Copartitioned, "a join needs topics that are cut alike")

	nothing := func(*topology.Context[string, string]) (topology.Processor[string, string], error) { return nil, nil }
	shared := compiled(t, func(b *topology.Builder) {
		kstream.Process(kstream.From(b, text("one")), "p", nothing, rows("rows"))
		kstream.Process(kstream.From(b, text("two")), "q", nothing, rows("rows"))
	})
	require.Len(t, shared, 1)
	require.Empty(t, shared[0].Copartitioned)
}

// A fold of merged topics needs topics that are cut alike; a merge alone does not.
func TestCopartitioned(t *testing.T) {
	merged := compiled(t, func(b *topology.Builder) {
		kstream.To(kstream.From(b, text("one"), text("two")), text("out"))
	})
	require.Empty(t, merged[0].Copartitioned)
	folded := compiled(t, func(b *topology.Builder) {
		kstream.Reduce(kstream.GroupByKey(kstream.From(b, text("one"), text("two"))), pass, rows("rows"))
	})
	require.Equal(t, [][]int{{0, 1}}, folded[0].Copartitioned)
}

// A table that nobody looks into has no store; one that somebody needs has the topic as its
// changelog, unless its store has History, or is described otherwise.
func TestWhereTablesAreKept(t *testing.T) {
	alone := compiled(t, func(b *topology.Builder) { ktable.To(ktable.From(b, text("in")), text("out")) })
	require.Empty(t, alone[0].Stores)

	needed := compiled(t, func(b *topology.Builder) {
		kstream.Join(kstream.From(b, text("stream")), ktable.From(b, text("in")), pass)
	})
	require.Len(t, needed[0].Stores, 1)
	require.Equal(t, "in", needed[0].Stores[0].Name)
	require.Equal(t, 1, needed[0].Stores[0].Source, "the topic is the changelog")

	kept := compiled(t, func(b *topology.Builder) { ktable.Materialize(ktable.From(b, text("in")), rows("kept")) })
	require.Equal(t, "kept", kept[0].Stores[0].Name)
	require.Equal(t, 0, kept[0].Stores[0].Source)

	past := rows("past")
	past.History = time.Second
	versioned := compiled(t, func(b *topology.Builder) { ktable.Materialize(ktable.From(b, text("in")), past) })
	require.Equal(t, -1, versioned[0].Stores[0].Source, "a compacted topic forgets versions")
	require.Equal(t, "app-past-changelog", versioned[0].Stores[0].Changelog("app"))

	computed := compiled(t, func(b *topology.Builder) {
		ktable.Materialize(ktable.MapValues(ktable.From(b, text("in")), func(v string) string { return v }), rows("kept"))
	})
	require.Equal(t, -1, computed[0].Stores[0].Source)
}

// A row that is read back from the topic is what processing made of it.
func TestRowsOfATopic(t *testing.T) {
	parts := compiled(t, func(b *topology.Builder) {
		kstream.Join(kstream.From(b, text("stream")), ktable.From(b, text("in")), pass)
	})
	convert := parts[0].Stores[0].Convert()
	row, ok := convert(kafkaRecord("k", "v"))
	require.True(t, ok)
	require.Equal(t, kafkaRecord("k", "v"), row)
	none := kafkaRecord("k", "v")
	none.Key = nil
	_, ok = convert(none)
	require.False(t, ok, "a record with a null key was dropped")
	early := kafkaRecord("k", "v")
	early.Time = -1
	_, ok = convert(early)
	require.False(t, ok, "a record from before 1970 was dropped")
}

// A value that is not null but decodes to nil deletes the row, when it is processed and when
// it is read back.
func TestNilOfATopic(t *testing.T) {
	in := topology.Topic[string, *int]{Name: "in", Key: serde.String, Value: serde.JSON[*int]()}
	table := state.Store[string, *int]{Name: "kept", Key: in.Key, Value: in.Value}
	build := func(b *topology.Builder) {
		left := kstream.LeftJoin(kstream.From(b, text("stream")), ktable.Materialize(ktable.From(b, in), table), func(_ string, n *int, ok bool) string {
			return fmt.Sprint(n != nil, ok)
		})
		kstream.To(left, text("out"))
	}
	part := compiled(t, build)[0]
	store := part.Stores[0]
	require.Equal(t, "kept", store.Name)
	require.GreaterOrEqual(t, store.Source, 0)
	row, ok := store.Convert()(kafkaRecord("k", "null"))
	require.True(t, ok)
	require.Nil(t, row.Value)

	b := topology.NewBuilder()
	build(b)
	topo, err := b.Build()
	require.NoError(t, err)
	d := streamstest.New(t, topo)
	raw := topology.Topic[string, []byte]{Name: "in", Key: serde.String, Value: serde.Bytes}
	for _, v := range []string{"1", "null"} {
		streamstest.Send(d, raw, topology.Record[string, []byte]{Key: "k", Value: []byte(v)})
		streamstest.Send(d, text("stream"), topology.Record[string, string]{Key: "k"})
	}
	var got []string
	for _, r := range streamstest.Read(d, text("out")) {
		got = append(got, r.Value)
	}
	require.Equal(t, []string{"true true", "false false"}, got)
}

// A topic whose times are the program's to say is no changelog: asked again, it may say
// others.
func TestATopicWithTimesOfItsOwnIsNoChangelog(t *testing.T) {
	in := text("in")
	in.TimeOf = func(r topology.Record[string, string], _ time.Time) (time.Time, bool) { return r.Time, true }
	parts := compiled(t, func(b *topology.Builder) { ktable.Materialize(ktable.From(b, in), rows("kept")) })
	require.Equal(t, -1, parts[0].Stores[0].Source)
}

func kafkaRecord(k, v string) kafka.Record {
	return kafka.Record{Key: []byte(k), Value: []byte(v), Time: 7}
}
