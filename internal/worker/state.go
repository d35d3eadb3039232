package worker

// State is what an instance is doing as a whole.
type State int32

// The states of an instance, in the order in which it usually takes them.
const (
	Joining   State = iota // it has no assignment yet
	Restoring              // some of its tasks do not run yet
	Running                // all of its tasks run, maybe none
	Stopping               // it commits and closes
)

func (s State) String() string {
	return [...]string{"joining", "restoring", "running", "stopping"}[s]
}

// move tells of a new state; the lock is held.
func (n *Instance) move(to State) {
	if n.state == to || n.state == Stopping {
		return
	}
	n.state = to
	n.c.OnState(to)
}

// settled finds the state that follows from the tasks; the lock is held.
func (n *Instance) settled() {
	switch {
	case !n.assigned:
		n.move(Joining)
	case n.allRun():
		n.move(Running)
		n.c.Ready()
	default:
		n.move(Restoring)
	}
}

// busy says whether any task processes.
func (n *Instance) busy() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.tasks {
		if p.running {
			return true
		}
	}
	return false
}

// allRun says whether all tasks process, but for those that leave.
func (n *Instance) allRun() bool {
	for _, p := range n.tasks {
		if !p.running && !p.closing || p.again {
			return false
		}
	}
	return true
}
