package dedup_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// text describes a topic of text.
func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// ids drops a record whose value came within 20 ms.
func ids(t *testing.T, o streamstest.Options) *streamstest.Driver {
	t.Helper()
	b := topology.NewBuilder()
	seen := dedup.Seen[string]{Name: "seen", Key: serde.String, Within: 20 * time.Millisecond}
	kstream.To(dedup.By(kstream.From(b, text("in")), func(_, id string) string { return id }, seen), text("out"))
	topo, err := b.Build()
	require.NoError(t, err)
	return o.New(t, topo)
}

// passes says whether a record of an id and a time passes.
func passes(d *streamstest.Driver, id string, ms int64) bool {
	streamstest.Send(d, text("in"), topology.Record[string, string]{Key: "k", Value: id, Time: time.UnixMilli(ms)})
	return len(streamstest.Read(d, text("out"))) == 1
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		first, second int64
		passes        bool
	}{
		{100, 100, false}, {100, 101, false}, {100, 120, false}, {100, 121, true},
		{100, 99, false}, {100, 80, false}, {100, 79, true}, // also before it
		{0, 0, false}, {0, 20, false}, {0, 21, true},
	} {
		t.Run(fmt.Sprintf("%d after %d", c.second, c.first), func(t *testing.T) {
			d := ids(t, streamstest.Options{})
			require.True(t, passes(d, "a", c.first))
			require.Equal(t, c.passes, passes(d, "a", c.second))
			require.True(t, passes(d, "b", c.second), "another id")
		})
	}
}

// A record that is dropped does not prolong the memory of its id.
func TestDuplicatesAreNotRemembered(t *testing.T) {
	d := ids(t, streamstest.Options{})
	require.True(t, passes(d, "a", 100))
	require.False(t, passes(d, "a", 115))
	require.True(t, passes(d, "a", 121))
	require.False(t, passes(d, "a", 141))
}

// What is late by Within is still known; of what is later an id may be forgotten.
func TestLateRecords(t *testing.T) {
	d := ids(t, streamstest.Options{})
	require.True(t, passes(d, "a", 100))
	require.True(t, passes(d, "b", 140))
	require.False(t, passes(d, "a", 120), "late by 20, and 20 after the first")
	require.True(t, passes(d, "c", 200))
	require.True(t, passes(d, "a", 100), "late by 100: forgotten")
}

// The record passes as it is, with its key, time and headers.
func TestWhatPassesIsUnchanged(t *testing.T) {
	d := ids(t, streamstest.Options{})
	r := topology.Record[string, string]{Key: "k", Value: "a", Time: time.UnixMilli(7).UTC(), Headers: []topology.Header{{Key: "h", Value: []byte("1")}}}
	streamstest.Send(d, text("in"), r)
	require.Equal(t, []topology.Record[string, string]{r}, streamstest.Read(d, text("out")))
}

// Ids are committed with what passed: a crash forgets both or none.
func TestRestart(t *testing.T) {
	d := ids(t, streamstest.Options{CommitEvery: 1000})
	send := func(id string, ms int64) {
		streamstest.Send(d, text("in"), topology.Record[string, string]{Key: "k", Value: id, Time: time.UnixMilli(ms)})
	}
	send("a", 100)
	d.Commit()
	send("b", 101)
	d.Restart() // b is processed again
	send("a", 102)
	send("b", 103)
	d.Commit()
	var out []string
	for _, r := range streamstest.Read(d, text("out")) {
		out = append(out, fmt.Sprintf("%s@%d", r.Value, r.Time.UnixMilli()))
	}
	require.Equal(t, []string{"a@100", "b@101"}, out)
}
