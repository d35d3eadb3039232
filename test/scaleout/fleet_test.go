//go:build unix

package scaleout

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

var (
	full    = flag.Bool("full", false, "everything, which takes half an hour")
	brokers = flag.Int("brokers", 3, "of the cluster, for tests in which none breaks")
	keys    = flag.Int("keys", 20_000, "of the state when instances join, leave and are killed")
	rate    = flag.Int("rate", 500, "records a second")
)

const (
	partitions = 8
	session    = 6 * time.Second
	// patience is how long a test waits for what must happen. It is only used up by a failure.
	patience = 2 * time.Minute
)

// fleet are the instances of one application, and who feeds and checks it.
type fleet struct {
	t *testing.T
	*e2etest.Kafka
	cluster *kafkatest.Cluster
	spec    spec // what instances have in common
	dir     string
	running map[string]*e2etest.Process
	feed    *feed
	check   *check
}

// newFleet makes the topics of an application and begins to read its results.
func newFleet(t *testing.T, cluster *kafkatest.Cluster, s spec) *fleet {
	t.Helper()
	return newFleetOf(t, cluster, s, partitions)
}

func newFleetOf(t *testing.T, cluster *kafkatest.Cluster, s spec, partitions int32) *fleet {
	t.Helper()
	f := &fleet{t: t, cluster: cluster, spec: s, dir: t.TempDir(), running: map[string]*e2etest.Process{}}
	f.spec.App, f.spec.Brokers = kafkatest.Topic(t), cluster.Addrs()
	f.spec.Session = max(s.Session, session)
	f.spec.Workers = max(s.Workers, 1)
	f.Kafka = e2etest.Connect(t, cluster.Addrs())
	f.Create(partitions, nil, f.topic("in"), f.topic("out"), f.topic("upper"))
	f.check = newCheck(t, f.Kafka, f.topic("out"), partitions, s.Guarantee == streams.ExactlyOnce)
	f.feed = newFeed(t, f.Kafka, f.topic("in"))
	return f
}

func (f *fleet) topic(name string) string { return f.spec.App + "-" + name }

// start starts an instance. Changes are what is not as with the others.
func (f *fleet) start(name string, changes ...func(*spec)) *e2etest.Process {
	f.t.Helper()
	s := f.spec
	s.Name = name
	disk, _, _ := strings.Cut(name, "'") // a' is the successor of a
	s.State = filepath.Join(f.dir, disk)
	s.Status = filepath.Join(f.dir, name+".status")
	for _, change := range changes {
		change(&s)
	}
	p := e2etest.StartSelf(f.t, name, s)
	f.running[name] = p
	return p
}

// stop ends an instance in its own way, and returns when it has ended.
func (f *fleet) stop(name string) {
	f.t.Helper()
	f.running[name].Terminate()
	f.running[name].Wait(patience)
	delete(f.running, name)
}

// kill kills an instance (kill -9).
func (f *fleet) kill(name string) {
	f.running[name].Kill()
	delete(f.running, name)
}

// awaitOwners waits until the results of all partitions come from these instances, and each
// has as many as the others, or one more.
func (f *fleet) awaitOwners(names ...string) {
	f.t.Helper()
	var owners []string
	defer func() {
		if f.t.Failed() {
			f.t.Logf("the partitions' owners are %v", owners)
		}
	}()
	e2etest.Await(f.t, patience, func() bool {
		owners = f.check.owners()
		n := map[string]int{}
		for _, o := range owners {
			n[o]++
		}
		least := len(owners) / len(names)
		for _, name := range names {
			if n[name] < least || n[name] > least+1 {
				return false
			}
			delete(n, name)
		}
		return len(n) == 0
	}, "%v share the partitions", names)
}

// status is what an instance did a moment ago.
func (f *fleet) status(name string) (s streams.Status) {
	b, err := os.ReadFile(filepath.Join(f.dir, name+".status"))
	if err == nil {
		require.NoError(f.t, json.Unmarshal(b, &s))
	}
	return s
}

// awaitCopies waits until the running instances keep n copies of tasks, which are not far
// behind.
func (f *fleet) awaitCopies(n int) {
	f.t.Helper()
	e2etest.Await(f.t, patience, func() bool {
		copies := 0
		for name := range f.running {
			for _, c := range f.status(name).Standbys {
				if c.Lag >= 0 && c.Lag < 1000 {
					copies++
				}
			}
		}
		return copies == n
	}, "%d copies have caught up", n)
}

// verify ends the feed, waits until every record was seen in the output, and stops the
// instances.
func (f *fleet) verify() {
	f.t.Helper()
	f.feed.stop()
	sent := f.feed.counts()
	e2etest.Await(f.t, patience, func() bool { return f.check.reaches(sent) }, "every record gives a result")
	for _, name := range slices.Sorted(maps.Keys(f.running)) {
		f.stop(name)
	}
	f.check.tail.Finish(patience)
	f.check.equals(sent)
}

// during runs an event and what shows that it is over, and then notes the longest silence of
// the partitions that moved and of those that did not.
func (f *fleet) during(event string, run func()) silence {
	f.t.Helper()
	f.check.listen()
	run()
	time.Sleep(time.Second) // what comes late counts as well
	s := f.check.heard()
	s.event = event
	f.t.Logf("%s: longest silence of what is processed %v, of what is committed %v; %d moved", event, s.processed, s.committed, s.n)
	silences = append(silences, s)
	return s
}
