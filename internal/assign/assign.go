// Package assign decides who runs which task. It is pure: the same members and tasks
// always give the same plan.
//
// A plan is balanced: members differ by at most one task for each of their workers. It is
// sticky: a task moves only if balance asks for it. And it is cooperative: a task that
// another member still runs is given to nobody until that member has let it go.
package assign

import (
	"cmp"
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// Member is an instance that takes part.
type Member struct {
	ID         string
	Workers    int           // its capacity
	Generation int32         // of the assignment that Owned stems from
	Owned      []plan.TaskID // tasks it runs, restores or is letting go
}

// Plan gives every task to one member, as far as its present owner has let it go. Waiting
// is how many tasks were withheld: their owners will ask for another round.
func Plan(members []Member, tasks []plan.TaskID) (given map[string][]plan.TaskID, waiting int) {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	tasks = slices.Clone(tasks)
	slices.SortFunc(tasks, plan.TaskID.Compare)

	owner := owners(members, tasks)
	target := balance(members, tasks, owner)

	given = make(map[string][]plan.TaskID, len(members))
	for _, m := range members {
		given[m.ID] = nil
	}
	for _, t := range tasks {
		if o, ok := owner[t]; ok && members[o].ID != target[t] {
			waiting++
			continue
		}
		given[target[t]] = append(given[target[t]], t)
	}
	return given, waiting
}

// owners finds who owns each task: of several that claim it, who got it last. The others
// were away when it was given on; they cannot commit any more, so nobody waits for them.
func owners(members []Member, tasks []plan.TaskID) map[plan.TaskID]int {
	known := make(map[plan.TaskID]bool, len(tasks))
	for _, t := range tasks {
		known[t] = true
	}
	owner := map[plan.TaskID]int{}
	for i, m := range members {
		for _, t := range m.Owned {
			if o, ok := owner[t]; known[t] && (!ok || members[o].Generation < m.Generation) {
				owner[t] = i
			}
		}
	}
	return owner
}

// balancer fills members up to their quotas.
type balancer struct {
	members []Member
	quota   []int
	count   []int
	parts   []map[int]int // of each member: tasks by sub-topology
	target  map[plan.TaskID]string
}

// balance keeps what members own up to their quotas, and gives the rest to those below.
func balance(members []Member, tasks []plan.TaskID, owner map[plan.TaskID]int) map[plan.TaskID]string {
	b := &balancer{members: members, count: make([]int, len(members)), target: map[plan.TaskID]string{}}
	owned := make([][]plan.TaskID, len(members))
	for _, t := range tasks {
		if o, ok := owner[t]; ok {
			owned[o] = append(owned[o], t)
		}
	}
	b.quota = quotas(members, len(tasks), owned)
	for i := range members {
		b.parts = append(b.parts, map[int]int{})
		for _, t := range keep(owned[i], b.quota[i]) {
			b.give(i, t)
		}
	}
	for _, t := range tasks {
		if _, ok := b.target[t]; !ok {
			b.give(b.place(t), t)
		}
	}
	return b.target
}

func (b *balancer) give(i int, t plan.TaskID) {
	b.target[t] = b.members[i].ID
	b.count[i]++
	b.parts[i][t.Subtopology]++
}

// place picks the member with room that has fewest tasks of the same sub-topology, then
// fewest tasks for its workers.
func (b *balancer) place(t plan.TaskID) int {
	best := -1
	for i := range b.members {
		if b.count[i] >= b.quota[i] {
			continue
		}
		if best < 0 || b.better(i, best, t.Subtopology) {
			best = i
		}
	}
	return best
}

func (b *balancer) better(i, j, sub int) bool {
	wi, wj := workers(b.members[i]), workers(b.members[j])
	if x, y := b.parts[i][sub]*wj, b.parts[j][sub]*wi; x != y {
		return x < y
	}
	return b.count[i]*wj < b.count[j]*wi
}

func workers(m Member) int { return max(m.Workers, 1) }

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

// keep picks which n tasks a member keeps: it lets go first of what it has most of.
func keep(owned []plan.TaskID, n int) []plan.TaskID {
	owned = slices.Clone(owned)
	for len(owned) > n {
		count := map[int]int{}
		for _, t := range owned {
			count[t.Subtopology]++
		}
		drop := len(owned) - 1
		for i := len(owned) - 1; i >= 0; i-- {
			if count[owned[i].Subtopology] > count[owned[drop].Subtopology] {
				drop = i
			}
		}
		owned = slices.Delete(owned, drop, drop+1)
	}
	return owned
}
