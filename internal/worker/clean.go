package worker

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// cleanInterval is how often an instance looks for state on its disk that is of no use any
// more. The first time it has had its tasks for long.
const cleanInterval = time.Hour

// gone marks the directory of a task that is being deleted.
const gone = ".gone"

// cleanDisk deletes the state of tasks that went elsewhere when it has become too old to go on
// from, should they come back.
func (n *Instance) cleanDisk(ctx context.Context) {
	for {
		n.c.Sched.Wait(ctx, nil, cleanInterval)
		if ctx.Err() != nil {
			return
		}
		n.clean()
	}
}

func (n *Instance) clean() {
	disk := n.c.Resources.Disk()
	names, err := disk.ReadDir(n.c.StateDir)
	if err != nil {
		return // it will be there the next time, or the workers fail for it
	}
	for _, name := range names {
		dir := filepath.Join(n.c.StateDir, name)
		var id plan.TaskID
		if id.UnmarshalText([]byte(name)) == nil {
			if !n.discard(id, dir) {
				continue
			}
			dir += gone
		} else if !strings.HasSuffix(name, gone) {
			continue
		}
		if err := disk.RemoveAll(dir); err != nil {
			n.c.Log.Warn("delete state that is of no use any more", "dir", dir, "error", err)
		}
	}
}

// discard takes the state of a task out of the way if it is too old; false: it is not.
func (n *Instance) discard(id plan.TaskID, dir string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, standby := n.standbys[id]
	if n.tasks[id] != nil || standby || !n.expired(dir) {
		return false
	}
	if err := n.c.Resources.Disk().Rename(dir, dir+gone); err != nil {
		n.c.Log.Warn("delete state that is of no use any more", "dir", dir, "error", err)
		return false
	}
	delete(n.kept, id)
	n.c.Log.Info("deleted the state of a task that went elsewhere, since it is too old", "task", id.String())
	return true
}

// expired says whether all stores of a task are too old.
func (n *Instance) expired(dir string) bool {
	stores, err := n.c.Resources.Disk().ReadDir(dir)
	for _, name := range stores {
		if !n.c.Resources.Expired(filepath.Join(dir, name)) {
			return false
		}
	}
	return err == nil && len(stores) > 0
}
