package assign

import (
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// standbys gives n copies of every task with state to members that do not run it, as far
// as there are so many.
func (p *planner) standbys(n int) {
	var tasks []plan.TaskID
	for _, t := range p.tasks {
		if t.Stateful {
			tasks = append(tasks, t.TaskID)
		}
	}
	n = min(n, len(p.members)-1)
	quota := quotas(p.members, len(tasks)*n, make([][]plan.TaskID, len(p.members)))
	for range n {
		for _, t := range tasks {
			if i := p.standby(t, quota); i >= 0 {
				p.given[i].Standbys = append(p.given[i].Standbys, t)
			}
		}
	}
}

// standby picks who keeps another copy of a task: who is on a rack of its own, then who has
// room, then who has a copy already, then who has fewest; -1 when all have one.
func (p *planner) standby(t plan.TaskID, quota []int) int {
	racks := map[string]bool{}
	for i, m := range p.members {
		if p.has(i, t) {
			racks[m.Rack] = true
		}
	}
	worth := func(i int) []int {
		n := len(p.given[i].Standbys)
		return []int{truth(racks[p.members[i].Rack]), truth(n >= quota[i]), p.rank(i, t), n * 1000 / workers(p.members[i])}
	}
	best := -1
	for i := range p.members {
		if !p.has(i, t) && !slices.Contains(p.given[i].Warmups, t) && (best < 0 || slices.Compare(worth(i), worth(best)) < 0) {
			best = i
		}
	}
	return best
}

// has says whether a member runs a task or keeps a copy for its own sake.
func (p *planner) has(i int, t plan.TaskID) bool {
	runs, ok := p.runs[t]
	return ok && runs == i || slices.Contains(p.given[i].Standbys, t)
}

// truth is 1 for true, to compare by.
func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
