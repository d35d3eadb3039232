//go:build unix

package scaleout

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// few is a state that is quickly there.
const few = 2000

// begin starts instances and returns when they share the work.
func (f *fleet) begin(names ...string) {
	f.t.Helper()
	for _, name := range names {
		f.start(name)
	}
	f.feed.all(few)
	f.feed.start(few, *rate)
	f.awaitOwners(names...)
}

// paused: an instance sleeps for longer than its session. When it wakes up its tasks are
// somebody else's; it writes nothing of what it had under way, and joins again.
func paused(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "count"})
	f.begin("a", "b")
	f.during("b sleeps for longer than its session", func() {
		f.running["b"].Pause()
		f.awaitOwners("a")
		time.Sleep(time.Second)
	})
	f.during("b wakes up", func() {
		f.running["b"].Resume()
		f.awaitOwners("a", "b")
	})
	require.Contains(t, f.running["b"].Output(), "lost the membership")
	f.verify()
}

// static: an instance with an id of its own restarts within its session. Nothing moves, and
// only what it missed is restored.
func static(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "count", Session: time.Minute})
	own := func(s *spec) { s.ID, _, _ = strings.Cut(s.Name, "'") }
	f.start("a", own)
	f.start("b", own)
	f.feed.all(few)
	f.feed.start(few, *rate)
	f.awaitOwners("a", "b")
	before := f.check.owners()
	s := f.during("static b restarts", func() {
		f.stop("b")
		f.start("b'", own)
		f.awaitOwners("a", "b'")
	})
	require.Less(t, s.committed.moved, 45*time.Second)
	after := f.check.owners()
	for i := range before {
		require.Equal(t, before[i], strings.TrimSuffix(after[i], "'"), "the owner of partition %d", i)
	}
	require.NotContains(t, f.running["b'"].Output(), `msg=restored`, "a clean stop leaves nothing to restore")
	f.during("static b is killed and restarts", func() {
		f.kill("b'")
		f.start("b''", own)
		f.awaitOwners("a", "b''")
	})
	f.verify()
}

// slowFunctions: a function of the program takes longer than the session. It is reported,
// and nothing moves; only when it takes longer than MaxStall does its instance leave.
func slowFunctions(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "slow", Session: 10 * time.Second})
	f.begin("a", "b")
	before := f.check.owners()
	s := f.during("a function takes 13 s", func() {
		f.feed.send(slowKey)
		e2etest.Await(t, patience, func() bool { return f.check.reaches(map[string]int{slowKey: 1}) }, "the slow record is processed")
		f.check.flows()
	})
	require.Zero(t, s.n, "partitions moved")
	require.Equal(t, before, f.check.owners())
	reports := 0
	for _, p := range f.running {
		reports += strings.Count(p.Output(), "a function of the program takes long")
		require.NotContains(t, p.Output(), "lost the membership")
	}
	require.Equal(t, 1, reports, "reports in the logs")
	if *full {
		f.tooSlow()
	}
	f.verify()
}

// tooSlow leaves one instance whose function takes longer than MaxStall, and then another.
func (f *fleet) tooSlow() {
	t := f.t
	p := f.start("c", func(s *spec) { s.MaxStall = 3 * time.Second })
	f.awaitOwners("a", "b", "c")
	f.stop("a")
	f.stop("b") // c gets the slow record
	f.awaitOwners("c")
	p.MayFail()
	f.feed.send(slowKey)
	require.Error(t, p.WaitError(patience))
	require.Contains(t, p.Output(), "has not returned for")
	delete(f.running, "c")
	f.start("d")
	f.awaitOwners("d")
}

// rollingDeploy: newcomers with the same topology take part, one with another is refused and
// told what differs.
func rollingDeploy(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "count"})
	f.begin("a", "b")
	for _, name := range []string{"a", "b"} {
		f.during("rolling deploy of "+name, func() {
			f.stop(name)
			f.start(name + "'")
			f.check.flows()
		})
	}
	f.awaitOwners("a'", "b'")
	s := f.during("an instance with another topology is refused", func() {
		p := f.start("c", func(s *spec) { s.Topology = "changed" })
		p.MayFail()
		require.Error(t, p.WaitError(patience))
		require.Contains(t, p.Output(), "the group refuses this instance")
		require.Contains(t, p.Output(), f.topic("upper"), "what differs")
		delete(f.running, "c")
	})
	require.Zero(t, s.n, "partitions moved")
	f.verify()
}

// grow gives the input more partitions.
func (f *fleet) grow(n int32) {
	f.t.Helper()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = f.topic("in"), n
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis, req.Topics = 30_000, []kmsg.CreatePartitionsRequestTopic{topic}
	res := f.Request(req).(*kmsg.CreatePartitionsResponse)
	require.Zero(f.t, res.Topics[0].ErrorCode)
	f.AwaitPartitions(f.topic("in"), n)
}

// partitionsAdded: sub-topologies without state take up new partitions of their inputs.
func partitionsAdded(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "pass"})
	f.start("a")
	f.start("b")
	for name := range f.running { // else the first may do all the work
		e2etest.Await(t, patience, func() bool { return len(f.status(name).Tasks) == partitions/2 }, "%s has its share", name)
	}
	f.feed.all(few)
	f.awaitOwners("a", "b")
	f.awaitResults(few) // before keys change their partition
	f.grow(partitions + 4)
	more := newFeed(t, e2etest.Connect(t, cluster.Addrs()), f.topic("in")) // knows the new partitions
	more.sent = f.feed.sent
	more.start(few, *rate)
	f.feed = more
	e2etest.Await(t, patience, func() bool {
		n := 0
		for name := range f.running {
			n += len(f.status(name).Tasks)
		}
		return n == partitions+4
	}, "tasks for the new partitions")
	f.verify()
	ends := f.Ends(f.topic("in"))
	require.Len(t, ends, partitions+4)
	require.Positive(t, ends[partitions+3], "a new partition has records")
}

// partitionsAddedToState: state is divided by partitions and cannot follow. The instances end
// and say what to do.
func partitionsAddedToState(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "count"})
	f.begin("a", "b")
	for _, p := range f.running {
		p.MayFail()
	}
	f.grow(partitions + 1)
	defer f.feed.stop()
	for name, p := range f.running {
		require.Error(t, p.WaitError(patience), name)
		require.Contains(t, p.Output(), "is divided by partitions", name)
		require.Contains(t, p.Output(), "Create a new topic with as many partitions as you want", name)
	}
}

// processOf is the id of an instance's state directory, which names its transactions.
func (f *fleet) processOf(disk string) string {
	b, err := os.ReadFile(filepath.Join(f.dir, disk, f.spec.App, "STATE"))
	require.NoError(f.t, err)
	m := processLine.FindSubmatch(b)
	require.NotNil(f.t, m, "%s", b)
	return string(m[1])
}

var processLine = regexp.MustCompile(`(?m)^process (.+)$`)

// recreated: a topic is deleted and made anew. The new one is read from its beginning, each
// record once, by all instances; what was computed from the old one is wiped.
func recreated(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "count"})
	f.begin("a", "b")
	f.feed.stop()
	sent := f.feed.counts()
	e2etest.Await(t, patience, func() bool { return f.check.reaches(sent) }, "every record gives a result")
	f.Delete(f.topic("in"))
	f.Create(partitions, nil, f.topic("in"))
	f.check.anew()
	f.feed = newFeed(t, e2etest.Connect(t, cluster.Addrs()), f.topic("in"))
	f.feed.all(few)
	f.feed.start(few, *rate)
	f.awaitResults(few)
	f.awaitOwners("a", "b")
	f.verify()
}
