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

// tasksOf are stateless tasks, so many of each sub-topology.
func tasksOf(counts ...int) (ts []Task) {
	for s, n := range counts {
		for p := range n {
			ts = append(ts, Task{TaskID: plan.TaskID{Subtopology: s, Partition: int32(p)}})
		}
	}
	return ts
}

func stateful(ts []Task) []Task {
	for i := range ts {
		ts[i].Stateful = true
	}
	return ts
}

func ids(ts []Task) (ids []plan.TaskID) {
	for _, t := range ts {
		ids = append(ids, t.TaskID)
	}
	return ids
}

func members(n int) (ms []Member) {
	for i := range n {
		ms = append(ms, Member{ID: fmt.Sprintf("m%d", i), Workers: 1})
	}
	return ms
}

// group is members over many rebalances.
type group struct {
	t          *testing.T
	members    []Member
	tasks      []Task
	standbys   int
	generation int32
	rounds     int              // that the last settle took
	plan       map[string]Given // of the last round
}

// settle plays rebalances until nobody waits; members let go and make copies in between.
func (g *group) settle() {
	g.t.Helper()
	for g.rounds = 1; g.rounds <= 3*len(g.tasks)+3; g.rounds++ {
		given, waiting := Plan(g.members, g.tasks, g.standbys)
		g.check(given)
		g.generation++
		for i := range g.members {
			m := &g.members[i]
			had, of := m.Copies, given[m.ID]
			m.Owned, m.Generation, m.Copies = of.Tasks, g.generation, map[plan.TaskID]int64{}
			for _, t := range slices.Concat(of.Standbys, of.Warmups) {
				if _, ok := had[t]; !ok && g.rounds%2 == 1 {
					m.Copies[t] = 2 * CaughtUp // it takes two rounds to make
				} else {
					m.Copies[t] = 0
				}
			}
		}
		g.plan = given
		if waiting == 0 {
			return
		}
	}
	g.t.Fatalf("the group does not settle in %d rounds", g.rounds)
}

// check fails if a task is given to one member while another has it, and if one with state
// moves to a member without a copy of it while another has one that is caught up.
func (g *group) check(given map[string]Given) {
	g.t.Helper()
	seen := map[plan.TaskID]string{}
	for _, m := range g.members {
		for _, id := range given[m.ID].Tasks {
			require.Empty(g.t, seen[id], "task %s has two owners", id)
			seen[id] = m.ID
			behind, copied := m.Copies[id]
			cold := (!copied || behind > CaughtUp) && !slices.Contains(m.Owned, id)
			for _, o := range g.members {
				if o.ID == m.ID {
					continue
				}
				require.NotContains(g.t, o.Owned, id, "task %s is given to %s while %s has it", id, m.ID, o.ID)
				behind, copied := o.Copies[id]
				require.False(g.t, cold && g.isStateful(id) && copied && behind == 0, "task %s is given to %s, which has no copy of its state, and %s has one", id, m.ID, o.ID)
			}
		}
		require.Empty(g.t, overlap(given[m.ID].Tasks, given[m.ID].Standbys), "a copy beside the original")
		require.Empty(g.t, overlap(given[m.ID].Warmups, given[m.ID].Standbys), "two copies on one member")
	}
}

func (g *group) isStateful(id plan.TaskID) bool {
	return slices.ContainsFunc(g.tasks, func(t Task) bool { return t.TaskID == id && t.Stateful })
}

func overlap(a, b []plan.TaskID) (both []plan.TaskID) {
	for _, t := range a {
		if slices.Contains(b, t) {
			both = append(both, t)
		}
	}
	return both
}

// checkBalanced checks tasks and copies.
func (g *group) checkBalanced() {
	g.t.Helper()
	total, n, standbys := 0, 0, map[plan.TaskID]int{}
	for _, m := range g.members {
		total += m.Workers
		n += len(m.Owned)
		for _, t := range g.plan[m.ID].Standbys {
			standbys[t]++
		}
	}
	require.Equal(g.t, len(g.tasks), n, "tasks without an owner")
	for _, m := range g.members {
		share := len(g.tasks) * m.Workers / total
		require.GreaterOrEqual(g.t, len(m.Owned), share)
		require.LessOrEqual(g.t, len(m.Owned), share+1)
	}
	for _, t := range g.tasks {
		want := 0
		if t.Stateful {
			want = min(g.standbys, len(g.members)-1)
		}
		require.Equal(g.t, want, standbys[t.TaskID], "copies of task %s", t)
	}
}

func TestPlanGivesEveryTaskToOneMember(t *testing.T) {
	g := &group{t: t, members: members(3), tasks: tasksOf(8, 4)}
	g.settle()
	g.checkBalanced()
	for _, m := range g.members {
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
	ms[0].Owned, ms[0].Generation = ids(tasks), 1
	given, waiting := Plan(ms, tasks, 0)
	require.Len(t, given["m0"].Tasks, 2)
	require.Empty(t, given["m1"].Tasks)
	require.Equal(t, 2, waiting)
	ms[0].Owned = given["m0"].Tasks
	given, waiting = Plan(ms, tasks, 0)
	require.Len(t, given["m1"].Tasks, 2)
	require.Zero(t, waiting)
}

// A task with state goes on where it is until its copy is caught up. Then it is withheld,
// and the copy is kept, and then it moves.
func TestPlanMakesACopyBeforeATaskMoves(t *testing.T) {
	tasks := stateful(tasksOf(2))
	ms := members(2)
	ms[0].Owned, ms[0].Generation = ids(tasks), 1
	moving := tasks[1].TaskID
	for behind, copies := range []map[plan.TaskID]int64{nil, {moving: Unknown}, {moving: CaughtUp + 1}} {
		ms[1].Copies = copies
		given, waiting := Plan(ms, tasks, 0)
		require.Equal(t, ids(tasks), given["m0"].Tasks, behind)
		require.Equal(t, Given{Warmups: []plan.TaskID{moving}}, given["m1"], behind)
		require.Equal(t, 1, waiting)
	}
	ms[1].Copies = map[plan.TaskID]int64{moving: CaughtUp}
	given, waiting := Plan(ms, tasks, 0)
	require.Equal(t, ids(tasks[:1]), given["m0"].Tasks)
	require.Equal(t, Given{Warmups: []plan.TaskID{moving}}, given["m1"])
	require.Equal(t, 1, waiting)
	ms[0].Owned = ids(tasks[:1])
	given, waiting = Plan(ms, tasks, 0)
	require.Equal(t, Given{Tasks: []plan.TaskID{moving}}, given["m1"])
	require.Zero(t, waiting)
}

// However many tasks move to a newcomer, few rounds are enough, and none of them makes
// copies of all at once.
func TestPlanMovesManyTasksInFewRounds(t *testing.T) {
	tasks := stateful(tasksOf(1000))
	ms := members(2)
	ms[0].Owned, ms[0].Generation = ids(tasks), 1
	for round := 1; ; round++ {
		given, waiting := Plan(ms, tasks, 0)
		ms[1].Owned, ms[1].Generation = given["m1"].Tasks, int32(round)
		ms[0].Owned, ms[0].Generation = given["m0"].Tasks, int32(round)
		cold := 0
		copies := map[plan.TaskID]int64{}
		for _, id := range given["m1"].Warmups {
			if _, had := ms[1].Copies[id]; !had {
				cold++
			}
			copies[id] = 0
		}
		ms[1].Copies = copies
		require.LessOrEqual(t, cold, 500/2)
		if waiting == 0 {
			require.Len(t, ms[1].Owned, 500)
			break
		}
		require.Less(t, round, 6)
	}
	few := stateful(tasksOf(8))
	ms = members(2)
	ms[0].Owned, ms[0].Generation = ids(few), 1
	given, _ := Plan(ms, few, 0)
	require.Len(t, given["m1"].Warmups, 4)
}

// A task that is still restored can be restored elsewhere as well.
func TestPlanMovesWhatDoesNotRunYet(t *testing.T) {
	tasks := stateful(tasksOf(2))
	ms := members(2)
	ms[0].Owned, ms[0].Restoring, ms[0].Generation = ids(tasks), ids(tasks), 1
	given, waiting := Plan(ms, tasks, 0)
	require.Len(t, given["m0"].Tasks, 1)
	require.Empty(t, given["m1"].Warmups)
	require.Equal(t, 1, waiting)
}

// Whoever has a copy takes over, even above its share, and the others make copies first.
func TestPlanPromotesCopies(t *testing.T) {
	tasks := stateful(tasksOf(4))
	ms := members(2)
	ms[1].Copies = map[plan.TaskID]int64{}
	for _, t := range tasks {
		ms[1].Copies[t.TaskID] = 0
	}
	given, waiting := Plan(ms, tasks, 1)
	require.Equal(t, ids(tasks), given["m1"].Tasks)
	require.Len(t, given["m0"].Warmups, 2)
	require.Len(t, given["m0"].Standbys, 2)
	require.Equal(t, 2, waiting)
}

func TestPlanSpreadsCopiesOverRacks(t *testing.T) {
	g := &group{t: t, members: members(4), tasks: stateful(tasksOf(8)), standbys: 1}
	for i := range g.members {
		g.members[i].Rack = string(rune('a' + i/2))
	}
	g.settle()
	g.checkBalanced()
	racks := map[plan.TaskID][]string{}
	for _, m := range g.members {
		for _, id := range slices.Concat(m.Owned, g.plan[m.ID].Standbys) {
			require.NotContains(t, racks[id], m.Rack, "task %s is twice on one rack", id)
			racks[id] = append(racks[id], m.Rack)
		}
	}
}

func TestPlanBelievesTheLastGeneration(t *testing.T) {
	tasks := tasksOf(1)
	ms := members(2)
	ms[0].Owned, ms[0].Generation = ids(tasks), 3 // it was away, and somebody else got the task
	ms[1].Owned, ms[1].Generation = ids(tasks), 5
	given, waiting := Plan(ms, tasks, 0)
	require.Zero(t, waiting)
	require.Empty(t, given["m0"].Tasks)
	require.Equal(t, ids(tasks), given["m1"].Tasks, "the owner goes on, whatever the other believes")
}

func TestPlanIsTheSameInAnyOrder(t *testing.T) {
	tasks, ms := stateful(tasksOf(7, 5)), members(4)
	ms[1].Owned, ms[2].Owned = ids(tasks[:3]), ids(tasks[5:9])
	ms[3].Copies = map[plan.TaskID]int64{tasks[4].TaskID: 3, tasks[6].TaskID: 0}
	want, _ := Plan(ms, tasks, 1)
	r := rand.New(rand.NewPCG(*seed, 0))
	for range 20 {
		r.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
		r.Shuffle(len(tasks), func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
		got, _ := Plan(ms, tasks, 1)
		require.Equal(t, want, got)
	}
}

// Random joins, leaves and crashes: never two owners, always balanced when settled, no more
// moves than the change makes necessary, and state moves only to where a copy is.
func TestPlanHistories(t *testing.T) {
	for s := *seed; s < *seed+300; s++ {
		r := rand.New(rand.NewPCG(s, 1))
		g := &group{t: t, members: members(1), tasks: tasksOf(1+r.IntN(20), r.IntN(12), r.IntN(5)), standbys: r.IntN(3)}
		for i := range g.tasks {
			g.tasks[i].Stateful = r.IntN(3) > 0
		}
		g.settle()
		for next := range 12 {
			before := map[plan.TaskID]string{}
			for _, m := range g.members {
				for _, task := range m.Owned {
					before[task] = m.ID
				}
			}
			allowed := 0
			if r.IntN(2) == 0 || len(g.members) == 1 {
				g.members = append(g.members, Member{ID: fmt.Sprintf("n%d", next), Workers: 1 + r.IntN(2)})
			} else {
				i := r.IntN(len(g.members))
				allowed = len(g.members[i].Owned)
				g.members = slices.Delete(g.members, i, i+1)
			}
			g.settle()
			g.checkBalanced()
			moved := 0
			for _, m := range g.members {
				for _, task := range m.Owned {
					if before[task] != m.ID {
						moved++
					}
				}
				if m.ID == fmt.Sprintf("n%d", next) {
					allowed = len(m.Owned)
				}
			}
			require.LessOrEqual(t, moved, allowed+len(g.members), "seed %d: more tasks moved than had to", s)
		}
	}
}

func TestPlanKeepsWhatIsBalanced(t *testing.T) {
	g := &group{t: t, members: members(4), tasks: stateful(tasksOf(10, 7)), standbys: 1}
	g.settle()
	before := g.plan
	for range 3 {
		g.settle()
		require.Equal(t, 1, g.rounds)
		require.Equal(t, before, g.plan)
	}
}

// A leader whose own program is not the group's changes nothing.
func TestLeaderOfAnotherTopology(t *testing.T) {
	old := Subscription{Topology: "old", Shape: Shape{"same", "store counts"}, Tasks: ids(tasksOf(2)), Generation: 4}
	changed := Subscription{Topology: "new", Shape: Shape{"same", "store sums"}}
	out, waiting := Leader{Topology: "new", Tasks: tasksOf(5)}.Lead(map[string]Subscription{"a": changed, "b": old})
	require.Zero(t, waiting)
	require.Equal(t, old.Tasks, out["b"].Tasks)
	require.Empty(t, out["b"].Refused)
	require.Empty(t, out["a"].Tasks)
	require.Contains(t, out["a"].Refused, "- store counts\n+ store sums")
	require.NotContains(t, out["a"].Refused, "same")
}

func FuzzDecode(f *testing.F) {
	f.Add(Subscription{Process: "p", Workers: 2, Tasks: ids(tasksOf(2)), Copies: map[plan.TaskID]int64{{Partition: 1}: 3}, Shape: Shape{"a", "b"}}.Encode())
	f.Add(Assignment{Tasks: ids(tasksOf(1)), Warmups: ids(tasksOf(0, 1)), Processes: map[string]int{"p": 1}}.Encode())
	f.Add([]byte{0, 1, 2})
	f.Add([]byte(`{"version":1,"copies":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := DecodeSubscription(b); err == nil {
			again, err := DecodeSubscription(s.Encode())
			require.NoError(t, err)
			require.Equal(t, string(s.Encode()), string(again.Encode())) // no copies may be written in two ways
		}
		if a, err := DecodeAssignment(b); err == nil {
			_, err := DecodeAssignment(a.Encode())
			require.NoError(t, err)
		}
	})
}

// FuzzLead leads a group with a member that may say anything about itself.
func FuzzLead(f *testing.F) {
	us := Subscription{Process: "us", Topology: "t", Workers: 2, Generation: 1, Tasks: ids(tasksOf(3))}
	f.Add(Subscription{Process: "them", Topology: "t", Workers: 1, Tasks: ids(tasksOf(2))}.Encode())
	f.Add([]byte(`{"version":1,"topology":"t","workers":65536,"generation":-5,"tasks":[{"Subtopology":-1,"Partition":-7},{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		them, err := DecodeSubscription(b)
		if err != nil {
			return
		}
		tasks := tasksOf(3, 4)
		out, waiting := Leader{Topology: "t", Tasks: tasks, Standbys: 1}.Lead(map[string]Subscription{"us": us, "them": them})
		require.Len(t, out, 2)
		if them.Topology == us.Topology {
			require.Len(t, tasks, len(out["us"].Tasks)+len(out["them"].Tasks)+waiting)
		}
	})
}

// A member that says it has more workers than can be is not believed: nobody else would
// get a task.
func TestUnbelievableWorkers(t *testing.T) {
	for _, workers := range []int{-1, maxWorkers + 1, 1 << 62} {
		_, err := DecodeSubscription(Subscription{Workers: workers}.Encode())
		require.ErrorContains(t, err, "number of workers")
		_, err = DecodeAssignment(Assignment{Processes: map[string]int{"p": workers}}.Encode())
		require.ErrorContains(t, err, "workers")
	}
}
