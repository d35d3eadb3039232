package task_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

var (
	tens = window.Tumbling{Size: 10 * time.Millisecond}
	hops = window.Hopping{Size: 60 * time.Millisecond, Every: 30 * time.Millisecond, Emit: window.OnClose()}

	windows = state.Store[window.Key[string], int64]{Name: "windows", Key: window.Keys(serde.String, tens), Value: serde.Int64, Retention: time.Second}
	rows    = state.Store[string, string]{Name: "rows", Key: serde.String, Value: serde.String}
	shared  = state.Store[window.Key[string], int64]{Name: "shared", Key: window.Keys(serde.String, hops), Value: serde.Int64}
	past    = state.Store[string, string]{Name: "past", Key: serde.String, Value: serde.String, History: time.Second}
)

// messy does all that a record can do, and then fails if the record is bad, or panics.
func messy(b *topology.Builder) {
	in := kstream.From(b, text("in"))
	counts := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(in), tens), windows)
	kstream.To(kstream.SelectKey(kstream.Updates(counts), func(k window.Key[string], _ int64) string { return k.Key }), numbers("counts"))
	closed := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(in), hops), shared)
	kstream.To(kstream.SelectKey(kstream.Updates(closed), func(k window.Key[string], _ int64) string { return k.Key }), numbers("closed"))
	last := kstream.ProcessValues(in, "mess", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
		row, err := topology.Open(c, rows)
		if err != nil {
			return nil, err
		}
		old, err := topology.Open(c, past)
		return func(r topology.Record[string, string]) error {
			before, _, err := row.Get(r.Key)
			err = errors.Join(err, row.Put(r.Key, r.Value), row.Put("other", r.Value), old.Put(r.Key, r.Value))
			c.Schedule(time.Millisecond, topology.WallClock, func(time.Time) error {
				return row.Put("scheduled by "+r.Value, "")
			})
			c.Commit()
			return errors.Join(err, c.Emit(topology.Record[string, string]{Value: fmt.Sprintf("%s after %q at %d", r.Value, before, c.StreamTime().UnixMilli())}))
		}, err
	}, rows, past)
	kstream.To(last, text("last"))
	kstream.ProcessValues(in, "fail", func(*topology.Context[string, string]) (topology.Processor[string, string], error) {
		return func(r topology.Record[string, string]) error {
			switch r.Value {
			case "bad":
				return errors.New("it is bad")
			case "panic":
				panic("it is bad")
			}
			return nil
		}, nil
	})
}

// A bad record that is left out leaves nothing but a count: with it or without it, all is
// the same.
func TestABadRecordLeavesNothing(t *testing.T) {
	for _, bad := range []string{"bad", "panic"} {
		t.Run(bad, func(t *testing.T) {
			with, without := start(t, messy), start(t, messy)
			with.skip = true
			for i, v := range []string{"one", bad, "two", bad, bad, "three"} {
				ms := int64(10 + 3*i)
				if v == bad {
					ms = 100 // it would make the next ones late
				} else {
					without.send("in", record("k", v, ms))
				}
				with.send("in", record("k", v, ms))
			}
			want := []string{
				"counts k=1@10", `last k=one after "" at 10@10`,
				"counts k=2@16", `last k=two after "one" at 16@16`,
				"counts k=1@25", `last k=three after "two" at 25@25`,
			}
			require.Equal(t, want, without.sent())
			require.Equal(t, want, with.sent())
			require.Len(t, with.bad, 3)
			require.Equal(t, map[plan.Drop]int64{plan.BadRecord: 3}, with.Dropped())
			require.Empty(t, without.Dropped())

			with.send("in", record("k", "four", 70))
			without.send("in", record("k", "four", 70))
			want = []string{"counts k=1@70", "closed k=3@25", `last k=four after "three" at 70@70`}
			require.Equal(t, want, without.sent())
			require.Equal(t, want, with.sent())

			with.advance(time.Millisecond)
			without.advance(time.Millisecond)
			changes := without.commit()
			require.Contains(t, changes, "rows scheduled by four=@1")
			require.Equal(t, changes, with.commit(), "what goes to changelogs, with what was scheduled")
			in := kafka.Partition{Topic: "in"}
			require.Equal(t, int64(7), with.offsets[in].At, "the bad records are passed")
			require.Equal(t, int64(4), without.offsets[in].At)
			require.Equal(t, without.offsets[in].Metadata, with.offsets[in].Metadata, "the times of the partition and of operators")
		})
	}
}

// What waits in the record cache is undone too: changes of rows that were held before, and
// rows that were not.
func TestABadRecordLeavesNothingInTheCache(t *testing.T) {
	r := newRig(t, messy)
	r.cache, r.skip = 1<<20, true
	require.NoError(t, r.open())
	r.add("in", 0, record("a", "one", 10), record("a", "bad", 11), record("b", "bad", 11), record("a", "two", 12))
	r.run()
	r.sent() // of the processor, which holds nothing back
	require.NoError(t, r.Flush())
	require.Equal(t, []string{"counts a=2@12"}, r.sent())
	require.NoError(t, r.Flush())
	require.Empty(t, r.sent(), "it is sent once")
}

// A cache that is full is sent before the commit.
func TestACacheThatIsFull(t *testing.T) {
	r := newRig(t, countTens)
	r.cache = 1000
	require.NoError(t, r.open())
	for i := range 3 {
		r.send("in", record(string(rune('a'+i)), "", 5))
	}
	require.Empty(t, r.sent())
	r.send("in", record("d", "", 5))
	require.Equal(t, []string{"out a from 0=1@5", "out b from 0=1@5", "out c from 0=1@5", "out d from 0=1@5"}, r.sent())
}

// What may have been processed before, with results that were sent, holds nothing back: a row
// may come and go again. What comes for the first time does.
func TestTheCacheWaitsForWhatIsNew(t *testing.T) {
	r := newRig(t, countTens)
	r.cache, r.repeats = 1<<20, true
	require.NoError(t, r.open())
	r.add("in", 2, record("a", "", 5), record("a", "", 6))
	r.run()
	require.Equal(t, []string{"out a from 0=1@5", "out a from 0=2@6"}, r.sent())
	r.add("in", 0, record("a", "", 7), record("a", "", 8))
	r.run()
	require.Equal(t, []string{"out a from 0=3@7", "out a from 0=4@8"}, r.sent())
	r.add("in", 0, record("a", "", 9))
	r.add("in", 0, record("a", "", 9))
	r.run()
	require.Empty(t, r.sent())
	require.NoError(t, r.Flush())
	require.Equal(t, []string{"out a from 0=6@9"}, r.sent())
}

// What fails while the cache is sent belongs to no record, and cannot be left out.
func TestAFlushThatFails(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		counts := kstream.Count(kstream.GroupByKey(kstream.From(b, text("in"))), counts())
		kstream.TryMapValues(kstream.Updates(counts), func(int64) (int64, error) { return 0, errors.New("it is bad") })
	})
	r.cache, r.skip = 1<<20, true
	require.NoError(t, r.open())
	r.send("in", record("a", "", 5))
	err := r.Flush()
	var e *task.Error
	require.ErrorAs(t, err, &e)
	require.True(t, e.Broken)
	require.ErrorContains(t, err, "node map-values-3 at undo_test.go:")
	require.Empty(t, r.bad)
}

// A record between two bad ones of one batch is not undone with them.
func TestOnlyTheBadRecordIsUndone(t *testing.T) {
	r := start(t, messy)
	r.skip = true
	r.add("in", 0, record("k", "bad", 10), record("k", "one", 10), record("k", "bad", 10))
	r.run()
	require.Equal(t, []string{"counts k=1@10", `last k=one after "" at 10@10`}, r.sent())
	require.Equal(t, []string{"past k=one@10", "rows k=one@10", "rows other=one@10"}, r.commit()[:3])
}

// What stops the task names the record; and the record is still there to be tried again.
func TestAFailureNamesTheRecord(t *testing.T) {
	r := start(t, messy)
	r.send("in", record("k", "one", 10))
	r.sent()
	r.add("in", 0, record("k", "bad", 11))
	err := r.try()
	require.ErrorContains(t, err, "task 0_0: record at in/0 offset 1, node fail-")
	require.ErrorContains(t, err, " at undo_test.go:")
	require.ErrorContains(t, err, ": it is bad")
	require.Equal(t, kafka.Record{Key: []byte("k"), Value: []byte("bad"), Time: 11, Offset: 1}, r.bad[0].Record)
	require.Empty(t, r.sent())
	require.Equal(t, int64(1), r.Offsets()[kafka.Partition{Topic: "in"}].At)

	r.skip = true
	r.send("in", record("k", "two", 12))
	require.Len(t, r.bad, 2, "it was tried once more")
	require.Equal(t, []string{"counts k=2@12", `last k=two after "one" at 12@12`}, r.sent())
}

// What cannot be decoded is bad, in the turn that its own time gives it.
func TestARecordThatCannotBeDecoded(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		kstream.To(kstream.From(b, numbers("in")), numbers("out"))
	})
	r.skip = true
	r.send("in", kafka.Record{Key: []byte("k"), Value: []byte("seven"), Time: 5})
	require.Empty(t, r.sent())
	require.ErrorContains(t, r.bad[0], "record at in/0 offset 0, node source-0 at undo_test.go:")
	require.ErrorContains(t, r.bad[0], "decode the value: serde: Int64 takes 8 bytes, not 5")
	require.Equal(t, []byte("seven"), r.bad[0].Record.Value)
}

// A schedule that fails stops the task, whatever is to be done with bad records.
func TestAScheduleThatFails(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		out := kstream.Process(kstream.From(b, text("in")), "fail", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			store, err := topology.Open(c, rows)
			c.Schedule(time.Second, topology.WallClock, func(time.Time) error {
				return errors.Join(store.Put("k", "v"), c.Emit(topology.Record[string, string]{Key: "k", Value: "v"}), errors.New("it is broken"))
			})
			return func(topology.Record[string, string]) error { return nil }, err
		}, rows)
		kstream.To(out, text("out"))
	})
	r.skip = true
	r.wall = 1000
	err := r.try()
	require.ErrorContains(t, err, "task 0_0: a schedule of node fail-1 at undo_test.go:")
	require.ErrorContains(t, err, "it is broken")
	require.Empty(t, r.bad)
	require.Empty(t, r.sent())
	require.Empty(t, r.commit())
	require.Error(t, r.try(), "it is due until it succeeds")
}
