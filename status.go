package streams

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/internal/worker"
)

// State is what an instance is doing as a whole.
type State int

const (
	Created   State = iota // Run was not called yet
	Joining                // it waits for tasks: global tables are restored, or the group forms
	Restoring              // some of its tasks are restored, and the others run
	Running                // all of its tasks run
	Stopping               // it commits and closes
	Stopped                // Run has returned nil
	Failed                 // Run has returned an error
)

func (s State) String() string {
	names := [...]string{"created", "joining", "restoring", "running", "stopping", "stopped", "failed"}
	return names[s]
}

// Status is what an instance is doing, at one moment.
type Status struct {
	State      State
	Paused     bool
	Member     string // the id that the group knows it by
	Generation int    // of the group, which each rebalance raises
	Tasks      []TaskStatus
	Standbys   []StandbyStatus
	Globals    []GlobalStatus
	Busy       []int // workers that are in a function of the program for some time: what is said of their tasks is old
}

// TaskStatus is a task that this instance runs, or restores in order to run it.
type TaskStatus struct {
	Task       string // as Kafka Streams prints it: "0_3"
	Worker     int
	Running    bool // else it is restored
	Leaving    bool // it is handed over to another instance
	Inputs     []InputStatus
	Restore    RestoreStatus
	Records    int64            // processed since the task began here
	Dropped    map[string]int64 // records left out, by reason
	LastCommit time.Time        // zero: nothing was committed yet
}

// InputStatus is how far a task is in one partition.
type InputStatus struct {
	Topic     string
	Partition int32
	Offset    int64         // of the next record
	Lag       int64         // records that are not processed, -1: not known yet
	Behind    time.Duration // the age of the next record; 0 if none waits
}

// RestoreStatus is the restore of a task's stores from their changelogs.
type RestoreStatus struct {
	Rows, Bytes int64         // restored so far
	Left        int64         // offsets to go
	ETA         time.Duration // at the present rate
}

// StandbyStatus is a copy that this instance keeps of the state of a task which runs
// elsewhere.
type StandbyStatus struct {
	Task string
	Lag  int64 // records that it is behind, -1: not known yet
}

// GlobalStatus is one partition of a global table's topic.
type GlobalStatus struct {
	Table     string
	Topic     string
	Partition int32
	Offset    int64 // of the next record
}

// Rebalance is what a new generation of the group brought this instance.
type Rebalance struct {
	Generation int
	Tasks      []string // that it runs from now on
	Revoked    []string // that it lets go of
	Standbys   []string // of which it keeps copies, or makes them to run the tasks later
	Lost       bool     // the group took it for dead and has given all of its tasks away
}

// Status says what the instance is doing. It waits a moment for workers that are busy, and
// may be called at any time.
func (a *App) Status() Status {
	a.mu.Lock()
	s := Status{State: a.state, Paused: a.paused.Load()}
	n := a.instance
	a.mu.Unlock()
	if n == nil {
		return s
	}
	r := n.Report(context.Background())
	s.Member, s.Generation, s.Busy = r.Member, int(r.Generation), r.Silent
	now := time.Now()
	for _, t := range r.Tasks {
		s.Tasks = append(s.Tasks, taskStatus(t, now))
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.Copies), plan.TaskID.Compare) {
		lag := r.Copies[id]
		if lag == assign.Unknown {
			lag = -1
		}
		s.Standbys = append(s.Standbys, StandbyStatus{id.String(), lag})
	}
	for _, g := range r.Globals {
		s.Globals = append(s.Globals, GlobalStatus{g.Store, g.Partition.Topic, g.Partition.Index, g.Position})
	}
	return s
}

func taskStatus(t worker.TaskReport, now time.Time) TaskStatus {
	s := TaskStatus{Task: t.ID.String(), Worker: t.Worker, Running: t.Running, Leaving: t.Leaving, Records: t.Records, LastCommit: t.Committed}
	for _, p := range t.Inputs {
		s.Inputs = append(s.Inputs, inputStatus(p, now))
	}
	s.Restore = RestoreStatus{Rows: t.Restore.Rows, Bytes: t.Restore.Bytes, Left: t.Restore.Left}
	if took := now.Sub(t.Restore.Began); t.Restore.Rows > 0 && s.Restore.Left > 0 {
		s.Restore.ETA = time.Duration(float64(took) * float64(s.Restore.Left) / float64(t.Restore.Rows))
	}
	for why, n := range t.Dropped {
		if s.Dropped == nil {
			s.Dropped = map[string]int64{}
		}
		s.Dropped[why.String()] = n
	}
	return s
}

func inputStatus(p task.Position, now time.Time) InputStatus {
	s := InputStatus{Topic: p.Topic, Partition: p.Index, Offset: p.Next, Lag: -1}
	if p.End >= 0 {
		s.Lag = max(0, p.End-p.Next)
	}
	if p.Time >= 0 {
		s.Behind = max(0, now.Sub(timeOf(p.Time)))
	}
	return s
}

// Pause has the instance process nothing until Resume: no records and no schedules. It
// stays in the group and keeps its tasks; standbys go on.
func (a *App) Pause() { a.paused.Store(true) }

// Resume ends a Pause.
func (a *App) Resume() {
	a.paused.Store(false)
	a.mu.Lock()
	n := a.instance
	a.mu.Unlock()
	if n != nil {
		n.Kick()
	}
}

// moveTo sets the state and tells the listener.
func (a *App) moveTo(s State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == s {
		return
	}
	from := a.state
	a.state = s
	a.c.Logger.Info("state", "from", from.String(), "to", s.String())
	if f := a.c.OnStateChange; f != nil {
		a.events.tell(func() { f(from, s) })
	}
}

// ofWorker translates the states of a running instance.
var ofWorker = map[worker.State]State{
	worker.Joining: Joining, worker.Restoring: Restoring, worker.Running: Running, worker.Stopping: Stopping,
}

func (a *App) rebalanced(r worker.Rebalance) {
	f := a.c.OnRebalance
	if f == nil {
		return
	}
	a.events.tell(func() {
		f(Rebalance{
			Generation: int(r.Generation), Lost: r.Lost,
			Tasks: names(r.Tasks), Revoked: names(r.Revoked), Standbys: names(slices.Concat(r.Standbys, r.Warmups)),
		})
	})
}

func names(ids []plan.TaskID) (names []string) {
	for _, id := range ids {
		names = append(names, id.String())
	}
	return names
}
