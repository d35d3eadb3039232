//go:build unix

package scaleout

import (
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// far puts proxies between an instance and the brokers.
func (f *fleet) far() (proxies []*badnet.Proxy, change func(*spec)) {
	proxies = badnet.Before(f.t, f.cluster.Addrs()...)
	return proxies, func(s *spec) { s.Brokers = badnet.Addrs(proxies) }
}

// fetchRequest is Kafka's number of the request that reads.
const fetchRequest = 1

// rackAware: an instance that says where it is reads from the broker there.
func rackAware(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "count"})
	proxies, far := f.far()
	f.start("a", far, func(s *spec) { s.Rack = racks[1] })
	f.feed.all(few)
	f.feed.start(few, *rate)
	f.awaitOwners("a")
	fetches := func() (n [3]int) {
		for i, p := range proxies {
			n[i] = p.Requests()[fetchRequest]
		}
		return n
	}
	e2etest.Await(t, 3*time.Minute, func() bool {
		before, results := fetches(), f.check.count()
		time.Sleep(3 * time.Second)
		after := fetches()
		t.Logf("requests to read in 3 s: %d, %d and %d to the brokers in racks %v, of an instance in %s", after[0]-before[0], after[1]-before[1], after[2]-before[2], racks, racks[1])
		return f.check.count() > results+*rate && after[0] == before[0] && after[1] > before[1]+10 && after[2] == before[2]
	}, "all is read from the broker in rack %s, once leaders have told who is nearer", racks[1])
	f.verify()
}

// networkFaults: the network between one instance and the brokers fails in every way.
func networkFaults(t *testing.T, cluster *kafkatest.Cluster) {
	f := newFleet(t, cluster, spec{Topology: "count", Standbys: 1})
	proxies, far := f.far()
	f.start("a", far)
	f.start("b")
	f.feed.all(few)
	f.feed.start(few, *rate)
	f.awaitOwners("a", "b")
	f.awaitCopies(partitions)
	all := func(do func(*badnet.Proxy)) {
		for _, p := range proxies {
			do(p)
		}
	}
	freeze := func(ps []*badnet.Proxy, d time.Duration) {
		for _, p := range ps {
			defer p.Freeze()()
		}
		time.Sleep(d)
	}
	for _, fault := range []struct {
		name string
		is   func()
	}{
		{"connections are cut", func() { all((*badnet.Proxy).Cut) }},
		{"connections are closed one way", func() { all((*badnet.Proxy).HalfClose) }},
		{"one broker cannot be reached for 3 s", func() { proxies[0].Block(); time.Sleep(3 * time.Second); proxies[0].Unblock() }},
		{"one broker says nothing for 3 s", func() { freeze(proxies[1:2], 3*time.Second) }},
		{"no broker says anything for 3 s", func() { freeze(proxies, 3*time.Second) }},
		{"no broker says anything for longer than the session", func() { freeze(proxies, session+4*time.Second) }},
		{"every message takes 50 ms", func() {
			all(func(p *badnet.Proxy) { p.Slow(50*time.Millisecond, 0) })
			time.Sleep(4 * time.Second)
			all(func(p *badnet.Proxy) { p.Slow(0, 0) })
		}},
		{"200 kB/s", func() {
			all(func(p *badnet.Proxy) { p.Slow(0, 200_000) })
			time.Sleep(4 * time.Second)
			all(func(p *badnet.Proxy) { p.Slow(0, 0) })
		}},
		{"every 50th message is the last of its connection", func() {
			all(func(p *badnet.Proxy) { p.Fail(0.02) })
			time.Sleep(5 * time.Second)
			all(func(p *badnet.Proxy) { p.Fail(0) })
		}},
	} {
		f.during(fault.name, func() {
			fault.is()
			f.check.flows()
		})
		f.awaitOwners("a", "b")
	}
	f.verify()
}
