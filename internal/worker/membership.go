package worker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
)

// joining runs before every JoinGroup: it says what this member has.
func (n *Instance) joining() (userData []byte, owned []kafka.Partition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.round++
	s := assign.Subscription{
		Process: n.c.Process, Topology: n.c.Fingerprint, Shape: n.layout.Plan.Shape(), Workers: n.c.Workers, Rack: n.c.Rack,
		Generation: n.member.Generation, Round: n.round, Copies: map[plan.TaskID]int64{},
	}
	for id := range n.kept {
		s.Copies[id] = assign.Unknown
	}
	n.told = n.copies.behind()
	maps.Copy(s.Copies, n.told)
	for _, id := range slices.SortedFunc(maps.Keys(n.tasks), plan.TaskID.Compare) {
		p := n.tasks[id]
		if p.gone && !p.again {
			continue
		}
		s.Tasks = append(s.Tasks, id)
		if !p.running && !p.closing {
			s.Restoring = append(s.Restoring, id)
		}
		delete(s.Copies, id)
		owned = append(owned, present(n.layout.Inputs(id))...)
	}
	return s.Encode(), owned
}

// plan runs on the group's leader.
func (n *Instance) plan(members []broker.GroupMember) (map[string]broker.Assignment, error) {
	subs, out := map[string]assign.Subscription{}, map[string]broker.Assignment{}
	for _, m := range members {
		s, err := assign.DecodeSubscription(m.UserData)
		if err != nil { // it gets nothing, and is told why if it can read that
			n.c.Log.Error("a member of the group is refused", "member", m.ID, "error", err)
			out[m.ID] = broker.Assignment{UserData: assign.Assignment{Refused: err.Error()}.Encode()}
			continue
		}
		subs[m.ID] = s
	}
	n.mu.Lock()
	layout := n.layout
	n.mu.Unlock()
	tasks := layout.assignable()
	leader := assign.Leader{Topology: n.c.Fingerprint, Tasks: tasks, Standbys: n.c.Standbys}
	assignments, waiting := leader.Lead(subs)
	n.c.Log.Info("planned the group's tasks", "members", len(subs), "tasks", len(tasks), "waiting", waiting)

	for id, a := range assignments {
		var ps []kafka.Partition
		for _, t := range a.Tasks {
			ps = append(ps, present(layout.Inputs(t))...)
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
	if m.ID != n.member.ID && m.InstanceID == "" {
		n.c.OnMember(m.ID)
	}
	if d.Waiting && !n.assigned && m.InstanceID != "" {
		// What it was to let go in the round that is under way it does not have any more, as
		// nobody knows: a static member that comes back gets what was planned before.
		n.group.Rejoin("came back while tasks were moving")
	}
	n.member, n.assigned = m, true
	n.endTransactions(d.Processes)
	n.c.Resources.Expect(n.databases(slices.Concat(d.Tasks, d.Standbys, d.Warmups)))
	target := map[plan.TaskID]bool{}
	for _, id := range d.Tasks {
		target[id] = true
	}
	n.keepCopies(d, target)
	for _, id := range d.Tasks {
		switch p := n.tasks[id]; {
		case p == nil:
			n.begin(id)
		case p.closing:
			p.again = true
		}
	}
	revoked := n.revoke(target)
	for _, w := range n.workers {
		w.kick() // commits may go on
	}
	if d.Waiting {
		n.group.Hurry()
	}
	n.c.Log.Info("assigned", "generation", m.Generation, "tasks", len(target), "revoked", len(revoked), "standbys", len(d.Standbys), "warmups", len(d.Warmups))
	n.settled()
	n.c.OnRebalance(Rebalance{Generation: m.Generation, Tasks: d.Tasks, Revoked: revoked, Standbys: d.Standbys, Warmups: d.Warmups})
}

// Rebalance is what a new generation of the group brought this instance.
type Rebalance struct {
	Generation int32
	Tasks      []plan.TaskID // that it runs from now on
	Revoked    []plan.TaskID // that it lets go of
	Standbys   []plan.TaskID // that it keeps copies of
	Warmups    []plan.TaskID // that it makes copies of, to run them
	Lost       bool          // the group has given all of its tasks away
}

// keepCopies has the copies made that are wanted. Those of tasks that are to run here now
// stay until their workers claim them.
func (n *Instance) keepCopies(d assign.Assignment, target map[plan.TaskID]bool) {
	n.standbys, n.cold = map[plan.TaskID]bool{}, map[plan.TaskID]bool{}
	for _, id := range d.Standbys {
		n.standbys[id] = false
	}
	behind := n.copies.behind()
	for _, id := range d.Warmups {
		n.standbys[id] = true
		if !isCaughtUp(behind, id) {
			n.cold[id] = true
		} else if !isCaughtUp(n.told, id) {
			n.askSoon()
		}
	}
	keep := maps.Clone(target)
	var make []plan.TaskID
	for _, id := range slices.Concat(d.Standbys, d.Warmups) {
		keep[id] = true
		if n.tasks[id] == nil { // else when it is let go
			make = append(make, id)
		}
	}
	n.copies.keep(n.layout, keep, make)
}

// revoke has the workers let go of what is not theirs any more.
func (n *Instance) revoke(target map[plan.TaskID]bool) (revoked []plan.TaskID) {
	byWorker := map[int][]plan.TaskID{}
	for id, p := range n.tasks {
		switch {
		case target[id]:
		case !p.closing:
			p.closing, p.again = true, false
			byWorker[p.worker] = append(byWorker[p.worker], id)
			revoked = append(revoked, id)
		case p.again: // it came back before it was closed, and goes again
			p.again = false
			revoked = append(revoked, id)
			if p.gone {
				n.group.Rejoin("let go of tasks that others are to have")
			}
		}
	}
	for i, ids := range byWorker {
		w := n.workers[i]
		w.post(func() error { w.revoke(ids); return nil })
	}
	return revoked
}

// begin gives a task to the worker that has fewest of its sub-topology, then fewest of all.
func (n *Instance) begin(id plan.TaskID) {
	load := make([]int, len(n.workers))
	for t, p := range n.tasks {
		load[p.worker]++
		if t.Subtopology == id.Subtopology {
			load[p.worker] += 1 << 20 // first of all, each worker has as many of a sub-topology
		}
	}
	i := slices.Index(load, slices.Min(load))
	n.tasks[id] = &place{worker: i}
	w := n.workers[i]
	w.post(func() error { w.assign(id); return nil })
}

// letGo runs when nothing of a task will be committed here any more: others may have it,
// while its stores are still being closed.
func (n *Instance) letGo(id plan.TaskID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	gone := n.tasks[id]
	if gone == nil {
		return
	}
	gone.gone = true
	n.kept[id] = true
	for _, p := range n.tasks {
		if p.closing && !p.gone {
			return
		}
	}
	if gone.closing && !gone.again {
		n.group.Rejoin("let go of tasks that others are to have")
	}
}

// closed runs when the stores of a task that was let go are closed.
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
	if _, ok := n.standbys[id]; ok {
		n.copies.keep(n.layout, nil, []plan.TaskID{id})
	}
}

// caughtUp runs when a copy has come to the end of its changelogs. Those that are to be run
// here are asked for when all have, or those that have, again and again: a round of the group
// for each one would hold up the others.
func (n *Instance) caughtUp(id plan.TaskID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.standbys[id] {
		return
	}
	if delete(n.cold, id); len(n.cold) == 0 {
		n.group.Rejoin("copies have caught up of tasks that are to run here")
	} else {
		n.askSoon()
	}
}

// askSoon asks in a moment for the tasks of which copies have caught up by then, unless the
// group knows that already.
func (n *Instance) askSoon() {
	if n.asking {
		return
	}
	n.asking = true
	n.helpers.Go(n.c.Sched, func() {
		n.c.Sched.Wait(n.life, nil, warmupPause)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.asking = false
		behind := n.copies.behind()
		for id, wanted := range n.standbys {
			if n.life.Err() == nil && wanted && n.tasks[id] == nil && isCaughtUp(behind, id) && !isCaughtUp(n.told, id) {
				n.group.Rejoin("some copies have caught up of tasks that are to run here")
				return
			}
		}
	})
}

// isCaughtUp says whether the copy of a task is good enough to go on from.
func isCaughtUp(behind map[plan.TaskID]int64, id plan.TaskID) bool {
	lag, ok := behind[id]
	return ok && caughtUp(lag)
}

// caughtUp says whether a copy that is so far behind is.
func caughtUp(lag int64) bool { return lag != assign.Unknown && lag <= assign.CaughtUp }

// running runs when a task processes.
func (n *Instance) running(id plan.TaskID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.tasks[id]; p != nil {
		p.running = true
	}
	n.settled()
}

// lost runs when the group has given our tasks away.
func (n *Instance) lost(cause error) {
	losses := n.gate.lose()
	n.c.Log.Warn("lost the membership of the group; its tasks are dropped", "error", cause)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.tasks {
		p.closing, p.again = true, false
	}
	for _, w := range n.workers {
		w.post(func() error { return w.lost(losses) })
	}
	n.assigned = false
	n.settled()
	n.c.OnRebalance(Rebalance{Lost: true})
}

// databases is about how many tasks have: a window store has four segments.
func (n *Instance) databases(tasks []plan.TaskID) (count int) {
	for _, id := range tasks {
		for _, st := range n.layout.Plan.Subtopologies[id.Subtopology].Stores {
			switch {
			case st.InMemory:
			case st.Kind.Windowed():
				count += 4
			default:
				count++
			}
		}
	}
	return count
}
