package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/sched"
)

// Instance is one member of the application's group, and its workers.
type Instance struct {
	c       Config
	layout  *Layout
	gate    gate
	workers []*Worker
	group   cluster.Group

	mu        sync.Mutex
	tasks     map[plan.TaskID]*place
	assigned  bool           // something was assigned since the start
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
	running bool
}

// NewInstance makes an instance; Run starts it.
func NewInstance(c Config, l *Layout) *Instance {
	return &Instance{c: c, layout: l, gate: gate{sched: c.Sched}, tasks: map[plan.TaskID]*place{}}
}

// Run is a member of the group until ctx ends, and works on the tasks that it is given.
// Then the workers commit and close, and only after that it leaves the group. It returns
// the first error that could not be recovered from.
func (n *Instance) Run(ctx context.Context) error {
	work, fail := context.WithCancelCause(ctx)
	n.fail, n.life = fail, work
	defer func() {
		fail(nil)
		n.helpers.Wait(n.c.Sched)
	}()
	if err := n.layout.CreateTopics(work, n.c.Client); err != nil {
		return err
	}
	tables, err := openGlobals(work, n.c, n.layout)
	if err != nil {
		return err
	}
	defer tables.close()
	var group, workers, following sched.Crew
	defer following.Wait(n.c.Sched)
	following.Go(n.c.Sched, func() {
		if err := tables.follow(work); err != nil {
			fail(err)
		}
	})
	starting := newStarter(n.c.Restores)
	for i := range n.c.Workers {
		w, err := newWorker(work, n.c, n.layout, i, &n.gate, starting)
		if err != nil {
			fail(err)
			for _, w := range n.workers {
				err = errors.Join(err, w.stop(err))
			}
			return err
		}
		w.closed, w.running, w.globals = n.closed, n.running, tables.rows
		n.workers = append(n.workers, w)
	}
	n.group = n.c.Client.NewGroup(broker.GroupConfig{
		Group: n.c.App, Protocol: "streams", InstanceID: n.c.InstanceID,
		Session: n.c.Session, Rebalance: rebalanceTimeout, Heartbeat: n.c.Heartbeat,
		Topics: n.layout.Sources(), Joining: n.joining, Plan: n.plan, Assigned: n.assignedTasks, Lost: n.lost,
	})
	membership, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	group.Go(n.c.Sched, func() {
		if err := n.group.Run(membership); err != nil {
			fail(err)
		}
	})
	errs := make([]error, len(n.workers))
	for i, w := range n.workers {
		workers.Go(n.c.Sched, func() {
			if errs[i] = w.Run(work); errs[i] != nil {
				fail(errs[i])
			}
		})
	}
	workers.Wait(n.c.Sched)
	leave()
	group.Wait(n.c.Sched)
	err = errors.Join(errs...)
	if cause := context.Cause(work); err == nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	return err
}

// joining runs before every JoinGroup: commits are held back until the assignment is known.
func (n *Instance) joining() (userData []byte, owned []kafka.Partition) {
	n.gate.close(context.Background())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.round++
	s := assign.Subscription{Process: n.c.Process, Topology: n.c.Fingerprint, Workers: n.c.Workers, Generation: n.member.Generation, Round: n.round}
	s.Tasks = slices.SortedFunc(maps.Keys(n.tasks), plan.TaskID.Compare)
	for _, id := range s.Tasks {
		owned = append(owned, present(n.layout.Inputs(id))...)
	}
	return s.Encode(), owned
}

// plan runs on the group's leader.
func (n *Instance) plan(members []broker.GroupMember) (map[string]broker.Assignment, error) {
	subs := map[string]assign.Subscription{}
	for _, m := range members {
		s, err := assign.DecodeSubscription(m.UserData)
		if err != nil {
			return nil, err
		}
		subs[m.ID] = s
	}
	topology := assign.Topology(subs)
	var take []assign.Member
	processes := map[string]int{}
	for id, s := range subs {
		if s.Topology == topology {
			take = append(take, assign.Member{ID: id, Workers: s.Workers, Generation: s.Generation, Owned: s.Tasks})
			processes[s.Process] = s.Workers
		}
	}
	given, waiting := assign.Plan(take, n.layout.Tasks())
	n.c.Log.Info("planned the group's tasks", "members", len(take), "refused", len(members)-len(take), "tasks", len(n.layout.Tasks()), "waiting", waiting)

	out := map[string]broker.Assignment{}
	for id, s := range subs {
		a := assign.Assignment{Tasks: given[id], Processes: processes}
		if s.Topology != topology {
			a.Refused = "the application runs with another topology: a changed program needs another ApplicationID, or all instances of the old one stopped first"
		}
		var ps []kafka.Partition
		for _, t := range a.Tasks {
			ps = append(ps, present(n.layout.Inputs(t))...)
		}
		out[id] = broker.Assignment{Partitions: ps, UserData: a.Encode()}
	}
	return out, nil
}

// assignedTasks runs when the group has an assignment for this member. It returns at once:
// workers start and let go of tasks in their own time.
func (n *Instance) assignedTasks(m broker.Member, a broker.Assignment) {
	d, err := assign.DecodeAssignment(a.UserData)
	if err == nil && d.Refused != "" {
		err = fmt.Errorf("the group refuses this instance: %s", d.Refused)
	}
	if err != nil {
		n.fail(err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gate.release(m)
	n.member, n.assigned = m, true
	n.endTransactions(d.Processes)
	target := map[plan.TaskID]bool{}
	for _, id := range d.Tasks {
		target[id] = true
		switch p := n.tasks[id]; {
		case p == nil:
			n.begin(id)
		case p.closing:
			p.again = true
		}
	}
	revoked := map[int][]plan.TaskID{}
	for id, p := range n.tasks {
		if !target[id] && !p.closing {
			p.closing, p.again = true, false
			revoked[p.worker] = append(revoked[p.worker], id)
		}
	}
	for i, w := range n.workers {
		if ids := revoked[i]; len(ids) > 0 {
			w.post(func() error { w.revoke(ids); return nil })
		}
		w.kick() // commits may go on
	}
	n.c.Log.Info("assigned", "generation", m.Generation, "tasks", len(target), "revoked", len(revoked))
	n.checkReady()
}

// begin gives a task to the worker that has fewest of its sub-topology, then fewest of all.
func (n *Instance) begin(id plan.TaskID) {
	load := make([]int, len(n.workers))
	for t, p := range n.tasks {
		load[p.worker]++
		if t.Subtopology == id.Subtopology {
			load[p.worker] += len(n.layout.Tasks())
		}
	}
	i := slices.Index(load, slices.Min(load))
	n.tasks[id] = &place{worker: i}
	w := n.workers[i]
	w.post(func() error { w.assign(id); return nil })
}

// closed runs when a worker has let a task go.
func (n *Instance) closed(id plan.TaskID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.tasks[id]
	if p == nil {
		return
	}
	delete(n.tasks, id)
	if p.again {
		n.begin(id)
		return
	}
	for _, p := range n.tasks {
		if p.closing {
			return
		}
	}
	if p.closing {
		n.group.Rejoin("let go of tasks that others are to have")
	}
}

// running runs when a task processes.
func (n *Instance) running(id plan.TaskID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.tasks[id]; p != nil {
		p.running = true
	}
	n.checkReady()
}

func (n *Instance) checkReady() {
	for _, p := range n.tasks {
		if !p.running || p.closing {
			return
		}
	}
	if n.assigned {
		n.c.Ready()
	}
}

// lost runs when the group has given our tasks away.
func (n *Instance) lost(cause error) {
	n.gate.close(context.Background())
	n.c.Log.Warn("lost the membership of the group; its tasks are dropped", "error", cause)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.tasks {
		p.closing, p.again = true, false
	}
	for _, w := range n.workers {
		w.post(w.lost)
	}
}

// endTransactions ends the transactions that processes which are gone may have left open,
// so that nobody has to wait until they time out. The first of the processes that stayed
// does it for all: others, and so maybe the group's leader, do not know who was there.
func (n *Instance) endTransactions(processes map[string]int) {
	before := n.processes
	n.processes = processes
	var stayed, gone []string
	for process := range before {
		if _, ok := processes[process]; ok {
			stayed = append(stayed, process)
		} else {
			gone = append(gone, process)
		}
	}
	if !n.c.ExactlyOnce || len(stayed) == 0 || slices.Min(stayed) != n.c.Process {
		return
	}
	slices.Sort(gone)
	for _, process := range gone {
		for i := range before[process] {
			n.helpers.Go(n.c.Sched, func() { n.endTransaction(transactionalID(n.c.App, process, i)) })
		}
	}
}

func (n *Instance) endTransaction(id string) {
	ctx, cancel := context.WithTimeout(n.life, transactionTimeout)
	defer cancel()
	p, err := n.c.Client.NewProducer(ctx, broker.ProducerOptions{TransactionalID: id, TransactionTimeout: transactionTimeout})
	if err != nil {
		if n.life.Err() != nil {
			return
		}
		n.c.Log.Warn("end the transaction of an instance that is gone", "transaction", id, "error", err)
		return
	}
	p.Close()
}
