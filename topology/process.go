package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/state"
)

// Processor handles the records that reach one node in one task, one at a time. An
// error makes the record a bad one, and undoes what it did.
type Processor[K, V any] func(r Record[K, V]) error

// Process adds a processor. Start is called for each task, and opens the stores that the
// node is given. Nodes that are given one store share it, and so a task. The name is for
// drawings and errors.
//
// A processor sees nulls as nil and as NoKey, and may change keys: what groups or joins
// its records needs Repartition first.
func Process[K, V, K2, V2 any](n Node[K, V], name string, start func(*Context[K2, V2]) (Processor[K, V], error), stores ...state.Any) Node[K2, V2] {
	s := process(n, name, start, nil, stores)
	return Node[K2, V2]{Step: s.Rekey()}
}

// ProcessValues is Process for a processor that keeps the key: what it emits has the key
// of the record it was given, and it emits nothing in a schedule. So its records are
// where they belong, and can be grouped and joined without Repartition.
func ProcessValues[K, V, W any](n Node[K, V], name string, start func(*Context[K, W]) (Processor[K, V], error), stores ...state.Any) Node[K, W] {
	return Node[K, W]{Step: process(n, name, start, func(k K) K { return k }, stores)}
}

func process[K, V, K2, V2 any](n Node[K, V], name string, start func(*Context[K2, V2]) (Processor[K, V], error), keep func(K) K2, stores []state.Any) *graph.Step {
	b := n.Step.Builder()
	s := b.Add(name, []*graph.Step{n.Step}, func(w *graph.Wiring, s *graph.Step) any {
		c := &Context[K2, V2]{w: w, step: s, node: w.NodeOf(s), task: w.Context, next: graph.Next[K2, V2](w, s), null: graph.NullKey[K2](), keepKey: keep != nil}
		c.in.Time = c.task.WallTime
		f, err := start(c)
		if err == nil && f == nil {
			err = fmt.Errorf("start gave no processor")
		}
		if err != nil {
			w.Fail(err)
			return nil
		}
		c.w = nil
		return graph.Handler[K, V](func(k K, v V, m *plan.Meta) error {
			c.task.Node = c.node
			c.in = *m
			c.inRecord = true
			if keep != nil {
				c.key = keep(k)
			}
			err := f(recordOf(k, v, m))
			c.inRecord = false
			return err
		})
	})
	for _, st := range stores {
		s.Use(b.Store(st.Spec()))
	}
	return s
}

// Open opens, inside start, a store that the node was given. A store that a table keeps
// can only be read: see View.
func Open[K2, V2, K, V any](c *Context[K2, V2], s state.Store[K, V]) (state.KeyValue[K, V], error) {
	st, err := find(c, s.Name)
	if err != nil {
		return nil, err
	}
	if err := st.Writable(); err != nil {
		return nil, fmt.Errorf("store %q: %w: a processor can read it with topology.View", s.Name, err)
	}
	return graph.OpenAt(c.w, st, s, func() int64 { return c.in.Time }), nil
}

// View opens, inside start, a store that the node was given, to read it: also one that a
// table or a global table keeps.
func View[K2, V2, K, V any](c *Context[K2, V2], s state.Store[K, V]) (state.Reader[K, V], error) {
	st, err := find(c, s.Name)
	if err != nil {
		return nil, err
	}
	return graph.View(c.w, st, s), nil
}

// find is a store that the node was given.
func find[K2, V2 any](c *Context[K2, V2], name string) (*graph.Store, error) {
	if c.w == nil {
		return nil, fmt.Errorf("store %q: open stores inside start", name)
	}
	st := c.step.Find(name)
	if st == nil {
		return nil, fmt.Errorf("store %q is not among the stores that the node was given: add it to the arguments of Process", name)
	}
	return st, nil
}

// Context is what a processor has of its task. It belongs to the task's goroutine.
type Context[K2, V2 any] struct {
	w        *graph.Wiring // while start runs
	step     *graph.Step
	node     int
	task     *plan.Context
	next     graph.Handler[K2, V2]
	null     func(K2, *plan.Meta) bool
	keepKey  bool
	key      K2        // of the record in hand, if it is kept
	in       plan.Meta // of the record or schedule in hand
	out      plan.Meta
	inRecord bool
}

// Emit sends a record to the next nodes, in the order in which they were added, at once
// and depth first. A zero Time is that of the record, or of the schedule, being
// processed; nil Headers are the record's, empty ones are none.
func (c *Context[K2, V2]) Emit(r Record[K2, V2]) error {
	c.out = plan.Meta{Time: c.in.Time, Headers: c.in.Headers, NoKey: r.NoKey}
	if !r.Time.IsZero() {
		if c.out.Time = r.Time.UnixMilli(); c.out.Time < 0 {
			return fmt.Errorf("emit a record of %v: event times begin in 1970", r.Time)
		}
	}
	if r.Headers != nil {
		c.out.Headers = r.Headers
	}
	if c.keepKey {
		if !c.inRecord {
			return fmt.Errorf("emit in a schedule of ProcessValues: there is no record whose key to keep; use Process")
		}
		r.Key, c.out.NoKey = c.key, c.in.NoKey
	}
	c.out.NoKey = c.null(r.Key, &c.out)
	if err := c.next(r.Key, r.Value, &c.out); err != nil {
		return err // of a later step, which is the one to be named
	}
	c.task.Node = c.node
	return nil
}

// Source is where the record being processed came from; ok is false in a schedule.
func (c *Context[K2, V2]) Source() (topic string, partition int32, offset int64, ok bool) {
	r := c.task.Record
	if r.Input < 0 {
		return "", 0, 0, false
	}
	return c.task.Topics[r.Input], c.task.Task.Partition, r.Offset, true
}

// Task is the id of the task, as Kafka Streams prints it: "0_3".
func (c *Context[K2, V2]) Task() string { return c.task.Task.String() }

// StreamTime is the greatest event time this task has seen, zero before the first record.
func (c *Context[K2, V2]) StreamTime() time.Time {
	if c.task.StreamTime < 0 {
		return time.Time{}
	}
	return time.UnixMilli(c.task.StreamTime).UTC()
}

// WallTime is the clock's time; a test moves it by hand.
func (c *Context[K2, V2]) WallTime() time.Time { return time.UnixMilli(c.task.WallTime).UTC() }

// Schedule calls f every d of stream or wall-clock time, until stop is called: of stream
// time first at the first record and then at multiples of d since 1970, of wall-clock time
// first in d. Calls that time has jumped over are made once; now is the time it is, not
// the time it was due. D is a millisecond or more.
func (c *Context[K2, V2]) Schedule(d time.Duration, clock Clock, f func(now time.Time) error) (stop func()) {
	return c.schedule(-1, d, clock, f)
}

// ScheduleFrom is Schedule with its calls due at start, start+d, start+2d and so on.
func (c *Context[K2, V2]) ScheduleFrom(start time.Time, d time.Duration, clock Clock, f func(now time.Time) error) (stop func()) {
	return c.schedule(max(start.UnixMilli(), 0), d, clock, f)
}

func (c *Context[K2, V2]) schedule(start int64, d time.Duration, clock Clock, f func(time.Time) error) func() {
	node := c.task.Node
	c.task.Node = c.node
	defer func() { c.task.Node = node }()
	return c.task.Schedule(max(d.Milliseconds(), 1), clock == WallClock, start, func(now int64) error {
		c.in, c.inRecord = plan.Meta{Time: now}, false
		return f(time.UnixMilli(now).UTC())
	})
}

// Commit asks for a commit soon, before CommitInterval has passed.
func (c *Context[K2, V2]) Commit() { c.task.CommitAsked = true }

// Context ends when the task does.
func (c *Context[K2, V2]) Context() context.Context { return c.task.Context }

// Cleanup calls f when the task leaves this instance; of several, the last added first.
func (c *Context[K2, V2]) Cleanup(f func() error) { c.task.Cleanup(f) }

// Clock is the time that a schedule follows.
type Clock int

const (
	// StreamTime is the greatest event time of the task: it moves with its records.
	StreamTime Clock = iota
	// WallClock is the time of day.
	WallClock
)
