// Package worker runs tasks over Kafka. An Instance is one member of the group: it learns
// which tasks are its own and spreads them over its workers. A Worker is a goroutine that
// takes what was fetched to its tasks, steps them, sends what they produce, and commits.
package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/sched"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
)

// Config is what an instance runs with. Every field is set.
type Config struct {
	App            string
	Process        string // the id of this process's state directory
	StateDir       string // of this application
	ExactlyOnce    bool
	Workers        int
	CommitInterval time.Duration
	MaxTaskIdle    time.Duration
	CacheBytes     int // of the record cache of a task; 0: none
	Memory         Memory
	MaxUncommitted int           // bytes of a worker's tasks: more makes a commit early
	PurgeInterval  time.Duration // of what nobody needs any more in the application's topics
	Session        time.Duration
	Heartbeat      time.Duration
	MaxStall       time.Duration // how long a function of the program may take
	InstanceID     string
	Former         string // the member id of a process that died with this state directory; "": none
	Rack           string // "": not known
	Standbys       int    // copies of each task's state on other instances
	Compression    string
	Fingerprint    string // of the topology
	Resources      *store.Resources
	Restores       int // tasks that are restored at once
	Client         cluster.Cluster
	Sched          sched.Sched
	Log            *slog.Logger

	Check       func(ctx context.Context) error // asked before a task starts whether it may; nil: it may
	OnBad       func(*task.Error) task.Verdict
	DeadLetters string // the topic of dead letters; "": there is none
	Ready       func() // all tasks of the instance run; called again after each rebalance

	// What happens to the instance. They are called with its lock held, and must return at
	// once without calling it.
	OnState     func(State)
	OnRebalance func(Rebalance)
	OnMember    func(id string) // as what the group knows it; "": it has left
	Paused      func() bool     // process nothing for now
}

// Memory is how many bytes the parts of an instance take. Zero fields have the defaults of
// what they are passed to.
type Memory struct {
	Fetch        int // what each worker has fetched and not processed
	RestoreFetch int // the same of each long restore, and of all short ones
	Produce      int // what each worker has sent and is not acknowledged
	Caches       int // the record caches of all tasks of a worker; 0: no bound
}

const (
	linger             = 5 * time.Millisecond   // what was sent waits so long for more
	firstCommit        = 20 * time.Millisecond  // what a task did first is committed so soon
	transactionTimeout = 30 * time.Second       // a broker may be away for 10
	rebalanceTimeout   = 60 * time.Second       // how long the group waits for a member to join again
	stepLimit          = 1000                   // records of a task before it is another's turn
	maxFailures        = 5                      // commits that fail one after the other before a worker gives up
	stopTimeout        = 20 * time.Second       // for the last commit
	startRetry         = 500 * time.Millisecond // between attempts to start a task
	warmupPause        = time.Second            // between requests for tasks while copies of others are made
)
