//go:build unix

package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// chaos does harm, and makes good again.
type chaos struct {
	t        *testing.T
	k        *e2etest.Kafka
	cluster  *kafkatest.Cluster
	r        *rand.Rand
	feed     *feed
	results  []*results
	all      []*instance
	down     bool // a broker is
	later    []repair
	survived map[string]int
}

// repair is what makes a fault good again, and when it is due.
type repair struct {
	at time.Time
	do func()
}

// instance is one process after the other, with one disk.
type instance struct {
	c       *chaos
	name    string
	spec    spec
	proxies []*badnet.Proxy
	process *e2etest.Process // nil: none runs
	small   bool             // its disk is one that can be filled
	busy    bool             // something is wrong with it already
	starts  int
	skipped int
	endedAt time.Time // by itself; zero: it runs
	told    bool      // to end
}

func (c *chaos) newInstance(name string, s spec) *instance {
	n := &instance{c: c, name: name, spec: s, proxies: badnet.Before(c.t, c.cluster.Addrs()...)}
	n.spec.Brokers = badnet.Addrs(n.proxies)
	dir, err := smallDisk(c.t)
	n.small = err == nil
	if err != nil {
		c.t.Logf("no small disk for %s, so it is never full: %v", name, err)
		dir = filepath.Join(c.t.TempDir(), name)
		require.NoError(c.t, os.MkdirAll(dir, 0o700))
	}
	n.spec.State = dir
	return n
}

func (n *instance) start() {
	n.starts++
	n.endedAt, n.told = time.Time{}, false
	n.process = e2etest.StartSelf(n.c.t, fmt.Sprintf("%s.%d", n.name, n.starts), n.spec)
	n.process.MayFail() // then it is started again, and told of
}

// kill kills the instance (kill -9).
func (n *instance) kill() {
	n.process.Kill()
	n.count()
	n.process = nil
}

// stop ends the instance, which must go well.
func (n *instance) stop() {
	n.process.Terminate()
	n.process.Wait(time.Minute)
	n.count()
	n.process = nil
}

func (n *instance) count() {
	n.skipped += strings.Count(n.process.Output(), `msg="a bad record" decision=skip`)
}

// fault is one kind of harm. It returns what makes it good again after some time, or false if
// it cannot be done now.
type fault struct {
	name string
	do   func(c *chaos) (after time.Duration, repair func(), ok bool)
}

var faults = []fault{
	{"an instance was killed (kill -9)", func(c *chaos) (time.Duration, func(), bool) {
		return c.killed(func(*instance) error { return nil })
	}},
	{"an instance was killed, and its disk wiped", func(c *chaos) (time.Duration, func(), bool) {
		return c.killed(func(n *instance) error { return wipe(n.spec.State) })
	}},
	{"an instance was killed, and a file of its state damaged", func(c *chaos) (time.Duration, func(), bool) {
		return c.killed(func(n *instance) error {
			how, err := damage(n.spec.State, c.r)
			c.t.Logf("  %s: %s", n.name, how)
			return err
		})
	}},
	{"an instance was paused for longer than its session (SIGSTOP)", paused},
	{"an instance was stopped and started", stopped},
	{"a broker was killed (kill -9)", brokerKilled},
	{"the network of an instance was cut", func(c *chaos) (time.Duration, func(), bool) {
		return c.network((*badnet.Proxy).Cut, func(*badnet.Proxy) {})
	}},
	{"an instance could not reach a broker", func(c *chaos) (time.Duration, func(), bool) {
		return c.network((*badnet.Proxy).Block, (*badnet.Proxy).Unblock)
	}},
	{"the network of an instance was slow", func(c *chaos) (time.Duration, func(), bool) {
		slow := func(p *badnet.Proxy) { p.Slow(50*time.Millisecond, 500_000) }
		return c.network(slow, func(p *badnet.Proxy) { p.Slow(0, 0) })
	}},
	{"the network of an instance lost connections", func(c *chaos) (time.Duration, func(), bool) {
		return c.network(func(p *badnet.Proxy) { p.Fail(0.02) }, func(p *badnet.Proxy) { p.Fail(0) })
	}},
	{"brokers said nothing to an instance", frozen},
	{"the disk of an instance was full", diskFull},
	{"poison was written", func(c *chaos) (time.Duration, func(), bool) {
		c.feed.poisoned(5)
		return 0, nil, true
	}},
}

// victim is an instance that runs and with which nothing is wrong; nil: there is none.
func (c *chaos) victim(fit func(*instance) bool) *instance {
	var fine []*instance
	for _, n := range c.all {
		if n.process != nil && n.endedAt.IsZero() && !n.busy && fit(n) {
			fine = append(fine, n)
		}
	}
	if len(fine) == 0 {
		return nil
	}
	n := fine[c.r.IntN(len(fine))]
	n.busy = true
	return n
}

func anyone(*instance) bool { return true }

// seconds is some time between.
func (c *chaos) seconds(from, to int) time.Duration {
	return time.Duration(from*1000+c.r.IntN((to-from)*1000)) * time.Millisecond
}

// killed kills an instance, does something to its disk, and starts it again later.
func (c *chaos) killed(then func(*instance) error) (time.Duration, func(), bool) {
	n := c.victim(anyone)
	if n == nil {
		return 0, nil, false
	}
	n.kill()
	require.NoError(c.t, then(n), n.name)
	return c.seconds(0, 9), func() { n.start(); n.busy = false }, true
}

func paused(c *chaos) (time.Duration, func(), bool) {
	n := c.victim(anyone)
	if n == nil {
		return 0, nil, false
	}
	n.process.Pause()
	return session + c.seconds(1, 5), func() { n.process.Resume(); n.busy = false }, true
}

func stopped(c *chaos) (time.Duration, func(), bool) {
	n := c.victim(anyone)
	if n == nil || c.down {
		return 0, nil, false
	}
	n.process.Terminate()
	n.told = true
	return c.seconds(1, 3), func() {
		if err := n.process.WaitError(2 * time.Minute); err != nil {
			c.t.Logf("  %s did not end well: %v", n.name, err)
			c.survived["an instance that was stopped ended with an error"]++
		}
		n.count()
		n.start()
		n.busy = false
	}, true
}

// brokerKilled kills one broker, if all are there and have everything.
func brokerKilled(c *chaos) (time.Duration, func(), bool) {
	if c.down || !c.k.InSync() {
		return 0, nil, false
	}
	i := c.r.IntN(len(c.cluster.Addrs()))
	c.down = true
	c.cluster.Kill(i)
	return c.seconds(2, 8), func() {
		c.cluster.Restart(i)
		c.down = false
	}, true
}

// network does something to the connections of an instance, with one broker or with all.
func (c *chaos) network(do, undo func(*badnet.Proxy)) (time.Duration, func(), bool) {
	n := c.victim(anyone)
	if n == nil {
		return 0, nil, false
	}
	proxies := n.proxies
	if i := c.r.IntN(2 * len(proxies)); i < len(proxies) {
		proxies = proxies[i : i+1]
	}
	for _, p := range proxies {
		do(p)
	}
	return c.seconds(1, 12), func() {
		for _, p := range proxies {
			undo(p)
		}
		n.busy = false
	}, true
}

func frozen(c *chaos) (time.Duration, func(), bool) {
	n := c.victim(anyone)
	if n == nil {
		return 0, nil, false
	}
	var thaw []func()
	for _, p := range n.proxies {
		thaw = append(thaw, p.Freeze())
	}
	return c.seconds(1, 12), func() {
		for _, f := range thaw {
			f()
		}
		n.busy = false
	}, true
}

func diskFull(c *chaos) (time.Duration, func(), bool) {
	n := c.victim(func(n *instance) bool { return n.small })
	if n == nil {
		return 0, nil, false
	}
	empty, err := fill(n.spec.State)
	if err != nil {
		c.t.Logf("  fill the disk of %s: %v", n.name, err)
		n.busy = false
		return 0, nil, false
	}
	return c.seconds(2, 6), func() { empty(); n.busy = false }, true
}

// rage does harm for some time.
func (c *chaos) rage(d time.Duration) {
	begun := time.Now()
	next := begun.Add(8 * time.Second) // for the instances to begin
	for end := next.Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c.repair(false)
		if c.t.Failed() {
			c.t.FailNow()
		}
		if time.Now().Before(next) {
			continue
		}
		f := faults[c.r.IntN(len(faults))]
		after, undo, ok := f.do(c)
		if !ok {
			continue
		}
		c.survived[f.name]++
		c.t.Logf("%7.3f s: %s, for %v", time.Since(begun).Seconds(), f.name, after)
		if undo != nil {
			c.later = append(c.later, repair{time.Now().Add(after), undo})
		}
		next = time.Now().Add(c.seconds(1, 4))
	}
}

// repair makes good again what is due, or everything, and starts again who has ended.
func (c *chaos) repair(everything bool) {
	c.later = slices.DeleteFunc(c.later, func(r repair) bool {
		if !everything && time.Now().Before(r.at) {
			return false
		}
		r.do()
		return true
	})
	for _, n := range c.all {
		n.revive()
	}
}

// revive starts an instance again that has ended by itself, after a second, as a service
// manager does.
func (n *instance) revive() {
	if n.process == nil || n.told {
		return
	}
	select {
	case <-n.process.Ended():
	default:
		return
	}
	if n.endedAt.IsZero() {
		n.endedAt = time.Now()
		n.c.t.Logf("  %s ended by itself:\n%s", n.name, lastLine(n.process.Tail()))
		n.c.survived["an instance ended by itself and was started again"]++
		n.count()
	}
	if time.Since(n.endedAt) > time.Second {
		n.start()
	}
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

// calm ends all harm.
func (c *chaos) calm() {
	c.repair(true)
	c.k.AwaitInSync()
	for range 50 { // who ended is started again
		c.repair(true)
		time.Sleep(50 * time.Millisecond)
	}
}
