package task_test

import (
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// merged reads the topics a and b.
func merged(b *topology.Builder) {
	kstream.To(kstream.From(b, text("a"), text("b")), text("out"))
}

func TestTheLeastTimeGoesFirst(t *testing.T) {
	r := newRig(t, merged)
	r.add("a", 0, record("a", "1", 10), record("a", "2", 30), record("a", "3", 20))
	r.add("b", 0, record("b", "1", 5), record("b", "2", 25), record("b", "3", 30))
	r.run()
	require.Equal(t, []string{
		"out b=1@5", "out a=1@10", "out b=2@25", "out a=2@30", "out a=3@20", "out b=3@30",
	}, r.sent(), "by the times of the first records; a topic keeps its order, and the first topic goes first")
}

func TestWaitsForWhatIsAtTheBroker(t *testing.T) {
	r := newRig(t, merged)
	r.add("b", 1) // a record that is not here yet
	r.add("a", 0, record("a", "1", 10))
	r.run()
	require.Empty(t, r.sent())
	r.advance(time.Hour) // however long it takes
	require.Empty(t, r.sent())

	r.send("b", record("b", "1", 5))
	require.Equal(t, []string{"out b=1@5", "out a=1@10"}, r.sent())
}

func TestWaitsForAnInputThatIsNotKnown(t *testing.T) {
	r := newRig(t, merged)
	r.add("a", 0, record("a", "1", 10))
	_, err := r.Run(0, 100)
	require.NoError(t, err)
	require.Empty(t, r.sent(), "nothing was ever heard of b")

	r.add("b", 0)
	r.run()
	require.Equal(t, []string{"out a=1@10"}, r.sent())
}

func TestWaitsMaxIdleForAnEmptyInput(t *testing.T) {
	r := newRig(t, merged)
	r.maxIdle = 100
	require.NoError(t, r.open())
	r.run()
	r.send("a", record("a", "1", 10))
	require.Empty(t, r.sent())
	require.True(t, r.Waiting())

	r.advance(99 * time.Millisecond)
	require.Empty(t, r.sent())
	r.send("b", record("b", "1", 5)) // in time
	require.Equal(t, []string{"out b=1@5"}, r.sent(), "and now b is empty anew")

	r.advance(99 * time.Millisecond)
	require.Empty(t, r.sent())
	r.advance(time.Millisecond)
	require.Equal(t, []string{"out a=1@10"}, r.sent())
	require.False(t, r.Waiting())
}

func TestGoesOnWithoutATopicThatHasNoSuchPartition(t *testing.T) {
	r := newRig(t, merged)
	r.plan.Sources[1].Name = ""
	require.NoError(t, r.open())
	r.add("a", 0, record("a", "1", 10))
	_, err := r.Run(0, 100)
	require.NoError(t, err)
	require.Equal(t, []string{"out a=1@10"}, r.sent())
	require.Equal(t, []kafka.Partition{{Topic: "a"}}, keys(r.Offsets()))
}

func keys(m map[kafka.Partition]kafka.Offset) (keys []kafka.Partition) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// Transaction markers, aborted records and holes take offsets and have no records.
func TestBatchesWithoutRecordsMoveThePosition(t *testing.T) {
	r := start(t, func(b *topology.Builder) { kstream.To(kstream.From(b, text("in")), text("out")) })
	position := func() int64 { return r.Offsets()[kafka.Partition{Topic: "in"}].At }
	add := func(b kafka.Batch) {
		r.given++
		r.known["in"] = true
		r.Add(r.slot("in"), b)
	}
	require.False(t, r.Changed())

	add(kafka.Batch{Next: 3, End: 3})
	require.Equal(t, int64(3), position())
	require.True(t, r.Changed(), "there is a position to commit")

	add(kafka.Batch{Records: []kafka.Record{{Offset: 4, Key: []byte("k"), Value: []byte("v"), Time: 1}}, Next: 7, End: 9})
	add(kafka.Batch{Next: 9, End: 9}) // behind one that is not processed
	require.Equal(t, int64(3), position())
	r.run()
	require.Equal(t, []string{"out k=v@1"}, r.sent())
	require.Equal(t, int64(9), position())
}

func TestRunStopsAtItsLimit(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) { kstream.To(kstream.From(b, text("in")), text("out")) })
	r.add("in", 0, record("k", "1", 1), record("k", "2", 2), record("k", "3", 3))
	n, err := r.Run(0, 2)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"out k=1@1", "out k=2@2"}, r.sent())
	require.Equal(t, int64(2), r.Offsets()[kafka.Partition{Topic: "in"}].At, "in the midst of a batch")

	n, err = r.Run(0, 2)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, int64(3), r.Records())
}
