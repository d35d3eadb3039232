package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/seed-df18afd4/streams/internal/changelog"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/task"
)

// Report is what an instance is doing, in detail.
type Report struct {
	State      State
	Member     string // as the group knows it
	Generation int32
	Tasks      []TaskReport
	Copies     map[plan.TaskID]int64 // records that each copy is behind, or assign.Unknown
	Globals    []GlobalReport
	Silent     []int // workers that did not answer: they are busy with one record
}

// TaskReport is one task.
type TaskReport struct {
	ID        plan.TaskID
	Worker    int
	Running   bool // else it restores
	Leaving   bool
	Restore   Restoration
	Inputs    []task.Position
	Records   int64 // processed since it began here
	Dropped   map[plan.Drop]int64
	Committed time.Time // the last time; zero: not yet
}

// Restoration is how far the restore of a task is.
type Restoration struct {
	changelog.Progress
	Began time.Time // zero: it did not begin yet
}

// GlobalReport is one partition of a global table.
type GlobalReport struct {
	Store     string
	Partition kafka.Partition
	Position  int64
}

// patience is how long a report waits for a worker that is in the middle of something.
const patience = 200 * time.Millisecond

// Report says what the instance is doing. Of workers that do not answer in a moment it has
// what they said last.
func (n *Instance) Report(ctx context.Context) Report {
	n.mu.Lock()
	r := Report{State: n.state, Member: n.member.ID, Generation: n.member.Generation}
	workers := slices.Clone(n.workers)
	copies, globals := n.copies, n.globals
	n.mu.Unlock()
	if copies != nil {
		r.Copies = copies.behind()
	}
	if globals != nil {
		r.Globals = globals.report()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make([]chan struct{}, len(workers))
	for i, w := range workers {
		answered := make(chan struct{})
		answers[i] = answered
		w.post(func() error { w.publish(); close(answered); return nil })
	}
	for i, w := range workers {
		select {
		case <-answers[i]:
		case <-ctx.Done():
			r.Silent = append(r.Silent, i)
		}
		r.Tasks = append(r.Tasks, w.said()...)
	}
	slices.SortFunc(r.Tasks, func(a, b TaskReport) int { return a.ID.Compare(b.ID) })
	return r
}

// Kick wakes the workers, after what Paused says has changed.
func (n *Instance) Kick() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.workers {
		w.kick()
	}
}

// publish says what the worker's tasks are doing.
func (w *Worker) publish() {
	var all []TaskReport
	for _, e := range w.entries() {
		r := TaskReport{ID: e.id, Worker: w.index, Leaving: e.leaving, Running: e.task != nil, Committed: e.committed}
		if e.task != nil {
			r.Inputs, r.Records, r.Dropped = e.task.Positions(), e.task.Records(), maps.Clone(e.task.Dropped())
		}
		if p := e.restoration.Load(); p != nil {
			r.Restore = *p
		}
		all = append(all, r)
	}
	w.mu.Lock()
	w.report = all
	w.mu.Unlock()
}

// said is what the worker published last.
func (w *Worker) said() []TaskReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.report
}

func (g *globals) report() (all []GlobalReport) {
	for i, t := range g.layout.Plan.Globals {
		rows := g.rows[i]
		rows.Lock()
		for p, s := range rows.Partitions {
			all = append(all, GlobalReport{Store: t.Name, Partition: kafka.Partition{Topic: t.Topic, Index: int32(p)}, Position: s.Offset()})
		}
		rows.Unlock()
	}
	return all
}
