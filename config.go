package streams

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Config says where and how a topology runs. Only ApplicationID and Brokers are needed.
type Config struct {
	// ApplicationID names the application: its group in Kafka, and the prefix of the
	// topics it creates. All instances of an application have the same. Required.
	ApplicationID string
	// Brokers are addresses of some of the cluster's brokers, "host:port". Required.
	Brokers []string

	// Guarantee is how often a record takes effect. ExactlyOnce by default.
	Guarantee Guarantee
	// Workers is how many goroutines process tasks. GOMAXPROCS by default.
	Workers int
	// CommitInterval is how long results wait to be committed, and with ExactlyOnce to be
	// seen. 100 ms by default.
	CommitInterval time.Duration
	// MaxTaskIdle is how long a task that reads several topics waits for one that is empty,
	// before it goes on with the others' records. 0 by default: it waits for records that
	// are in Kafka already, not for those that may come.
	MaxTaskIdle time.Duration
	// MaxUncommittedBytes of what a worker wrote and sent make a commit early. 32 MiB by
	// default, or what the workers may have of MemoryLimit if that is less.
	MaxUncommittedBytes int

	// CacheBytes is the size of the record cache of a task: an update of a table waits in
	// it until the next commit, and only the last one of a row is sent on. 0 by default:
	// every update is sent at once. Left out are stores with NoCache, and tables in which
	// a join looks rows up; and with AtLeastOnce, updates by records that may have been
	// processed before, up to where the inputs ended when the task began. The caches of all
	// tasks together take a sixteenth of MemoryLimit at most.
	CacheBytes int

	// MemoryLimit is how many bytes all buffers and caches of the instance take together;
	// memory.go says how it is divided. Half of GOMEMLIMIT by default, 1 GiB without one.
	// A process needs about twice as much, for garbage too: with GOMEMLIMIT it keeps to that.
	MemoryLimit int

	// StateDir holds the stores, in a folder for each application. The user's cache
	// directory by default, never a temporary one. One process at a time may use it for
	// one application.
	StateDir string

	// SessionTimeout is how long the group waits for an instance that is silent before it
	// gives its tasks to others. 10 s by default; brokers allow 6 s to 30 min.
	SessionTimeout time.Duration
	// HeartbeatInterval is how often an instance shows that it lives, and so how soon it
	// notices a rebalance. 200 ms by default.
	HeartbeatInterval time.Duration
	// InstanceID makes the instance a static member of the group: when it comes back
	// within SessionTimeout under the same id, its tasks have waited for it. None by
	// default; every instance needs another.
	InstanceID string

	// StandbyReplicas is how many other instances keep a copy of each task's state, ready to
	// go on with the task at once when its instance is gone. 0 by default: then the state is
	// restored from its changelog first.
	StandbyReplicas int
	// Rack is where the instance is. Copies are kept on other racks than the task, and what
	// is read is read from a broker of the same rack where the cluster allows it
	// (replica.selector.class). Not known by default.
	Rack string
	// MaxStall is how long a function of the program may take before the instance leaves the
	// group and ends, so that others go on with its tasks. From 10 s on it is reported in the
	// log. 5 min by default.
	MaxStall time.Duration

	// OnStateChange is told of every change of the instance's state, beside the processing,
	// one after the other. None by default.
	OnStateChange func(from, to State)
	// OnRebalance is told of every change of what the instance has to do, like
	// OnStateChange. None by default.
	OnRebalance func(Rebalance)

	// WaitForTopics is how long Run waits for topics that do not exist yet, before it fails.
	// 0 by default: a missing topic is an error at once, of New.
	WaitForTopics time.Duration

	// OnTopicRecreated is what becomes of results when an input topic was deleted and made
	// anew. The new one is read from its StartAt in any case. WipeState by default.
	OnTopicRecreated Recreated

	// Compression of what is written: none, gzip, snappy, lz4 or zstd. None by default.
	Compression string

	// OnBadRecord decides about a record that could not be decoded or processed, or of which
	// Kafka refuses what came of it: too large, or for a topic that is not there or not
	// allowed. What the record did before it failed is undone. It runs on the goroutine of
	// the record's task, several at once. Fail by default.
	OnBadRecord func(BadRecord) Decision
	// DeadLetterTopic is where the decision DeadLetter sends records. It must exist. None by
	// default: then DeadLetter fails.
	DeadLetterTopic string

	// Logger says what happens to the instance, not to records. Silent by default.
	Logger *slog.Logger

	// Sarama has TLS, SASL and other settings of the connections. Its defaults by default;
	// what the library needs otherwise is set on a copy. SCRAM needs no
	// SCRAMClientGeneratorFunc. docs/security.md has examples.
	Sarama *sarama.Config
}

// Recreated is what becomes of what was computed from an input topic that was deleted and
// made anew.
type Recreated int

const (
	// WipeState: all instances together stop, delete what the old topic's records made in
	// stores, changelogs and repartition topics, as streams reset would, and begin again.
	// What was written to other topics stays. An instance fails with an error that says what
	// to do where a store holds what other topics made as well.
	WipeState Recreated = iota
	// KeepState: it stays, and what the new topic holds is added to it. Only tables that are
	// read from the topic begin again.
	KeepState
)

// Guarantee is how often a record takes effect.
type Guarantee int

const (
	// ExactlyOnce: a record takes effect once, on topics, tables and positions together,
	// by Kafka's transactions. Consumers see it if they read committed.
	ExactlyOnce Guarantee = iota
	// AtLeastOnce: a record takes effect once, and again after a crash for what was not
	// committed yet.
	AtLeastOnce
)

func (g Guarantee) String() string {
	if g == AtLeastOnce {
		return "at-least-once"
	}
	return "exactly-once"
}

// Set reads a guarantee from a flag: "exactly-once" or "at-least-once".
func (g *Guarantee) Set(s string) error {
	for _, v := range []Guarantee{ExactlyOnce, AtLeastOnce} {
		if s == v.String() {
			*g = v
			return nil
		}
	}
	return fmt.Errorf("exactly-once or at-least-once")
}

// withDefaults fills in what is not set and checks the rest.
func (c Config) withDefaults() (Config, error) {
	def(&c.Workers, runtime.GOMAXPROCS(0))
	def(&c.CommitInterval, 100*time.Millisecond)
	def(&c.MemoryLimit, memoryLimit())
	def(&c.MaxUncommittedBytes, c.maxUncommitted())
	def(&c.SessionTimeout, 10*time.Second)
	def(&c.HeartbeatInterval, 200*time.Millisecond)
	def(&c.MaxStall, 5*time.Minute)
	def(&c.Compression, "none")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OnBadRecord == nil {
		c.OnBadRecord = func(BadRecord) Decision { return Fail }
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.StateDir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			bad("StateDir is not set, and there is no cache directory to use: %w", err)
		}
		c.StateDir = filepath.Join(cache, "streams")
	}
	if !validID(c.ApplicationID) {
		bad("ApplicationID is %q: it needs 1 to 200 letters, digits, '.', '_' and '-'", c.ApplicationID)
	}
	if len(c.Brokers) == 0 || slices.ContainsFunc(c.Brokers, noAddress) {
		bad("Brokers is %q: it needs addresses such as \"localhost:9092\"", c.Brokers)
	}
	if c.Workers < 0 || c.CommitInterval < 0 || c.MaxTaskIdle < 0 || c.MaxUncommittedBytes < 0 || c.CacheBytes < 0 {
		bad("Workers, CommitInterval, MaxTaskIdle, CacheBytes and MaxUncommittedBytes cannot be negative")
	}
	if c.StandbyReplicas < 0 || c.MaxStall < 0 || c.WaitForTopics < 0 {
		bad("StandbyReplicas, MaxStall and WaitForTopics cannot be negative")
	}
	if c.MemoryLimit < leastMemory {
		bad("MemoryLimit is %d: it is to be at least %d", c.MemoryLimit, leastMemory)
	} else if c.MaxUncommittedBytes > c.MemoryLimit/4/max(1, c.Workers) {
		bad("MaxUncommittedBytes is %d: with %d workers it is to be at most a quarter of MemoryLimit for all, %d for each", c.MaxUncommittedBytes, c.Workers, c.MemoryLimit/4/max(1, c.Workers))
	}
	if c.HeartbeatInterval <= 0 || c.HeartbeatInterval*3 > c.SessionTimeout {
		bad("HeartbeatInterval is %v: it is to be at most a third of SessionTimeout, %v", c.HeartbeatInterval, c.SessionTimeout)
	}
	if c.Guarantee != ExactlyOnce && c.Guarantee != AtLeastOnce {
		bad("Guarantee is %d: it is ExactlyOnce or AtLeastOnce", int(c.Guarantee))
	}
	if c.OnTopicRecreated != WipeState && c.OnTopicRecreated != KeepState {
		bad("OnTopicRecreated is %d: it is WipeState or KeepState", int(c.OnTopicRecreated))
	}
	if !slices.Contains([]string{"none", "gzip", "snappy", "lz4", "zstd"}, c.Compression) {
		bad("Compression is %q: it is none, gzip, snappy, lz4 or zstd", c.Compression)
	}
	if len(errs) > 0 {
		return c, fmt.Errorf("streams: config: %w", errors.Join(errs...))
	}
	return c, nil
}

// others are topics that must exist though the topology does not name them.
func (c Config) others() []string {
	if c.DeadLetterTopic == "" {
		return nil
	}
	return []string{c.DeadLetterTopic}
}

// def sets what is not set.
func def[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func noAddress(broker string) bool {
	host, port, err := net.SplitHostPort(broker)
	return err != nil || host == "" || port == ""
}

// validID says whether a name can be part of topic and directory names.
func validID(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return len(s) > 0 && len(s) <= 200 && s != "." && s != ".." && strings.Trim(s, letters) == ""
}
