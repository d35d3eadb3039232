package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// staticWorld is the world of a seed in which all members are static, and nothing breaks by
// itself.
func staticWorld(t *testing.T, seed uint64) *world {
	w := newWorld(seed)
	for _, m := range w.machines {
		m.static = "instance " + m.name
	}
	t.Cleanup(func() {
		w.clear()
		if t.Failed() {
			t.Log(seed, w)
		}
	})
	return w
}

// restart kills the process of a machine and starts another one a moment later, well within
// the session.
func (w *world) restart(m *machine) {
	m.process.bury()
	m.start = w.now.Add(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
}

// finish is the end of a world: everything is processed, and right.
func (w *world) finish(t *testing.T) {
	w.until("everything is processed", w.processed)
	w.shutdown()
	require.NoError(t, w.topology.check(w))
}

// rest waits until the group has been at rest for a while.
func (w *world) rest() (generation int32) {
	g, since := w.kafka.group, w.now
	w.until("the group is at rest", func() bool {
		if g.state != stable || g.generation != generation {
			generation, since = g.generation, w.now
		}
		return w.now.Sub(since) > 40*time.Second
	})
	return generation
}

// A static member that comes back within its session has what it had, and nobody else
// notices.
func TestStaticMemberComesBack(t *testing.T) {
	back := 0
	for seed := range uint64(50) {
		w := staticWorld(t, seed)
		w.until("everything is processed", w.processed)
		generation, expired := w.rest(), w.kafka.group.expired
		m := w.machines[seed%2]
		w.restart(m)
		w.inputs = append(w.inputs, w.more()...)
		w.until("it is back", func() bool {
			o := w.kafka.group.static(m.static)
			return o != nil && !o.process.dead
		})
		w.until("everything is processed", w.processed)
		if w.counts["came back under its instance id"] > 0 && w.kafka.group.expired == expired { // else it was not scheduled for so long
			back++
			require.Equal(t, generation, w.kafka.group.generation, "seed %d: nothing moves", seed)
		}
		w.finish(t)
	}
	require.Greater(t, back, 25)
}

// Static members that come back in the middle of a hand-over get what was planned before,
// and do not have what they were to let go: it must not be waited for.
func TestStaticMembersComeBackWhileTasksMove(t *testing.T) {
	moving := 0
	for seed := range uint64(50) {
		w := staticWorld(t, seed)
		for i, m := range w.machines {
			m.start = w.now.Add(time.Duration(i) * time.Minute)
		}
		g := w.kafka.group
		w.until("the second is there", func() bool { return len(g.members) > 1 && g.state == stable })
		if len(g.members[1].assignment.Partitions) == 0 {
			moving++ // to it
		}
		w.restart(w.machines[0])
		w.restart(w.machines[1])
		w.finish(t)
	}
	require.NotZero(t, moving)
}
