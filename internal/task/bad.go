package task

import (
	"errors"
	"fmt"

	"github.com/seed-df18afd4/streams/internal/deadletter"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
)

// Verdict is what is to be done with a bad record.
type Verdict int

// The verdicts.
const (
	Fail       Verdict = iota // stop the task
	Skip                      // leave the record out
	DeadLetter                // leave it out, and send it to the topic of dead letters
	Retry                     // process it again, after a while
)

func (v Verdict) String() string {
	if v < Fail || v > Retry {
		return fmt.Sprintf("no verdict: %d", int(v))
	}
	return [...]string{"fail", "skip", "dead-letter", "retry"}[v]
}

const (
	// MaxAttempts is how often a record is processed before Retry is Fail.
	MaxAttempts = 10
	// firstPause comes before the second attempt; before each later one it is twice as long.
	firstPause = 100 // ms
)

// retry is the record that is to be processed again.
type retry struct {
	attempts int // that failed; 0: there is no such record
	slot     int // whose head it is
	at       int64
}

// Refusal is a record of which Kafka refused what came of it: it failed when it was
// processed already.
type Refusal struct {
	Partition kafka.Partition
	Offset    int64
	Node      string
	Attempt   int
	Err       error // nil: only its dead letter was refused
	Letter    error // why its dead letter was refused, too
}

func (r *Refusal) Error() string { return r.Err.Error() }

func (r *Refusal) is(p kafka.Partition, offset int64) bool {
	return r.Offset == offset && r.Partition == p
}

// bad asks what to do about the failure of the record, or schedule, in hand. Its effects
// are undone first.
func (t *Task) bad(cause error) error {
	if e := (*Error)(nil); errors.As(cause, &e) {
		return e // of a flush, which belongs to no record
	}
	ctx := t.ctx
	ctx.Undo()
	e := &Error{Task: t.c.ID, Node: t.c.Plan.Nodes[ctx.Node].String(), Err: cause}
	slot := ctx.Record.Input
	if slot < 0 || Recoverable(cause) {
		return e
	}
	in := &t.inputs[slot]
	e.Partition, e.Offset, e.Record, e.Attempt = in.partition, ctx.Record.Offset, *in.head(), t.retry.attempts+1
	verdict := t.ask(e)
	switch {
	case verdict == Retry && e.Attempt < MaxAttempts:
		t.retry = retry{attempts: e.Attempt, slot: slot, at: ctx.WallTime + firstPause<<(e.Attempt-1)}
		return nil
	case verdict == Retry:
		e.Err = fmt.Errorf("tried %d times, and that is the most: %w", e.Attempt, e.Err)
		return e
	case verdict == DeadLetter && t.deadLetter(e), verdict == Skip:
		ctx.Drop(plan.BadRecord)
		t.taken(slot)
		return nil
	}
	return e
}

// Recoverable says whether a failure may be gone when the task begins anew: of a store that
// is damaged, or of a cluster that did not answer.
func Recoverable(err error) bool {
	var corrupt *store.CorruptError
	var unanswered *plan.UnansweredError
	return errors.As(err, &corrupt) || errors.As(err, &unanswered)
}

// ask has the program decide about a record. A refusal is told once.
func (t *Task) ask(e *Error) (v Verdict) {
	if r := t.refused; r != nil && e.Err == error(r) {
		t.refused = nil
		e.Node, e.Err, e.Attempt = r.Node, r.Err, r.Attempt
	}
	defer func() {
		if r := recover(); r != nil {
			v, e.Err = Fail, fmt.Errorf("%w; and to decide about it failed: %w", e.Err, panicked(r))
		}
	}()
	return t.c.OnBad(e)
}

// deadLetter sends a record, as it was read, to the topic of dead letters. It is false where
// that cannot be: then the error says so too.
func (t *Task) deadLetter(e *Error) bool {
	out, err := t.letter(e)
	if err != nil {
		e.Err = fmt.Errorf("%w; and it cannot be a dead letter: %w", e.Err, err)
		return false
	}
	t.ctx.Out.Send(out)
	return true
}

// letter makes the dead letter of a record. Those of a partition go to one partition, so
// that they keep their order.
func (t *Task) letter(e *Error) (out plan.Out, err error) {
	if r := t.c.Refused; r != nil && r.Letter != nil && r.is(e.Partition, e.Offset) {
		return out, r.Letter
	}
	topic := t.c.DeadLetters
	if topic == "" {
		return out, errors.New("Config.DeadLetterTopic is not set: name a topic, and create it")
	}
	partitions, err := t.c.PartitionsOf(topic)
	if err != nil {
		return out, err
	}
	out = plan.Out{
		Topic: topic, Partition: e.Partition.Index % partitions, Key: e.Record.Key, Value: e.Record.Value,
		Headers: deadletter.Headers(e.Record.Headers, reason(e)), Time: max(e.Record.Time, 0),
	}
	if t.c.Fits != nil {
		err = t.c.Fits(out)
	}
	return out, err
}

func reason(e *Error) deadletter.Reason {
	last := e.Err
	for next := last; next != nil; next = errors.Unwrap(next) {
		last = next
	}
	stack := fmt.Sprintf("task %s, node %s\n", e.Task, e.Node)
	if p := (*PanicError)(nil); errors.As(e.Err, &p) {
		stack += p.Stack
	}
	return deadletter.Reason{
		Topic: e.Partition.Topic, Partition: e.Partition.Index, Offset: e.Offset,
		Exception: fmt.Sprintf("%T: %v", last, e.Err), Message: e.Err.Error(), Stack: stack,
	}
}

// pick is the input whose head is to be processed now, -1 without any. A record that is
// tried again comes before all others of its task, in its time.
func (t *Task) pick() int {
	if t.retry.attempts > 0 {
		if t.ctx.WallTime < t.retry.at {
			return -1
		}
		if t.ready(t.retry.slot) && t.retry.attempts > 0 { // it may have no time, now
			return t.retry.slot
		}
	}
	return t.choose()
}

// Tick calls what is scheduled, without processing a record. It is false when nothing was
// due.
func (t *Task) Tick(wall int64) (called bool, err error) {
	t.ctx.WallTime = wall
	defer func() {
		if r := recover(); r != nil {
			err = panicked(r)
		}
		if err != nil {
			called, err = true, t.bad(err)
		}
	}()
	return t.schedules()
}

// Last is the record that was processed last; without ok it was none, but a schedule.
func (t *Task) Last() (p kafka.Partition, offset int64, ok bool) {
	slot := t.ctx.Record.Input
	if slot < 0 {
		return p, 0, false
	}
	return t.inputs[slot].partition, t.ctx.Record.Offset, true
}
