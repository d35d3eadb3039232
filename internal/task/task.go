// Package task runs one sub-topology over one partition. A task computes and its worker
// does the rest: it takes records in, processes them one at a time, and collects what it
// wants made durable. It reads no clock, starts no goroutine, and speaks to no broker, so
// that the same code runs over Kafka, in a test, and in a simulation.
package task

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
)

// Config is what a task is made of.
type Config struct {
	ID         plan.TaskID
	Plan       *plan.Subtopology
	Inputs     []kafka.Partition // by input slot; an empty Topic: the topic has no such partition
	TopicIDs   []string          // of the inputs; nil or "": not known
	Stores     []*store.Store    // by store slot, restored
	Globals    []*plan.GlobalRows
	Partitions func(sink int) int32
	// PartitionsOf is the same for topics that records name.
	PartitionsOf func(topic string) (int32, error)
	Positions    []kafka.Offset // by input slot: where to begin, and what was committed beside it
	Context      context.Context
	Wall         int64 // ms
	CacheBytes   int   // of the record cache; 0: none, every change is sent at once
	Uncommitted  int   // bytes: with more, Run ends before its limit; 0: never
	Repeats      bool  // what was processed before a crash comes again, though its results were sent
	MaxIdle      int64 // ms to wait for an input that is empty, and known to be so, before others go on

	// Release gives a batch back when its records are processed.
	Release func(input int, b kafka.Batch)
	// OnBad decides about a record that could not be processed, whose effects are undone.
	OnBad func(*Error) Verdict
	// DeadLetters is the topic that dead letters go to; "": there is none.
	DeadLetters string
	// Refused is a record that was processed before, and Kafka refused what came of it. Nil:
	// there is none.
	Refused *Refusal
	// Fits says why Kafka will not take a record of an unusual size or time. Nil: it takes all.
	Fits func(plan.Out) error
}

// Task is one running task. It belongs to one goroutine at a time.
type Task struct {
	c       Config
	ctx     *plan.Context
	inputs  []input
	changed bool // something to commit
	records int64
	retry   retry
	refused *Refusal

	changelogs []int
}

// Error says which record failed, and where.
type Error struct {
	Task      plan.TaskID
	Partition kafka.Partition // empty in a schedule
	Offset    int64
	Record    kafka.Record // as it was read
	Node      string
	Attempt   int // the first is 1
	Err       error
	Broken    bool // what was processed since the last commit is incomplete and must not be committed
}

func (e *Error) Error() string {
	if e.Partition.Topic == "" {
		return fmt.Sprintf("task %s: a schedule of node %s: %v", e.Task, e.Node, e.Err)
	}
	return fmt.Sprintf("task %s: record at %s offset %d, node %s: %v", e.Task, e.Partition, e.Offset, e.Node, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// New wires a task.
func New(c Config) (*Task, error) {
	t := &Task{c: c, refused: c.Refused, changelogs: changelogs(c.Plan)}
	t.ctx = &plan.Context{
		Task: c.ID, Context: c.Context, Stores: c.Stores, Globals: c.Globals, Partitions: c.Partitions, PartitionsOf: c.PartitionsOf, Fits: c.Fits,
		StreamTime: -1, WallTime: c.Wall, Repeats: c.Repeats, Again: c.Repeats,
	}
	if c.CacheBytes > 0 {
		t.ctx.Cache = &plan.Cache{Limit: c.CacheBytes}
	}
	for _, in := range c.Inputs {
		t.ctx.Topics = append(t.ctx.Topics, in.Topic)
	}
	if err := t.wire(); err != nil {
		return nil, fmt.Errorf("task %s: %w", c.ID, err)
	}
	t.ctx.Mark() // what wiring did, such as making schedules, stays
	t.inputs = make([]input, len(c.Inputs))
	clocks := map[string]int64{}
	for i, p := range c.Positions {
		t.inputs[i] = input{partition: c.Inputs[i], wired: t.ctx.Inputs[i], next: p.At, time: -1, idleSince: -1, gone: c.Inputs[i].Topic == ""}
		if c.TopicIDs != nil {
			t.inputs[i].topic = TopicOf(c.TopicIDs[i])
		}
		m := decodeMetadata(p.Metadata)
		t.inputs[i].time = m.partition
		t.ctx.StreamTime = max(t.ctx.StreamTime, m.partition)
		for k, v := range m.clocks {
			if known, ok := clocks[k]; !ok || v > known {
				clocks[k] = v
			}
		}
	}
	t.ctx.SetClocks(clocks)
	return t, nil
}

// wire wires the nodes; a panic in a processor's start is an error.
func (t *Task) wire() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("node %s: %w", t.c.Plan.Nodes[t.ctx.Node], panicked(r))
		}
	}()
	return t.c.Plan.Wire(t.ctx)
}

// ID is the task's id.
func (t *Task) ID() plan.TaskID { return t.c.ID }

// Input finds the input slot of a partition.
func (t *Task) Input(p kafka.Partition) (slot int, ok bool) {
	for i := range t.inputs {
		if t.inputs[i].partition == p {
			return i, true
		}
	}
	return 0, false
}

// Add buffers a batch of an input.
func (t *Task) Add(slot int, b kafka.Batch) {
	in := &t.inputs[slot]
	if !in.known {
		in.known, in.before = true, b.End
	}
	in.end = max(in.end, b.End)
	if t.ctx.Again {
		t.ctx.Again = slices.ContainsFunc(t.inputs, func(in input) bool { return !in.gone && (!in.known || in.next < in.before) })
	}
	if len(b.Records) == 0 && len(in.queue) == 0 { // others are passed with what is before them
		t.moved(in, b.Next)
		t.c.Release(slot, b)
		return
	}
	in.queue = append(in.queue, b)
}

// Run processes up to limit records and what is scheduled, at a wall-clock time. It says
// how many it processed: fewer than limit when there is nothing left to do now, or so much
// to commit that this comes first.
func (t *Task) Run(wall int64, limit int) (n int, err error) {
	t.ctx.WallTime = wall
	for n < limit {
		did, err := t.runSome(limit-n, &n)
		if err == nil {
			if !did || t.full() {
				return n, nil
			}
			continue
		}
		if err := t.bad(err); err != nil {
			return n, err
		}
		if t.retry.attempts == 0 {
			n++
		}
	}
	return n, nil
}

// runSome steps until there is nothing to do, or a step fails. A panic is a failure.
func (t *Task) runSome(limit int, n *int) (did bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			did, err = true, panicked(r)
		}
	}()
	for range limit {
		if t.full() {
			return did, nil
		}
		called, err := t.schedules()
		if err != nil {
			return true, err
		}
		ok, err := t.step()
		if err != nil {
			return true, err
		}
		if !ok {
			return called, nil
		}
		*n++
		did = true
	}
	return did, nil
}

// full says that a commit has to come first.
func (t *Task) full() bool { return t.c.Uncommitted > 0 && t.Uncommitted() > t.c.Uncommitted }

// LimitCache sets the size of the record cache, if there is one.
func (t *Task) LimitCache(bytes int) {
	if t.ctx.Cache != nil {
		t.ctx.Cache.Limit = bytes
	}
}

// schedules calls what is due.
func (t *Task) schedules() (called bool, err error) {
	for {
		if !t.ctx.Scheduled() {
			return called, nil
		}
		t.ctx.Mark()
		did, err := t.ctx.Due()
		if err != nil || !did {
			return called, err
		}
		called, t.changed = true, true
	}
}

// step processes the next record, if one may be processed now.
func (t *Task) step() (bool, error) {
	slot := t.pick()
	if slot < 0 {
		return false, nil
	}
	in := &t.inputs[slot]
	r := in.head()
	ctx := t.ctx
	ctx.Record.Input, ctx.Record.Offset = slot, r.Offset
	ctx.Mark()
	if t.refused != nil && t.refused.Err != nil && t.refused.is(in.partition, r.Offset) {
		return true, t.refused
	}
	if in.headTime > ctx.StreamTime {
		ctx.StreamTime = in.headTime
	}
	if err := in.wired.Process(r, in.headTime); err != nil {
		return true, err
	}
	if in.headTime > in.time {
		in.time = in.headTime
	}
	t.taken(slot)
	// A row that was sent before a crash may come and go in one commit when its records
	// come again: if the cache held that back, the row would stay with whoever has it.
	if ctx.Cache != nil && (ctx.Again || ctx.Cache.Full()) {
		return true, t.Flush()
	}
	return true, nil
}

// taken moves an input past its head.
func (t *Task) taken(slot int) {
	in := &t.inputs[slot]
	in.next = in.head().Offset + 1
	in.headKnown = false
	in.at++
	t.changed, t.retry.attempts = true, 0
	t.records++
	for len(in.queue) > 0 && in.at == len(in.queue[0].Records) {
		in.next = in.queue[0].Next
		t.c.Release(slot, in.queue[0])
		in.queue[0] = kafka.Batch{}
		in.queue, in.at = in.queue[1:], 0
	}
}

// moved moves an empty input past something without records.
func (t *Task) moved(in *input, next int64) {
	if next > in.next {
		in.next, t.changed = next, true
	}
}
