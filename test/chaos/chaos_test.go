//go:build unix

package chaos

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
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
	length = flag.Duration("for", 20*time.Second, "how long faults come")
	seed   = flag.Uint64("seed", 0, "of the faults; 0: a fresh one, which is printed")
	rounds = flag.Int("rate", 40, "rounds of input a second; a round is about 7 records")
)

const (
	partitions = 4
	instances  = 3 // of each guarantee
)

// Applications of both guarantees live through the same time, on the same brokers.
func TestChaos(t *testing.T) {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d", s)
	cluster := kafkatest.Start(t, kafkatest.Options{Brokers: 3})
	prefix := kafkatest.Topic(t) + "-"
	k := e2etest.Connect(t, cluster.Addrs())
	topics := []string{}
	for _, name := range inputs {
		topics = append(topics, prefix+name)
	}
	apps := map[string]streams.Guarantee{prefix + "eos": streams.ExactlyOnce, prefix + "alo": streams.AtLeastOnce}
	for app := range apps {
		for _, name := range outputs {
			topics = append(topics, app+"-"+name)
		}
	}
	k.Create(partitions, nil, topics...)
	c := &chaos{t: t, k: k, cluster: cluster, r: rand.New(rand.NewPCG(s, 0)), survived: map[string]int{}}
	c.feed = newFeed(t, k, prefix, s)
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		c.results = append(c.results, follow(t, k, app, apps[app]))
		for i := range instances {
			c.all = append(c.all, c.newInstance(fmt.Sprintf("%s-%d", app[len(prefix):], i), spec{App: app, Prefix: prefix, Guarantee: apps[app]}))
		}
	}
	for _, n := range c.all {
		n.start()
	}
	c.feed.start(*rounds)
	c.rage(*length)
	c.calm()
	c.feed.stop()
	c.verify()
}

// verify compares the results with the truth and tells what was survived.
func (c *chaos) verify() {
	c.t.Helper()
	is := c.feed.truth
	for _, r := range c.results {
		r.await(is, 5*time.Minute)
	}
	if c.t.Failed() {
		for _, n := range c.all {
			n.process.Dump() // into its log; E2ETEST_LOGS says where those are kept
		}
		c.t.FailNow()
	}
	for _, n := range c.all {
		n.stop()
	}
	for _, r := range c.results {
		more := r.final(is)
		c.t.Logf("%v: %d results came more often than they had to, %d counts went back", r.guarantee, more, r.backwards)
	}
	skipped := 0
	for _, n := range c.all {
		skipped += n.skipped
	}
	require.GreaterOrEqual(c.t, skipped, 2*is.poison, "each of the two applications skips all that is poison")
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(c.survived)) {
		lines = append(lines, fmt.Sprintf("%4d %s", c.survived[what], what))
	}
	c.t.Logf("%d records, %d of them poison, which was skipped %d times; survived:\n%s", is.records, is.poison, skipped, strings.Join(lines, "\n"))
}
