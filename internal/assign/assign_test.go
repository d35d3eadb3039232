package assign

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/plan"
)

var seed = flag.Uint64("seed", 1, "first seed of the random histories")

func tasksOf(counts ...int) (ts []plan.TaskID) {
	for s, n := range counts {
		for p := range n {
			ts = append(ts, plan.TaskID{Subtopology: s, Partition: int32(p)})
		}
	}
	return ts
}

func members(n int) (ms []Member) {
	for i := range n {
		ms = append(ms, Member{ID: fmt.Sprintf("m%d", i), Workers: 1})
	}
	return ms
}

// rounds plays rebalances until nobody waits; members let go between rounds.
func rounds(t *testing.T, ms []Member, tasks []plan.TaskID, generation *int32) []Member {
	t.Helper()
	for range 3 {
		given, waiting := Plan(ms, tasks)
		checkOwners(t, ms, given)
		*generation++
		for i := range ms {
			ms[i].Owned, ms[i].Generation = given[ms[i].ID], *generation
		}
		if waiting == 0 {
			return ms
		}
	}
	t.Fatal("the group does not settle in three rounds")
	return nil
}

// checkOwners fails if a task is given to one member while another has it.
func checkOwners(t *testing.T, before []Member, given map[string][]plan.TaskID) {
	t.Helper()
	seen := map[plan.TaskID]string{}
	for id, ts := range given {
		for _, task := range ts {
			require.Empty(t, seen[task], "task %s has two owners", task)
			seen[task] = id
			for _, m := range before {
				if m.ID != id {
					require.NotContains(t, m.Owned, task, "task %s is given to %s while %s has it", task, id, m.ID)
				}
			}
		}
	}
}

func checkBalanced(t *testing.T, ms []Member, tasks []plan.TaskID) {
	t.Helper()
	total, n := 0, 0
	for _, m := range ms {
		total += m.Workers
		n += len(m.Owned)
	}
	require.Equal(t, len(tasks), n, "tasks without an owner")
	for _, m := range ms {
		share := len(tasks) * m.Workers / total
		require.GreaterOrEqual(t, len(m.Owned), share)
		require.LessOrEqual(t, len(m.Owned), share+1)
	}
}

func TestPlanGivesEveryTaskToOneMember(t *testing.T) {
	tasks, gen := tasksOf(8, 4), int32(0)
	ms := rounds(t, members(3), tasks, &gen)
	checkBalanced(t, ms, tasks)
	for _, m := range ms {
		perSub := map[int]int{}
		for _, task := range m.Owned {
			perSub[task.Subtopology]++
		}
		require.LessOrEqual(t, perSub[0], 3, "the first sub-topology is spread")
		require.LessOrEqual(t, perSub[1], 2, "the second sub-topology is spread")
	}
}

func TestPlanWithholdsUntilTheOwnerLetsGo(t *testing.T) {
	tasks := tasksOf(4)
	ms := members(2)
	ms[0].Owned, ms[0].Generation = tasks, 1
	given, waiting := Plan(ms, tasks)
	require.Len(t, given["m0"], 2)
	require.Empty(t, given["m1"])
	require.Equal(t, 2, waiting)
	ms[0].Owned = given["m0"]
	given, waiting = Plan(ms, tasks)
	require.Len(t, given["m1"], 2)
	require.Zero(t, waiting)
}

func TestPlanBelievesTheLastGeneration(t *testing.T) {
	tasks := tasksOf(1)
	ms := members(2)
	ms[0].Owned, ms[0].Generation = tasks, 3 // it was away, and somebody else got the task
	ms[1].Owned, ms[1].Generation = tasks, 5
	given, waiting := Plan(ms, tasks)
	require.Zero(t, waiting)
	require.Empty(t, given["m0"])
	require.Equal(t, tasks, given["m1"], "the owner goes on, whatever the other believes")
}

func TestPlanIsTheSameInAnyOrder(t *testing.T) {
	tasks, ms := tasksOf(7, 5), members(4)
	ms[1].Owned, ms[2].Owned = slices.Clone(tasks[:3]), slices.Clone(tasks[5:9])
	want, _ := Plan(ms, tasks)
	r := rand.New(rand.NewPCG(*seed, 0))
	for range 20 {
		r.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
		r.Shuffle(len(tasks), func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
		got, _ := Plan(ms, slices.Clone(tasks))
		require.Equal(t, want, got)
	}
}

// Random joins, leaves and crashes: never two owners, always balanced when settled, and no
// more moves than the change makes necessary.
func TestPlanHistories(t *testing.T) {
	for s := *seed; s < *seed+300; s++ {
		r := rand.New(rand.NewPCG(s, 1))
		tasks := tasksOf(1+r.IntN(20), r.IntN(12), r.IntN(5))
		ms, next, gen := members(1), 1, int32(0)
		ms = rounds(t, ms, tasks, &gen)
		for range 12 {
			before := map[plan.TaskID]string{}
			for _, m := range ms {
				for _, task := range m.Owned {
					before[task] = m.ID
				}
			}
			lost := 0
			if joined := r.IntN(2) == 0 || len(ms) == 1; joined {
				ms = append(ms, Member{ID: fmt.Sprintf("m%d", next), Workers: 1 + r.IntN(2)})
				next++
			} else {
				i := r.IntN(len(ms))
				lost = len(ms[i].Owned)
				ms = slices.Delete(ms, i, i+1)
			}
			ms = rounds(t, ms, tasks, &gen)
			checkBalanced(t, ms, tasks)
			moved, newcomers := 0, 0
			for _, m := range ms {
				for _, task := range m.Owned {
					if before[task] != m.ID {
						moved++
					}
				}
				if m.ID == fmt.Sprintf("m%d", next-1) {
					newcomers = len(m.Owned)
				}
			}
			require.LessOrEqual(t, moved, max(lost, newcomers)+len(ms), "seed %d: more tasks moved than had to", s)
		}
	}
}

func TestPlanKeepsWhatIsBalanced(t *testing.T) {
	tasks, gen := tasksOf(10, 7), int32(0)
	ms := rounds(t, members(4), tasks, &gen)
	given, waiting := Plan(ms, tasks)
	require.Zero(t, waiting)
	for _, m := range ms {
		require.ElementsMatch(t, m.Owned, given[m.ID])
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Subscription{Process: "p", Workers: 2, Tasks: tasksOf(2)}.Encode())
	f.Add(Assignment{Tasks: tasksOf(1), Processes: map[string]int{"p": 1}}.Encode())
	f.Add([]byte{0, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := DecodeSubscription(b); err == nil {
			again, err := DecodeSubscription(s.Encode())
			require.NoError(t, err)
			require.Equal(t, s, again)
		}
		if a, err := DecodeAssignment(b); err == nil {
			_, err := DecodeAssignment(a.Encode())
			require.NoError(t, err)
		}
	})
}
