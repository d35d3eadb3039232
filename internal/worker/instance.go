package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/changelog"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/sched"
)

// Instance is one member of the application's group, and its workers.
type Instance struct {
	c       Config
	gate    gate
	workers []*Worker
	copies  *copies
	group   cluster.Group

	mu        sync.Mutex
	layout    *Layout
	tasks     map[plan.TaskID]*place
	standbys  map[plan.TaskID]bool  // tasks to keep a copy of; true: to run it when it has caught up
	cold      map[plan.TaskID]bool  // of those to run: copies that have not caught up
	asking    bool                  // for those that have, in a moment
	told      map[plan.TaskID]int64 // how far behind copies were, as the group knows
	kept      map[plan.TaskID]bool  // tasks whose state lies on the disk, maybe old
	assigned  bool                  // something was assigned since the start
	state     State
	globals   *globals
	round     int            // of rebalances that this member saw
	member    broker.Member  // of the last assignment
	processes map[string]int // all members' processes and their workers, by the last assignment
	fail      context.CancelCauseFunc
	life      context.Context
	helpers   sched.Crew
}

// place is where a task of this instance is.
type place struct {
	worker  int
	closing bool // to be let go
	again   bool // assigned again while it was closing
	gone    bool // nothing of it will be committed here; its stores are being closed
	running bool
}

// NewInstance makes an instance; Run starts it.
func NewInstance(c Config, l *Layout) *Instance {
	return &Instance{c: c, layout: l, tasks: map[plan.TaskID]*place{}, kept: keptOn(c.Resources.Disk(), c.StateDir)}
}

// Run is a member of the group until ctx ends, and works on the tasks that it is given.
// Then the workers commit, and only after that it leaves the group; others go on while it
// closes its stores. It returns the first error that could not be recovered from.
func (n *Instance) Run(ctx context.Context) error {
	work, fail := context.WithCancelCause(ctx)
	n.fail, n.life = fail, work
	defer func() {
		fail(nil)
		n.helpers.Wait(n.c.Sched)
	}()
	if err := n.layout.CreateTopics(work, n.c.Client); err != nil {
		return unlessStopped(ctx, err)
	}
	tables, err := openGlobals(work, n.c, n.layout)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer tables.close()
	n.mu.Lock()
	n.globals = tables
	n.copies = newCopies(n.c, n.caughtUp)
	n.mu.Unlock()
	n.c.OnState(Joining)
	var group, workers, following sched.Crew
	defer following.Wait(n.c.Sched)
	following.Go(n.c.Sched, func() {
		if err := tables.follow(work); err != nil {
			fail(err)
		}
	})
	following.Go(n.c.Sched, func() { n.copies.follow(work) })
	if err := n.makeWorkers(work); err != nil {
		fail(err)
		return unlessStopped(ctx, err)
	}
	n.group = n.c.Client.NewGroup(n.membership())
	membership, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	group.Go(n.c.Sched, func() {
		if err := n.group.Run(membership); err != nil {
			fail(err)
		}
	})
	errs, done := make([]error, len(n.workers)), last(len(n.workers), leave)
	for i, w := range n.workers {
		w.done = done
		workers.Go(n.c.Sched, func() {
			if errs[i] = w.Run(work); errs[i] != nil {
				fail(errs[i])
			}
		})
	}
	following.Go(n.c.Sched, func() { n.watchTopics(work) })
	following.Go(n.c.Sched, func() { n.watchStalls(work, leave) })
	following.Go(n.c.Sched, func() { n.cleanDisk(work) })
	following.Go(n.c.Sched, func() {
		n.c.Sched.Wait(work, nil, 0)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.move(Stopping)
	})
	workers.Wait(n.c.Sched)
	leave()
	group.Wait(n.c.Sched)
	n.c.OnMember("")
	err = errors.Join(errs...)
	if cause := context.Cause(work); err == nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	return err
}

// unlessStopped leaves out the error of a start that was asked to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// last is a function that calls f when it is called for the nth time.
func last(n int, f func()) func() {
	var calls atomic.Int32
	return func() {
		if calls.Add(1) == int32(n) {
			f()
		}
	}
}

// makeWorkers makes the workers, all of them or none.
func (n *Instance) makeWorkers(ctx context.Context) error {
	starting, beside := newStarter(n.c.Restores), newStarter(max(1, n.c.Restores/4))
	// Committed rows only, also with AtLeastOnce: before the guarantee changed, the application
	// may have left rows behind that were aborted.
	readers := changelog.NewReaders(n.c.Client, changelog.Options{Sched: n.c.Sched, ReadCommitted: true, MaxBytes: n.c.Memory.RestoreFetch, Short: assign.CaughtUp})
	for i := range n.c.Workers {
		w, err := newWorker(ctx, n.c, n.layout, i, &n.gate, starting)
		if err != nil {
			for _, w := range n.workers {
				err = errors.Join(err, w.stop(err))
			}
			return err
		}
		w.beside, w.readers, w.busy, w.outdated = beside, readers, n.busy, func(as broker.Member, refusal error) { n.group.Refused(as, refusal) }
		w.letsGo, w.closed, w.running, w.claim, w.globals = n.letGo, n.closed, n.running, n.copies.claim, n.globals.rows
		n.mu.Lock()
		n.workers = append(n.workers, w)
		n.mu.Unlock()
	}
	return nil
}

// membership is how the instance takes part in the group.
func (n *Instance) membership() broker.GroupConfig {
	return broker.GroupConfig{
		Group: n.c.App, Protocol: "streams", InstanceID: n.c.InstanceID, Former: n.c.Former,
		Session: n.c.Session, Rebalance: rebalanceTimeout, Heartbeat: n.c.Heartbeat,
		Topics: n.layout.Sources(), Joining: n.joining, Joined: n.gate.close, Held: n.gate.hold, Plan: n.plan, Assigned: n.assignedTasks, Lost: n.lost,
	}
}
