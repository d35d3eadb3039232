//go:build unix

package scaleout

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// racks are where the brokers are, for instances that say where they are.
var racks = []string{"r1", "r2", "r3"}

// All tests share one cluster, and run one after the other: what they measure is time.
func TestScaleOut(t *testing.T) {
	cluster := kafkatest.Start(t, kafkatest.Options{Brokers: *brokers, Racks: racks[:*brokers], Config: map[string]string{
		"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
	}})
	defer printSilences(t)
	for _, test := range []struct {
		name string
		run  func(t *testing.T, cluster *kafkatest.Cluster)
		full bool
	}{
		{"joins/standbys=0", func(t *testing.T, c *kafkatest.Cluster) { joins(t, c, 0) }, true},
		{"joins/standbys=1", func(t *testing.T, c *kafkatest.Cluster) { joins(t, c, 1) }, false},
		{"paused", paused, false},
		{"static", static, false},
		{"slow", slowFunctions, false},
		{"rolling deploy", rollingDeploy, false},
		{"partitions added", partitionsAdded, false},
		{"partitions added to state", partitionsAddedToState, false},
		{"topic made anew", recreated, true},
		{"rack", rackAware, false},
		{"network", networkFaults, true},
		{"brokers/exactly-once", func(t *testing.T, c *kafkatest.Cluster) { brokerFaults(t, c, streams.ExactlyOnce) }, false},
		{"brokers/at-least-once", func(t *testing.T, c *kafkatest.Cluster) { brokerFaults(t, c, streams.AtLeastOnce) }, true},
		{"1000 partitions", manyPartitions, true},
	} {
		if *full || !test.full {
			t.Run(test.name, func(t *testing.T) { test.run(t, cluster) })
		}
	}
}

// joins has instances join, leave and die.
func joins(t *testing.T, cluster *kafkatest.Cluster, standbys int) {
	lasts := session
	if !*full { // a busy machine is not to be mistaken for a session that somebody waits for
		lasts = 20 * time.Second
	}
	f := newFleet(t, cluster, spec{Topology: "count", Standbys: standbys, Session: lasts})
	label := func(event string) string { return fmt.Sprintf("%s, %d standbys", event, standbys) }
	copies := func(instances int) {
		if instances > standbys {
			f.awaitCopies(partitions * standbys)
		}
	}
	f.start("a")
	f.start("b")
	f.feed.all(*keys)
	f.feed.start(*keys, *rate)
	f.awaitOwners("a", "b")
	f.awaitResults(*keys)
	copies(2)
	f.during(label("nothing happens"), func() { time.Sleep(3 * time.Second) })
	f.during(label("c joins"), func() {
		f.start("c")
		f.awaitOwners("a", "b", "c")
	})
	copies(3)
	s := f.during(label("c leaves"), func() {
		f.stop("c")
		f.awaitOwners("a", "b")
	})
	require.Less(t, s.committed.moved, lasts, "who leaves is not waited for")
	copies(2)
	s = f.during(label("b is killed"), func() {
		f.kill("b")
		f.awaitOwners("a")
	})
	require.Less(t, s.committed.moved, lasts+20*time.Second)
	f.start("b'")
	f.awaitOwners("a", "b'")
	copies(2)
	s = f.during(label("a is killed and starts again"), func() {
		f.kill("a")
		f.start("a'")
		f.awaitOwners("b'", "a'")
	})
	if standbys > 0 || *keys <= 20_000 { // else much of the state is restored, which takes its time
		require.Less(t, s.committed.moved, lasts-time.Second, "nobody waits for the session of who is back already")
	}
	f.verify()
}

// awaitResults waits until there were so many.
func (f *fleet) awaitResults(n int) {
	f.t.Helper()
	e2etest.Await(f.t, 5*time.Minute, func() (enough bool) {
		f.check.tail.Locked(func() { enough = f.check.results >= n })
		return enough
	}, "%d results", n)
}
