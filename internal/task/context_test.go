package task_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// process starts a task with one processor.
func process(t *testing.T, start func(c *topology.Context[string, string]) (topology.Processor[string, string], error)) *rig {
	t.Helper()
	return newRig(t, func(b *topology.Builder) {
		kstream.To(kstream.Process(kstream.From(b, text("in")), "p", start), text("out"))
	})
}

func TestAProcessorKnowsWhereItIs(t *testing.T) {
	r := process(t, func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
		require.Equal(t, "0_0", c.Task())
		require.True(t, c.StreamTime().IsZero(), "nothing was processed")
		require.Equal(t, time.UnixMilli(0).UTC(), c.WallTime())
		return func(topology.Record[string, string]) error {
			topic, partition, offset, ok := c.Source()
			require.True(t, ok)
			return c.Emit(topology.Record[string, string]{Key: "at", Value: fmt.Sprint(topic, "/", partition, " ", offset, " ", c.StreamTime().UnixMilli(), " ", c.WallTime().UnixMilli())})
		}, nil
	})
	r.send("in", record("k", "", 5))
	r.wall = 9
	r.send("in", record("k", "", 3))
	require.Equal(t, []string{"out at=in/0 0 5 0@5", "out at=in/0 1 5 9@3"}, r.sent())
}

func TestAProcessorAsksForACommit(t *testing.T) {
	r := process(t, func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
		return func(topology.Record[string, string]) error { c.Commit(); return nil }, nil
	})
	r.run()
	require.False(t, r.CommitAsked())
	r.send("in", record("k", "", 1))
	require.True(t, r.CommitAsked())
	r.commit()
	require.False(t, r.CommitAsked())
}

// A time before 1970 cannot be written.
func TestEmitBefore1970(t *testing.T) {
	r := process(t, func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
		return func(topology.Record[string, string]) error {
			return c.Emit(topology.Record[string, string]{Time: time.UnixMilli(-1)})
		}, nil
	})
	r.add("in", 0, record("k", "", 1))
	require.ErrorContains(t, r.try(), "event times begin in 1970")
}

// Cleanups come in the reverse order, all of them, and their errors are told; then the
// task's context has ended for those who wait for it.
func TestCleanup(t *testing.T) {
	var order []string
	r := stopped(t, func(b *topology.Builder) {
		for _, name := range []string{"one", "two"} {
			kstream.Process(kstream.From(b, text("in")), name, func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
				for _, what := range []string{"a", "b"} {
					c.Cleanup(func() error {
						order = append(order, name+what)
						return errors.New(name + what)
					})
				}
				return func(topology.Record[string, string]) error { return nil }, nil
			})
		}
	})
	require.NoError(t, r.open())
	errs := r.Close()
	require.Len(t, errs, 4)
	require.Equal(t, []string{"oneb", "onea", "twob", "twoa"}, order, "steps are wired from the last to the first")
	require.Empty(t, r.Close(), "once")
}

// ForEach is given a context that ends with the task, and its error makes the record bad.
func TestForEach(t *testing.T) {
	var seen context.Context
	r := newRig(t, func(b *topology.Builder) {
		kstream.ForEach(kstream.From(b, text("in")), func(ctx context.Context, r topology.Record[string, string]) error {
			seen = ctx
			if r.Value == "bad" {
				return errors.New("it is bad")
			}
			return nil
		})
	})
	r.send("in", record("k", "good", 1))
	require.NotNil(t, seen)
	r.add("in", 0, record("k", "bad", 2))
	require.ErrorContains(t, r.try(), "node for-each-1 at context_test.go:")
}

// A processor reads the store of a table, and does not write it.
func TestTheStoreOfATable(t *testing.T) {
	build := func(open func(*topology.Context[string, string]) error) func(*topology.Builder) {
		return func(b *topology.Builder) {
			ktable.Materialize(ktable.From(b, text("table")), rows)
			kstream.Process(kstream.From(b, text("in")), "p", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
				return func(topology.Record[string, string]) error { return nil }, open(c)
			}, rows)
		}
	}
	r := stopped(t, build(func(c *topology.Context[string, string]) error {
		_, err := topology.Open(c, rows)
		return err
	}))
	require.ErrorContains(t, r.open(), `store "rows": only the table at context_test.go:`)
	require.ErrorContains(t, r.open(), "a processor can read it with topology.View")

	newRig(t, build(func(c *topology.Context[string, string]) error {
		_, err := topology.View(c, rows)
		return err
	}))
}

// Stores are opened when the task starts, and not later.
func TestOpenOutsideStart(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		kstream.Process(kstream.From(b, text("in")), "p", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			return func(topology.Record[string, string]) error {
				_, err := topology.Open(c, rows)
				return err
			}, nil
		}, rows)
	})
	r.add("in", 0, record("k", "", 1))
	require.ErrorContains(t, r.try(), `store "rows": open stores inside start`)
}

// PartitionOf chooses a partition that there is.
func TestPartitionOf(t *testing.T) {
	out := text("out")
	r := newRig(t, func(b *topology.Builder) {
		out.PartitionOf = func(k, _ string, n int32) int32 {
			if k == "far" {
				return n
			}
			return 0
		}
		kstream.To(kstream.From(b, text("in")), out)
	})
	r.send("in", record("near", "v", 1))
	require.Equal(t, []string{"out near=v@1"}, r.sent())
	r.add("in", 0, record("far", "v", 1))
	require.ErrorContains(t, r.try(), `topic "out": PartitionOf chose partition 1 of 1`)
}
