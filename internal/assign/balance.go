package assign

import (
	"cmp"
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// balance finds the target of every task: members keep what they own up to their quotas,
// and the rest goes to those below, to who has a copy of the state first.
func (p *planner) balance() {
	owned := make([][]plan.TaskID, len(p.members))
	for _, t := range p.tasks {
		if o, ok := p.owner[t.TaskID]; ok {
			owned[o] = append(owned[o], t.TaskID)
		}
	}
	p.quota = quotas(p.members, len(p.tasks), owned)
	for i := range p.members {
		for _, t := range p.keep(owned[i], i) {
			p.aim(i, t)
		}
	}
	for rank := range 3 {
		for _, t := range p.tasks {
			if _, ok := p.target[t.TaskID]; ok {
				continue
			}
			if i := p.place(t.TaskID); rank == 2 || t.Stateful && p.rank(i, t.TaskID) <= rank {
				p.aim(i, t.TaskID)
			}
		}
	}
}

func (p *planner) aim(i int, t plan.TaskID) {
	p.target[t] = i
	p.count[i]++
	p.parts[i][t.Subtopology]++
}

// place picks the member with room that has the best copy, then fewest tasks of the same
// sub-topology, then fewest tasks for its workers.
func (p *planner) place(t plan.TaskID) int {
	best := -1
	for i := range p.members {
		if p.count[i] < p.quota[i] && (best < 0 || p.better(i, best, t)) {
			best = i
		}
	}
	return best
}

func (p *planner) better(i, j int, t plan.TaskID) bool {
	if x, y := p.rank(i, t), p.rank(j, t); x != y {
		return x < y
	}
	x, y := p.parts[i][t.Subtopology], p.parts[j][t.Subtopology]
	if p.lighter(i, j, x, y) || p.lighter(j, i, y, x) {
		return p.lighter(i, j, x, y)
	}
	return p.lighter(i, j, p.count[i], p.count[j])
}

// quotas shares n tasks by workers. What does not divide goes to those who own most.
func quotas(members []Member, n int, owned [][]plan.TaskID) []int {
	total := 0
	for _, m := range members {
		total += workers(m)
	}
	quota, order, rest := make([]int, len(members)), make([]int, len(members)), n
	for i, m := range members {
		quota[i] = n * workers(m) / total
		rest -= quota[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(len(owned[b])-quota[b], len(owned[a])-quota[a])
	})
	for i := range rest {
		quota[order[i]]++
	}
	return quota
}

// keep picks which tasks a member keeps of those it owns: it lets go first of what it has
// most of, and of such of what another has a copy of.
func (p *planner) keep(owned []plan.TaskID, member int) []plan.TaskID {
	owned = slices.Clone(owned)
	count := map[int]int{}
	for _, t := range owned {
		count[t.Subtopology]++
	}
	copied := func(t plan.TaskID) int {
		for i := range p.members {
			if i != member && p.caughtUp(i, t) {
				return 1
			}
		}
		return 0
	}
	for len(owned) > p.quota[member] {
		drop := len(owned) - 1
		for i := len(owned) - 1; i >= 0; i-- {
			a, b := owned[i], owned[drop]
			if cmp.Or(cmp.Compare(count[a.Subtopology], count[b.Subtopology]), cmp.Compare(copied(a), copied(b))) > 0 {
				drop = i
			}
		}
		count[owned[drop].Subtopology]--
		owned = slices.Delete(owned, drop, drop+1)
	}
	return owned
}
