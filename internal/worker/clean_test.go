package worker

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
)

// The state of tasks that went elsewhere is deleted when all of it is too old; not that of
// tasks and copies that are here, and nothing that is no task's.
func TestStateThatIsTooOldIsDeleted(t *testing.T) {
	dir, now := t.TempDir(), time.UnixMilli(1e12)
	write := func(at time.Time, task, name string) {
		r := store.NewResources(store.ResourceLimits{Now: func() time.Time { return at }})
		s, err := store.Open(filepath.Join(dir, task, name), store.Spec{Name: name}, "changelog", r)
		require.NoError(t, err)
		_, err = s.Put([]byte("key"), []byte("value"), 1)
		require.NoError(t, err)
		require.NoError(t, s.Commit(1))
		require.NoError(t, s.Close())
	}
	old, young := now.Add(-25*time.Hour), now.Add(-23*time.Hour)
	for _, task := range []string{"0_0", "0_1", "0_2", "0_3", "0_4.gone", "global", "0_5"} {
		write(old, task, "counts")
	}
	write(old, "0_5", "sums")
	write(young, "0_3", "sums")

	n := NewInstance(Config{
		StateDir: dir, Log: slog.New(slog.DiscardHandler),
		Resources: store.NewResources(store.ResourceLimits{Now: func() time.Time { return now }}),
	}, nil)
	n.tasks[plan.TaskID{Partition: 0}] = &place{}
	n.standbys = map[plan.TaskID]bool{{Partition: 1}: false}
	n.clean()
	left, err := n.c.Resources.Disk().ReadDir(dir)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"0_0", "0_1", "0_3", "global"}, left)
	require.NotContains(t, n.kept, plan.TaskID{Partition: 2})
	require.NotContains(t, n.kept, plan.TaskID{Partition: 5})
	require.Contains(t, n.kept, plan.TaskID{Partition: 3})
}
