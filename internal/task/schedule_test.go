package task_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// scheduled starts a task whose processor makes schedules with set. Emit says when one is
// called.
func scheduled(t *testing.T, set func(c *topology.Context[string, string], emit func(what string) func(time.Time) error)) *rig {
	t.Helper()
	return start(t, func(b *topology.Builder) {
		out := kstream.Process(kstream.From(b, text("in")), "p", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			set(c, func(what string) func(time.Time) error {
				return func(now time.Time) error {
					return c.Emit(topology.Record[string, string]{Key: what, Value: fmt.Sprint(now.UnixMilli())})
				}
			})
			return func(topology.Record[string, string]) error { return nil }, nil
		})
		kstream.To(out, text("out"))
	})
}

// at sends records of these times.
func (r *rig) at(times ...int64) {
	r.t.Helper()
	for _, ms := range times {
		r.send("in", record("k", "", ms))
	}
}

func TestScheduleOfStreamTime(t *testing.T) {
	r := scheduled(t, func(c *topology.Context[string, string], emit func(string) func(time.Time) error) {
		c.Schedule(10*ms, topology.StreamTime, emit("tick"))
	})
	require.Empty(t, r.sent(), "there is no stream time yet")
	r.at(7)
	require.Equal(t, []string{"out tick=7@7"}, r.sent(), "first at the first record")
	r.at(9, 10, 12, 5)
	require.Equal(t, []string{"out tick=10@10"}, r.sent(), "then at multiples of 10")
	r.at(47)
	require.Equal(t, []string{"out tick=47@47"}, r.sent(), "20, 30 and 40 are one call")
	r.at(49, 50)
	require.Equal(t, []string{"out tick=50@50"}, r.sent())
	r.advance(time.Hour)
	require.Empty(t, r.sent(), "it does not follow the clock")
	require.Equal(t, int64(-1), r.NextWall())
}

func TestScheduleOfWallClockTime(t *testing.T) {
	r := scheduled(t, func(c *topology.Context[string, string], emit func(string) func(time.Time) error) {
		c.Schedule(20*ms, topology.WallClock, emit("tick"))
	})
	require.Equal(t, int64(20), r.NextWall())
	r.at(1000)
	r.advance(19 * ms)
	require.Empty(t, r.sent())
	r.advance(1 * ms)
	require.Equal(t, []string{"out tick=20@20"}, r.sent())
	require.Equal(t, int64(40), r.NextWall())
	r.advance(55 * ms)
	require.Equal(t, []string{"out tick=75@75"}, r.sent(), "40 and 60 are one call")
	require.Equal(t, int64(80), r.NextWall())
	r.advance(5 * ms)
	require.Equal(t, []string{"out tick=80@80"}, r.sent())
}

func TestSchedulesThatAreAnchored(t *testing.T) {
	r := scheduled(t, func(c *topology.Context[string, string], emit func(string) func(time.Time) error) {
		c.ScheduleFrom(time.UnixMilli(7), 10*ms, topology.StreamTime, emit("stream"))
		c.ScheduleFrom(time.UnixMilli(50), 20*ms, topology.WallClock, emit("wall"))
	})
	r.at(3, 6, 8, 16, 17)
	require.Equal(t, []string{"out stream=8@8", "out stream=17@17"}, r.sent())
	require.Equal(t, int64(50), r.NextWall())
	for range 8 {
		r.advance(15 * ms)
	}
	require.Equal(t, []string{"out wall=60@60", "out wall=75@75", "out wall=90@90", "out wall=120@120"}, r.sent())
}

// A start that has passed is no reason to wait.
func TestScheduleFromThePast(t *testing.T) {
	r := scheduled(t, func(c *topology.Context[string, string], emit func(string) func(time.Time) error) {
		c.ScheduleFrom(time.UnixMilli(-5), 10*ms, topology.WallClock, emit("wall"))
	})
	require.Equal(t, []string{"out wall=0@0"}, r.sent())
	require.Equal(t, int64(10), r.NextWall())
}

func TestAScheduleThatStops(t *testing.T) {
	var stop func()
	r := scheduled(t, func(c *topology.Context[string, string], emit func(string) func(time.Time) error) {
		stop = c.Schedule(10*ms, topology.WallClock, emit("one"))
		c.Schedule(10*ms, topology.WallClock, emit("two"))
	})
	r.advance(10 * ms)
	require.Equal(t, []string{"out one=10@10", "out two=10@10"}, r.sent())
	stop()
	stop() // once more does nothing
	r.advance(10 * ms)
	require.Equal(t, []string{"out two=20@20"}, r.sent())
}

// A stop in a record that fails did not happen.
func TestAStopIsUndone(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		out := kstream.Process(kstream.From(b, text("in")), "p", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			stop := c.Schedule(10*ms, topology.WallClock, func(time.Time) error {
				return c.Emit(topology.Record[string, string]{Key: "tick"})
			})
			return func(r topology.Record[string, string]) error {
				stop()
				if r.Value == "bad" {
					return fmt.Errorf("it is bad")
				}
				return nil
			}, nil
		})
		kstream.To(out, text("out"))
	})
	r.skip = true
	r.send("in", record("k", "bad", 1))
	r.advance(10 * ms)
	require.Equal(t, []string{"out tick=@10"}, r.sent())
	r.send("in", record("k", "good", 1))
	r.advance(10 * ms)
	require.Empty(t, r.sent())
}

// A schedule may stop itself and make another, which of stream time is due at once.
func TestAScheduleMakesAnother(t *testing.T) {
	r := scheduled(t, func(c *topology.Context[string, string], emit func(string) func(time.Time) error) {
		var stop func()
		stop = c.Schedule(5*ms, topology.StreamTime, func(now time.Time) error {
			stop()
			c.Schedule(15*ms, topology.StreamTime, emit("stream"))
			c.Schedule(15*ms, topology.WallClock, emit("wall"))
			return emit("first")(now)
		})
	})
	r.at(3)
	require.Equal(t, []string{"out first=3@3", "out stream=3@3"}, r.sent())
	r.at(14, 15)
	require.Equal(t, []string{"out stream=15@15"}, r.sent())
	r.advance(15 * ms)
	require.Equal(t, []string{"out wall=15@15"}, r.sent())
}

// Schedules are called between records, as soon as the record that makes them due is
// processed.
func TestSchedulesOfStreamTimeComeBetweenRecords(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		out := kstream.Process(kstream.From(b, text("in")), "p", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			c.Schedule(10*ms, topology.StreamTime, func(time.Time) error {
				_, _, _, ok := c.Source()
				return c.Emit(topology.Record[string, string]{Key: "tick", Value: fmt.Sprint("in a record: ", ok)})
			})
			return func(r topology.Record[string, string]) error { return c.Emit(r) }, nil
		})
		kstream.To(out, text("out"))
	})
	r.add("in", 0, record("a", "", 3), record("b", "", 12), record("c", "", 13))
	r.run()
	require.Equal(t, []string{
		"out a=@3", "out tick=in a record: false@3",
		"out b=@12", "out tick=in a record: false@12", "out c=@13",
	}, r.sent())
	require.True(t, r.Changed())
}

// What a schedule does is committed, without any record.
func TestAScheduleIsSomethingToCommit(t *testing.T) {
	r := scheduled(t, func(c *topology.Context[string, string], emit func(string) func(time.Time) error) {
		c.Schedule(10*ms, topology.WallClock, emit("tick"))
	})
	r.commit()
	require.False(t, r.Changed())
	r.advance(10 * ms)
	require.True(t, r.Changed())
}

// ProcessValues keeps the key of a record, and in a schedule there is none.
func TestProcessValuesEmitsNothingInASchedule(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		kstream.ProcessValues(kstream.From(b, text("in")), "p", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			c.Schedule(10*ms, topology.WallClock, func(time.Time) error { return c.Emit(topology.Record[string, string]{Key: "k"}) })
			return func(topology.Record[string, string]) error { return nil }, nil
		})
	})
	r.wall = 10
	require.ErrorContains(t, r.try(), "emit in a schedule of ProcessValues: there is no record whose key to keep; use Process")
}
