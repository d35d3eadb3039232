package conformance

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/topology"
)

// schedules are processors that are called by time.
var schedules = theme{
	"punctuate-stream-time":        {build: ticks(topology.StreamTime, 10*ms), remembers: true},
	"punctuate-stream-time-missed": {build: ticks(topology.StreamTime, 10*ms), remembers: true},
	"punctuate-wall-clock":         {build: ticks(topology.WallClock, 20*ms), remembers: true},
	"punctuate-wall-clock-missed":  {build: ticks(topology.WallClock, 20*ms), remembers: true},

	"punctuate-stream-time-anchored": {build: ticksFrom(time.UnixMilli(7), topology.StreamTime, 10*ms), remembers: true},
	"punctuate-wall-clock-anchored":  {build: ticksFrom(time.UnixMilli(50), topology.WallClock, 20*ms), remembers: true},

	"punctuate-both":   {build: ticksOfBoth, remembers: true},
	"punctuate-cancel": {build: cancels, remembers: true},
	"punctuate-flush":  {build: flushes, remembers: true, stores: map[string]rows{"counts": handMade(counts("counts"))}},
}

// ticks counts records, and tells at intervals how many there were.
func ticks(clock topology.Clock, every time.Duration) func(*topology.Builder) {
	return ticking(func(c *topology.Context[string, string], f func(time.Time) error) { c.Schedule(every, clock, f) })
}

func ticksFrom(start time.Time, clock topology.Clock, every time.Duration) func(*topology.Builder) {
	return ticking(func(c *topology.Context[string, string], f func(time.Time) error) {
		c.ScheduleFrom(start, every, clock, f)
	})
}

func ticking(schedule func(*topology.Context[string, string], func(time.Time) error)) func(*topology.Builder) {
	return func(b *topology.Builder) {
		out := kstream.Process(kstream.From(b, nullable("in")), "count", func(c *topology.Context[string, string]) (topology.Processor[*string, *string], error) {
			n := 0
			schedule(c, func(now time.Time) error {
				return c.Emit(topology.Record[string, string]{Key: "tick", Value: fmt.Sprint(now.UnixMilli(), ":", n)})
			})
			return func(topology.Record[*string, *string]) error { n++; return nil }, nil
		})
		kstream.To(out, plain("out"))
	}
}

func ticksOfBoth(b *topology.Builder) {
	out := kstream.Process(kstream.From(b, nullable("in")), "count", func(c *topology.Context[*string, *string]) (topology.Processor[*string, *string], error) {
		n := 0
		tick := func(key string) func(time.Time) error {
			return func(now time.Time) error {
				return c.Emit(topology.Record[*string, *string]{Key: &key, Value: new(fmt.Sprint(now.UnixMilli(), ":", n))})
			}
		}
		c.Schedule(10*ms, topology.StreamTime, tick("stream"))
		c.Schedule(30*ms, topology.WallClock, tick("wall"))
		return func(r topology.Record[*string, *string]) error { n++; return c.Emit(r) }, nil
	})
	kstream.To(out, nullable("out"))
}

// cancels has a schedule that stops itself and makes another one.
func cancels(b *topology.Builder) {
	out := kstream.Process(kstream.From(b, nullable("in")), "tick", func(c *topology.Context[string, string]) (topology.Processor[*string, *string], error) {
		emit := func(key string, now time.Time) error {
			return c.Emit(topology.Record[string, string]{Key: key, Value: fmt.Sprint(now.UnixMilli())})
		}
		calls := 0
		var stop func()
		stop = c.Schedule(5*ms, topology.StreamTime, func(now time.Time) error {
			if err := emit("fast", now); err != nil {
				return err
			}
			if calls++; calls == 3 {
				stop()
				c.Schedule(15*ms, topology.StreamTime, func(now time.Time) error { return emit("slow", now) })
			}
			return nil
		})
		return func(topology.Record[*string, *string]) error { return nil }, nil
	})
	kstream.To(out, plain("out"))
}

// flushes sends what its store holds at intervals, and empties it.
func flushes(b *topology.Builder) {
	n := counts("counts")
	out := kstream.Process(withKey(b, "in"), "flush", func(c *topology.Context[string, string]) (topology.Processor[*string, *string], error) {
		store, err := topology.Open(c, n)
		c.Schedule(40*ms, topology.WallClock, func(time.Time) error {
			for r, err := range store.All() {
				if err != nil {
					return err
				}
				if err := c.Emit(topology.Record[string, string]{Key: r.Key, Value: fmt.Sprint(r.Value)}); err != nil {
					return err
				}
				if err := store.Delete(r.Key); err != nil {
					return err
				}
			}
			return nil
		})
		return func(r topology.Record[*string, *string]) error {
			_, err := increment(store, *r.Key)
			return err
		}, err
	}, n)
	kstream.To(out, plain("out"))
}
