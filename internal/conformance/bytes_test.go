package conformance

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "record anew what Kafka Streams writes, in testdata/bytes")

// bytesDir has records, what Kafka Streams writes for them, and the program that says so.
const bytesDir = "testdata/bytes"

// What goes to changelogs, and to topics with windowed keys, has the bytes that Kafka
// Streams writes.
func TestBytesOfChangelogsAndWindowedKeys(t *testing.T) {
	require.Equal(t, textOf(t, filepath.Join(bytesDir, "written.txt")), writes(t))
}

// What was recorded is what Kafka Streams writes.
func TestBytesWereRecordedTruly(t *testing.T) {
	got := kafkatest.Java(t, filepath.Join(bytesDir, "Bytes.java"), filepath.Join(bytesDir, "input.txt"), t.TempDir())
	newest := newestOfEach(strings.Split(strings.TrimSpace(got), "\n"))
	file := filepath.Join(bytesDir, "written.txt")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(strings.Join(newest, "\n")+"\n"), 0o644))
	}
	require.Equal(t, textOf(t, file), newest)
}

func textOf(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// newestOfEach leaves out what is replaced before the commit that follows each record: a
// changelog gets the newest value of a row. The order of the rows of a commit says nothing.
func newestOfEach(written []string) (newest []string) {
	place := map[string]int{}
	for _, line := range written {
		row := rowOf(line)
		if at, again := place[row]; again && strings.Contains(row, "-changelog ") {
			newest[at] = line
			continue
		}
		place[row] = len(newest)
		newest = append(newest, line)
	}
	slices.SortStableFunc(newest, func(a, b string) int { return strings.Compare(rowOf(a), rowOf(b)) })
	return newest
}

// rowOf is the number, topic and key of a line.
func rowOf(line string) string {
	f := strings.Fields(line)
	return strings.Join(f[:3], " ")
}

// writtenAs writes a line: the time of a session's row, which Kafka Streams does not keep, is
// left out.
func writtenAs(n int, topic string, key, value []byte, ms int64) string {
	text := func(b []byte) string {
		if b == nil {
			return "-"
		}
		return hex.EncodeToString(b)
	}
	at := strconv.FormatInt(ms, 10)
	if topic == "app-session-changelog" {
		at = "-"
	}
	return fmt.Sprintf("%02d %s %s %s %s", n, topic, text(key), text(value), at)
}

// writes is what a task of the same topology writes for the same records.
func writes(t *testing.T) (written []string) {
	b := topology.NewBuilder()
	everyStore(b)
	topo, err := b.Build()
	require.NoError(t, err)
	sub := (*plan.Plan)(topo).Subtopologies[0]
	at := map[string]int{}
	c := task.Config{
		Plan: sub, Positions: make([]kafka.Offset, len(sub.Sources)), Context: context.Background(),
		Partitions: func(int) int32 { return 1 }, Release: func(int, kafka.Batch) {},
	}
	for i, s := range sub.Sources {
		at[s.Name] = i
		c.Inputs = append(c.Inputs, kafka.Partition{Topic: s.Name})
	}
	for _, s := range sub.Stores {
		s.InMemory = true
		open, err := store.Open("", s.Spec, "", store.NewResources(store.ResourceLimits{WriteBuffers: 1 << 20}))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, open.Destroy()) })
		c.Stores = append(c.Stores, open)
	}
	run, err := task.New(c)
	require.NoError(t, err)
	for slot := range sub.Sources {
		run.Add(slot, kafka.Batch{})
	}
	next := make([]int64, len(sub.Sources))
	for n, line := range textOf(t, filepath.Join(bytesDir, "input.txt")) {
		slot, r := input(t, at, line)
		r.Offset = next[slot]
		next[slot]++
		run.Add(slot, kafka.Batch{Records: []kafka.Record{r}, Next: next[slot], End: next[slot]})
		_, err := run.Run(0, 1)
		require.NoError(t, err)
		for _, o := range run.Output() {
			written = append(written, writtenAs(n, sub.Sinks[o.Sink].Name, o.Key, o.Value, o.Time))
		}
		run.Taken()
		for _, slot := range run.Changelogs() {
			require.NoError(t, run.Changelog(slot, func(key, value []byte, ms int64) error {
				written = append(written, writtenAs(n, "app-"+sub.Stores[slot].Name+"-changelog", key, value, ms))
				return nil
			}))
		}
		require.NoError(t, run.Committed(func(int) int64 { return -1 }))
	}
	return newestOfEach(written)
}

// input reads a record of input.txt, and the slot of its topic.
func input(t *testing.T, at map[string]int, line string) (slot int, r kafka.Record) {
	t.Helper()
	f := strings.Fields(line)
	ms, err := strconv.ParseInt(f[3], 10, 64)
	require.NoError(t, err)
	r = kafka.Record{Key: []byte(f[1]), Time: ms}
	if f[2] != "-" {
		r.Value = []byte(f[2])
	}
	return at[f[0]], r
}

// everyStore has a store of each kind, named as those of Bytes.java are.
func everyStore(b *topology.Builder) {
	in := kstream.From(b, keyed("in"))
	group := kstream.GroupByKey(in)

	kstream.Count(group, counts("counts"))
	kstream.ToTable(in, kvNull("rows"))
	past := kvNull("past")
	past.History = 1000 * ms
	kstream.ToTable(in, past)

	count := func(name string, w window.Windows) ktable.Table[window.Key[string], int64] {
		return kstream.Count(kstream.WindowedBy(group, w), windowed(name, w, serde.Int64))
	}
	to := func(t ktable.Table[window.Key[string], int64], name string, w window.Windows) {
		ktable.To(t, topology.Topic[window.Key[string], int64]{Name: name, Key: window.Keys(serde.String, w), Value: serde.Int64})
	}
	to(count("tumbling", tens), "window-keys", tens)
	count("hopping", window.Hopping{Size: 12 * ms, Every: 5 * ms, Grace: 5 * ms})
	count("sliding", window.Sliding{Size: 8 * ms, Grace: 5 * ms})
	session := window.Session{Gap: 6 * ms, Grace: 5 * ms}
	to(count("session", session), "session-keys", session)

	left := kstream.Filter(in, func(_ string, v *string) bool { return v != nil })
	kstream.JoinStream(left, kstream.From(b, plain("other")), func(l *string, r string) string { return *l + r },
		kstream.Joined[string, *string, string]{Name: "pairs", Key: serde.String, Left: serde.Nullable(serde.String), Right: serde.String, Window: around(10*ms, 5*ms)})
}
