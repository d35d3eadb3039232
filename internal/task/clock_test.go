package task_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

// countTens counts the records of each key in windows of 10 ms.
func countTens(b *topology.Builder) {
	counts := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), tens), windows)
	kstream.To(kstream.SelectKey(kstream.Updates(counts), func(k window.Key[string], _ int64) string {
		return fmt.Sprintf("%s from %d", k.Key, k.Start.UnixMilli())
	}), numbers("out"))
}

// A record that is late before a restart is late behind it: a window that was closed does
// not open again.
func TestOperatorTimeSurvivesARestart(t *testing.T) {
	r := start(t, countTens)
	r.send("in", record("k", "", 25))
	r.send("in", record("k", "", 15)) // its window ended at 20
	require.Equal(t, []string{"out k from 20=1@25"}, r.sent())
	require.Equal(t, map[plan.Drop]int64{plan.Late: 1}, r.Dropped())

	r.commit()
	r.restart()
	r.send("in", record("k", "", 15))
	r.send("in", record("other", "", 15))
	r.send("in", record("k", "", 20))
	require.Equal(t, []string{"out k from 20=2@25"}, r.sent())
	require.Equal(t, map[plan.Drop]int64{plan.Late: 2}, r.Dropped())
}

// What was not committed did not happen, and neither did time.
func TestOperatorTimeThatWasNotCommitted(t *testing.T) {
	r := start(t, countTens)
	r.send("in", record("k", "", 5))
	r.commit()
	r.send("in", record("k", "", 100))
	r.sent()

	r.restart()
	r.send("in", record("k", "", 6))
	require.Equal(t, []string{"out k from 0=2@6"}, r.sent())
	require.Empty(t, r.Dropped())
}

// Each operator has a time of its own, made of the records that reach it.
func TestOperatorTimeIsTheOperators(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		in := kstream.From(b, text("in"))
		count := func(s kstream.Stream[string, string], name string) {
			store := windows
			store.Name = name
			counts := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(s), tens), store)
			kstream.To(kstream.SelectKey(kstream.Updates(counts), func(window.Key[string], int64) string { return name }), numbers("out"))
		}
		count(in, "all")
		count(kstream.Filter(in, func(k, _ string) bool { return k == "few" }), "few")
	})
	r.send("in", record("many", "", 100))
	r.send("in", record("few", "", 5)) // late for the first, not for the second
	require.Equal(t, []string{"out all=1@100", "out few=1@5"}, r.sent())
	require.Equal(t, map[plan.Drop]int64{plan.Late: 1}, r.Dropped())

	r.commit()
	r.restart()
	r.send("in", record("few", "", 6))
	require.Equal(t, []string{"out few=2@6"}, r.sent())
}

// sayTimes says what the stream time is at each record.
func sayTimes(b *topology.Builder) {
	s := kstream.From(b, text("a"), text("b"))
	kstream.To(kstream.ProcessValues(s, "time", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
		return func(topology.Record[string, string]) error {
			return c.Emit(topology.Record[string, string]{Value: fmt.Sprint(c.StreamTime().UnixMilli())})
		}, nil
	}), text("out"))
}

// Stream time is the greatest time of all inputs, and survives with their offsets.
func TestStreamTimeSurvivesARestart(t *testing.T) {
	r := start(t, sayTimes)
	r.send("a", record("k", "", 30))
	r.send("b", record("k", "", 10))
	require.Equal(t, []string{"out k=30@30", "out k=30@10"}, r.sent())

	r.commit()
	r.restart()
	r.send("b", record("k", "", 20))
	require.Equal(t, []string{"out k=30@20"}, r.sent())
}

// The time of a partition is that of the records that were processed, not of those that
// wait; TimeOf is given it, again after a restart.
func TestPartitionTimeSurvivesARestart(t *testing.T) {
	in := text("in")
	in.TimeOf = func(r topology.Record[string, string], partition time.Time) (time.Time, bool) {
		if r.Value == "none" {
			return partition, !partition.IsZero()
		}
		return r.Time, true
	}
	r := start(t, func(b *topology.Builder) { kstream.To(kstream.From(b, in), text("out")) })
	r.send("in", record("k", "none", 1))
	require.Empty(t, r.sent(), "there is no time yet")
	require.Equal(t, map[plan.Drop]int64{plan.NoTime: 1}, r.Dropped())

	r.add("in", 0, record("k", "one", 20), record("k", "none", 1), record("k", "two", 10), record("k", "none", 1))
	r.run()
	require.Equal(t, []string{"out k=one@20", "out k=none@20", "out k=two@10", "out k=none@20"}, r.sent())

	r.commit()
	r.restart()
	r.send("in", record("k", "none", 1))
	require.Equal(t, []string{"out k=none@20"}, r.sent())
}

// A time before 1970 is no time.
func TestARecordBefore1970(t *testing.T) {
	r := start(t, func(b *topology.Builder) { kstream.To(kstream.From(b, text("in")), text("out")) })
	r.send("in", record("k", "v", -1))
	r.send("in", record("k", "v", 0))
	require.Equal(t, []string{"out k=v@0"}, r.sent())
	require.Equal(t, map[plan.Drop]int64{plan.NoTime: 1}, r.Dropped())
	require.Equal(t, int64(2), r.Offsets()[kafka.Partition{Topic: "in"}].At)
}

// What an operator has not begun to count does not begin in a restart.
func TestACountThatHasNotBegunSurvivesARestart(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		ktable.To(ktable.Suppress(ktable.From(b, text("in")), time.Hour, ktable.Buffer{MaxRecords: 1}, rows), text("out"))
	})
	r.commit()
	r.restart()
	r.send("in", record("a", "v", 1))
	require.Empty(t, r.sent(), "there is room for one row")
	r.send("in", record("b", "v", 2))
	require.Equal(t, []string{"out a=v@1"}, r.sent())
}
