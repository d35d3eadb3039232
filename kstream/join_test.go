package kstream_test

import (
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

func pair(v, row string) string { return v + "-" + row }

func pairLeft(v, row string, ok bool) string {
	if !ok {
		row = "nothing"
	}
	return pair(v, row)
}

// history keeps rows for 100 ms.
var history = state.Store[string, string]{Name: "history", Key: serde.String, Value: serde.String, History: 100 * time.Millisecond}

// past joins the topic in with the topic rows, as of a record's time.
func past(b *topology.Builder) {
	rows := ktable.Materialize(ktable.From(b, text("rows")), history)
	kstream.To(kstream.Join(kstream.From(b, text("in")), rows, pair), text("out"))
	kstream.To(kstream.LeftJoin(kstream.From(b, text("in")), rows, pairLeft), text("left"))
}

// A record meets the row of its own time, in whatever order they come.
func TestJoinAsOfTime(t *testing.T) {
	d := start(t, past)
	put(t, d, "rows", "a@10", "b@20", "@30", "c@40")
	put(t, d, "in", "v@10", "v@19", "v@20", "v@29", "v@35", "v@40", "v@99", "v@5")
	require.Equal(t, []string{"v-a@10", "v-a@19", "v-b@20", "v-b@29", "v-c@40", "v-c@99"}, got(d, "out"))
	require.Equal(t, []string{"v-a@10", "v-a@19", "v-b@20", "v-b@29", "v-nothing@35", "v-c@40", "v-c@99", "v-nothing@5"}, got(d, "left"))
}

// A row that comes late takes its place among the others.
func TestJoinWithARowThatComesLate(t *testing.T) {
	d := start(t, past)
	put(t, d, "rows", "a@10", "c@40")
	put(t, d, "in", "v@30")
	put(t, d, "rows", "b@20")
	put(t, d, "in", "v@30", "v@50")
	require.Equal(t, []string{"v-a@30", "v-b@30", "v-c@50"}, got(d, "out"))
}

// History goes back from the latest row of any key. The latest row of a key never goes.
func TestJoinBeyondHistory(t *testing.T) {
	d := start(t, past)
	put(t, d, "rows", "a@10", "b@20")
	streamstest.Send(d, text("rows"), topology.Record[string, string]{Key: "other", Value: "x", Time: time.UnixMilli(119)})
	put(t, d, "in", "v@19", "v@20")
	require.Equal(t, []string{"v-a@19", "v-b@20"}, got(d, "out"))
	streamstest.Send(d, text("rows"), topology.Record[string, string]{Key: "other", Value: "x", Time: time.UnixMilli(130)})
	put(t, d, "in", "v@19", "v@20", "v@500")
	require.Equal(t, []string{"v-b@20", "v-b@500"}, got(d, "out"))
	put(t, d, "rows", "late@25") // too late to be kept
	put(t, d, "in", "v@27")
	require.Equal(t, []string{"v-b@27"}, got(d, "out"))
}

// Without History a record meets the row that is there.
func TestJoinWithTheLatestRow(t *testing.T) {
	d := start(t, func(b *topology.Builder) {
		kstream.To(kstream.Join(kstream.From(b, text("in")), ktable.From(b, text("rows")), pair), text("out"))
	})
	put(t, d, "rows", "a@10", "b@40")
	put(t, d, "in", "v@20")
	put(t, d, "rows", "older@5") // the order of the topic counts
	put(t, d, "in", "v@20")
	put(t, d, "rows", "@50")
	put(t, d, "in", "v@20")
	require.Equal(t, []string{"v-b@20", "v-older@20"}, got(d, "out"))
}

// A table that is computed and not kept is looked into where its rows come from.
func TestJoinWithAComputedTable(t *testing.T) {
	d := start(t, func(b *topology.Builder) {
		short := ktable.Filter(ktable.From(b, text("rows")), func(_, v string) bool { return len(v) < 3 })
		loud := ktable.MapValues(short, func(v string) string { return v + "!" })
		kstream.To(kstream.LeftJoin(kstream.From(b, text("in")), loud, pairLeft), text("out"))
	})
	put(t, d, "rows", "a@1")
	put(t, d, "in", "v@2")
	put(t, d, "rows", "long@3")
	put(t, d, "in", "v@4")
	require.Equal(t, []string{"v-a!@2", "v-nothing@4"}, got(d, "out"))
}
