package task

import (
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
)

// input is one source partition of a task.
type input struct {
	partition kafka.Partition
	wired     plan.Input
	queue     []kafka.Batch
	at        int   // the head: its index in queue[0]
	next      int64 // the position to commit
	topic     int64 // which it is, as TopicOf gives it
	time      int64 // the greatest event time processed, -1 at first
	end       int64 // of the partition, as far as it is known
	known     bool  // something is known about the partition's end
	before    int64 // its end when that became known: what is after it is processed for the first time
	gone      bool  // there is no such partition: the topic has fewer than others
	headKnown bool
	headTime  int64
	idleSince int64 // wall clock when it was found empty, -1: not empty
}

// head is the first record.
func (in *input) head() *kafka.Record { return &in.queue[0].Records[in.at] }

// lags says whether there are records at the broker that are not here yet, or may be.
func (in *input) lags() bool { return !in.known || in.next < in.end }

// choose picks the input whose first record has the least event time, the first of equal
// ones. It picks none while an input is empty that has more at the broker, or may get
// more within the time that the task is to wait for it: KIP-695.
func (t *Task) choose() int {
	best, empty := -1, false
	for i := range t.inputs {
		in := &t.inputs[i]
		if in.gone {
			continue
		}
		if !t.ready(i) {
			empty = true
			continue
		}
		in.idleSince = -1
		if best < 0 || in.headTime < t.inputs[best].headTime {
			best = i
		}
	}
	if best >= 0 && empty && t.waits() {
		return -1
	}
	return best
}

// waits says whether the task waits for one of its empty inputs.
func (t *Task) waits() bool {
	for i := range t.inputs {
		in := &t.inputs[i]
		if in.gone || len(in.queue) > 0 {
			continue
		}
		if in.lags() {
			in.idleSince = -1
			return true
		}
		if in.idleSince < 0 {
			in.idleSince = t.ctx.WallTime
		}
		if t.ctx.WallTime-in.idleSince < t.c.MaxIdle {
			return true
		}
	}
	return false
}

// ready finds the event time of an input's first record. Records that have none are
// dropped, and batches without records passed. It is false when nothing is left.
func (t *Task) ready(slot int) bool {
	in := &t.inputs[slot]
	for !in.headKnown {
		if len(in.queue) == 0 {
			return false
		}
		r := in.head()
		ms, ok := r.Time, true
		if in.wired.Time != nil {
			var err error
			t.ctx.Record.Input, t.ctx.Record.Offset = slot, r.Offset
			t.ctx.Mark()
			if ms, ok, err = in.wired.Time(r, in.time); err != nil {
				// Process decodes again and fails in the same way, in its turn.
				ms, ok = max(r.Time, 0), true
			}
		}
		if !ok || ms < 0 {
			t.ctx.Drop(plan.NoTime)
			t.taken(slot)
			continue
		}
		in.headKnown, in.headTime = true, ms
	}
	return true
}

// Waiting says whether records are held back for an empty input that may get some.
func (t *Task) Waiting() bool {
	held, idle := false, false
	for i := range t.inputs {
		held = held || len(t.inputs[i].queue) > 0
		idle = idle || t.inputs[i].idleSince >= 0
	}
	return held && idle && t.c.MaxIdle > 0
}

// Position is how far a task is in one of its inputs.
type Position struct {
	kafka.Partition
	Next int64 // the offset of the next record
	End  int64 // of the partition as far as it is known, -1: not yet
	Time int64 // of the next record if it is here, in ms, else -1
}

// Positions are those of the inputs that there are.
func (t *Task) Positions() (all []Position) {
	for i := range t.inputs {
		in := &t.inputs[i]
		if in.gone {
			continue
		}
		p := Position{Partition: in.partition, Next: in.next, End: -1, Time: -1}
		if in.known {
			p.End = in.end
		}
		if len(in.queue) > 0 && in.at < len(in.queue[0].Records) {
			p.Time = in.head().Time
		}
		all = append(all, p)
	}
	return all
}
