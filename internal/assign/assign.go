// Package assign decides who runs which task, and who keeps copies of its state. It is
// pure: the same members and tasks always give the same plan.
//
// A plan is balanced: members differ by at most one task for each of their workers. It is
// sticky: a task moves only if balance asks for it. It is cooperative: a task that another
// member still runs is given to nobody until that member has let it go. And it is warm: a
// task with state moves only to a member that has a copy of the state, which is made
// while the task still runs elsewhere.
package assign

import (
	"cmp"
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// CaughtUp is how many records a copy may be behind to take a task over: what is missing
// is restored in some milliseconds.
const CaughtUp = 10_000

// Unknown is how far a copy is behind that lies on a disk and was not opened yet.
const Unknown = -1

// warmups is how many copies a member makes at once of tasks that it is to run: half of
// what it is to run in all, so that there are few rounds however many they are.
func (p *planner) warmups(i int) int { return max(4, p.quota[i]/2) }

// Member is an instance that takes part.
type Member struct {
	ID         string
	Workers    int    // its capacity
	Rack       string // "": not known
	Generation int32  // of the assignment that Owned stems from
	Owned      []plan.TaskID
	Restoring  []plan.TaskID         // of Owned: those that do not run yet
	Copies     map[plan.TaskID]int64 // records that its copies of other tasks' state are behind, or Unknown
}

// Task is one that has to be run.
type Task struct {
	plan.TaskID
	Stateful bool // it has state that is restored from changelogs
}

// Given is a member's part of a plan.
type Given struct {
	Tasks    []plan.TaskID
	Standbys []plan.TaskID // tasks of which it keeps a copy
	Warmups  []plan.TaskID // tasks that it gets when it has a copy
}

// Plan gives every task to one member, as far as its present owner has let it go, and
// copies of its state to as many others as wanted. Waiting is how many tasks were withheld
// or have a copy made first: there will be another round for them.
func Plan(members []Member, tasks []Task, standbys int) (given map[string]Given, waiting int) {
	p := newPlanner(members, tasks)
	p.owners()
	p.balance()
	for _, t := range p.tasks {
		p.run(t)
	}
	p.standbys(standbys)
	given = make(map[string]Given, len(members))
	for i, m := range p.members {
		given[m.ID] = p.given[i]
	}
	return given, p.waiting
}

// planner makes one plan. Members are numbers, in the order of their ids.
type planner struct {
	members []Member
	tasks   []Task
	owner   map[plan.TaskID]int
	target  map[plan.TaskID]int // who is to run each task in the end
	runs    map[plan.TaskID]int // who runs it until then
	given   []Given
	waiting int

	quota []int
	count []int
	cold  []int         // of each member: copies that it makes
	parts []map[int]int // of each member: tasks by sub-topology
}

func newPlanner(members []Member, tasks []Task) *planner {
	p := &planner{
		members: slices.Clone(members), tasks: slices.Clone(tasks), given: make([]Given, len(members)),
		owner: map[plan.TaskID]int{}, target: map[plan.TaskID]int{}, runs: map[plan.TaskID]int{}, count: make([]int, len(members)), cold: make([]int, len(members)),
	}
	slices.SortFunc(p.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(p.tasks, func(a, b Task) int { return a.Compare(b.TaskID) })
	for range members {
		p.parts = append(p.parts, map[int]int{})
	}
	return p
}

// owners finds who owns each task: of several that claim it, who got it last. The others
// were away when it was given on; they cannot commit any more, so nobody waits for them.
func (p *planner) owners() {
	known := make(map[plan.TaskID]bool, len(p.tasks))
	for _, t := range p.tasks {
		known[t.TaskID] = true
	}
	for i, m := range p.members {
		for _, t := range m.Owned {
			if o, ok := p.owner[t]; known[t] && (!ok || p.members[o].Generation < m.Generation) {
				p.owner[t] = i
			}
		}
	}
}

// run gives a task to its target, or for now to another: to its owner, until it has let
// go; while the target has no copy of the state, to its owner or to one who has.
func (p *planner) run(t Task) {
	to := p.target[t.TaskID]
	owner, owned := p.owner[t.TaskID]
	g := &p.given[to]
	switch {
	case owned && owner == to:
	case t.Stateful && !p.caughtUp(to, t.TaskID) && p.keeper(t.TaskID) >= 0:
		p.waiting++
		if p.cold[to] < p.warmups(to) {
			p.cold[to]++
			g.Warmups = append(g.Warmups, t.TaskID)
		}
		to = p.keeper(t.TaskID)
	case owned:
		p.waiting++
		p.runs[t.TaskID] = owner
		if t.Stateful && p.caughtUp(to, t.TaskID) {
			g.Warmups = append(g.Warmups, t.TaskID) // it keeps its copy until it gets the task
		}
		return
	}
	p.runs[t.TaskID] = to
	p.given[to].Tasks = append(p.given[to].Tasks, t.TaskID)
}

// keeper is who runs a task while its target has no copy of the state: its owner, if it
// does run there, or else the member with a copy who has least to do; -1: nobody has any.
func (p *planner) keeper(t plan.TaskID) int {
	if o, ok := p.owner[t]; ok {
		if slices.Contains(p.members[o].Restoring, t) {
			return -1
		}
		return o
	}
	best := -1
	for i := range p.members {
		if p.caughtUp(i, t) && (best < 0 || p.lighter(i, best, len(p.given[i].Tasks), len(p.given[best].Tasks))) {
			best = i
		}
	}
	return best
}

// caughtUp says whether a member has a copy that is good enough to go on from.
func (p *planner) caughtUp(i int, t plan.TaskID) bool { return p.rank(i, t) == 0 }

// rank says how good a member's copy is: 0 is caught up, 1 behind, 2 not there.
func (p *planner) rank(i int, t plan.TaskID) int {
	behind, ok := p.members[i].Copies[t]
	switch {
	case !ok:
		return 2
	case behind == Unknown || behind > CaughtUp:
		return 1
	}
	return 0
}

// lighter says whether n tasks are less for a member than m for another, by their workers.
func (p *planner) lighter(i, j, n, m int) bool {
	return n*workers(p.members[j]) < m*workers(p.members[i])
}

func workers(m Member) int { return max(m.Workers, 1) }
