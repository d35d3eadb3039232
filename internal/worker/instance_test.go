package worker

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/sched"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

var (
	in      = topology.Topic[string, string]{Name: "in", Key: serde.String, Value: serde.String}
	byValue = topology.Topic[string, string]{Name: "by-value", Key: serde.String, Value: serde.String}
	minute  = window.Tumbling{Size: time.Minute, Grace: 10 * time.Minute}
	counts  = state.Store[window.Key[string], int64]{Name: "counts", Key: window.Keys(serde.String, minute), Value: serde.Int64}
	out     = topology.Topic[window.Key[string], int64]{Name: "out", Key: counts.Key, Value: serde.Int64}
)

// counting counts values by the minute.
func counting(t *testing.T) *plan.Plan {
	b := topology.NewBuilder()
	g := kstream.GroupBy(kstream.From(b, in), func(_, v string) string { return v }, byValue)
	ktable.To(kstream.Count(kstream.WindowedBy(g, minute), counts), out)
	topo, err := b.Build()
	require.NoError(t, err)
	return (*plan.Plan)(topo)
}

type testCluster struct {
	t      *testing.T
	client *broker.Client
	plan   *plan.Plan
}

func newCluster(t *testing.T) *testCluster {
	b, err := embedded.Start()
	require.NoError(t, err)
	t.Cleanup(b.Close)
	c, err := broker.Dial(t.Context(), broker.Options{Brokers: b.Addrs()})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	for _, name := range []string{"in", "out"} {
		require.NoError(t, c.CreateTopic(t.Context(), broker.TopicSpec{Name: name, Partitions: 2, Replication: 1}))
	}
	return &testCluster{t, c, counting(t)}
}

// start runs an instance until stop is called, which returns what Run returned.
func (c *testCluster) start(name string, exactlyOnce bool) (ready *atomic.Int32, stop func() error) {
	layout, err := NewLayout(c.t.Context(), cluster.Of(c.client), "app", c.plan)
	require.NoError(c.t, err)
	ready = &atomic.Int32{}
	instance := NewInstance(Config{
		App: "app", Process: name, StateDir: filepath.Join(c.t.TempDir(), name), ExactlyOnce: exactlyOnce, Workers: 2,
		CommitInterval: 20 * time.Millisecond, MaxUncommitted: 1 << 20, PurgeInterval: 50 * time.Millisecond,
		Session: 2 * time.Second, Heartbeat: 50 * time.Millisecond, Compression: "none", Fingerprint: c.plan.Fingerprint(),
		Resources: store.NewResources(store.ResourceLimits{}), Restores: 2, Client: cluster.Of(c.client), Sched: sched.Real, Log: slog.New(slog.DiscardHandler),
		OnBad: func(*task.Error) task.Verdict { return task.Fail },
		Ready: func() { ready.Add(1) }, OnState: func(State) {}, OnRebalance: func(Rebalance) {}, OnMember: func(string) {}, Paused: func() bool { return false },
		MaxStall: time.Minute,
	}, layout)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- instance.Run(ctx) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-done
	}
	c.t.Cleanup(func() {
		if !stopped {
			require.NoError(c.t, stop())
		}
	})
	return ready, stop
}

// produce writes n records of the values 0 to 9, a second apart.
func (c *testCluster) produce(from, n int) {
	p, err := c.client.NewProducer(c.t.Context(), broker.ProducerOptions{})
	require.NoError(c.t, err)
	defer p.Close()
	targets := []*broker.Target{p.Target(kafka.Partition{Topic: "in"}), p.Target(kafka.Partition{Topic: "in", Index: 1})}
	for i := from; i < from+n; i++ {
		require.NoError(c.t, p.Add(targets[i%2], nil, fmt.Append(nil, i%10), nil, int64(i)*1000))
	}
	require.NoError(c.t, p.Wait())
}

// processed waits until the instances have committed all input up to the end: one topic
// after the other, since what is committed of the first is the end of the second.
func (c *testCluster) processed() {
	c.t.Helper()
	for _, topic := range []string{"in", "app-by-value-repartition"} {
		ps := []kafka.Partition{{Topic: topic}, {Topic: topic, Index: 1}}
		ends, err := c.client.ListOffsets(c.t.Context(), ps, broker.Latest, true)
		require.NoError(c.t, err)
		require.Eventually(c.t, func() bool {
			at, err := c.client.Committed(c.t.Context(), "app", ps)
			require.NoError(c.t, err)
			return at[ps[0]].At >= ends[ps[0]] && at[ps[1]].At >= ends[ps[1]]
		}, 20*time.Second, 20*time.Millisecond)
	}
}

// starts are the first offsets of a topic's partitions.
func (c *testCluster) starts(topic string) (sum int64) {
	ps := []kafka.Partition{{Topic: topic}, {Topic: topic, Index: 1}}
	starts, err := c.client.ListOffsets(c.t.Context(), ps, broker.Earliest, false)
	require.NoError(c.t, err)
	for _, at := range starts {
		sum += at
	}
	return sum
}

// Repartition topics hold what is under way, and changelogs of window stores what their
// stores still know.
func TestTopicsArePurged(t *testing.T) {
	for _, exactlyOnce := range []bool{true, false} {
		t.Run(fmt.Sprint("exactly once ", exactlyOnce), func(t *testing.T) {
			c := newCluster(t)
			c.start("a", exactlyOnce)
			for i := range 20 {
				c.produce(i*100, 100)
				c.processed()
				time.Sleep(30 * time.Millisecond) // for another purge to be due
			}
			require.Eventually(t, func() bool { return c.starts("app-by-value-repartition") > 1000 }, 10*time.Second, 50*time.Millisecond)
			require.Eventually(t, func() bool { return c.starts("app-counts-changelog") > 0 }, 10*time.Second, 50*time.Millisecond)
		})
	}
}

// A second instance takes half of the tasks and gives them back; whoever has them has what
// the other has counted.
func TestTasksMoveAndComeBack(t *testing.T) {
	c := newCluster(t)
	c.start("a", true)
	c.produce(0, 300)
	c.processed()
	ready, stop := c.start("b", true)
	require.Eventually(t, func() bool { return ready.Load() > 0 }, 10*time.Second, 10*time.Millisecond)
	c.produce(300, 300)
	c.processed()
	require.NoError(t, stop())
	c.produce(600, 300)
	c.processed()

	last := map[string]int64{}
	for _, r := range c.read("out") {
		k, err := out.Key.Decode(r.Key)
		require.NoError(t, err)
		n, err := out.Value.Decode(r.Value)
		require.NoError(t, err)
		require.Equal(t, last[fmt.Sprint(k)]+1, n, "%v: each count once, and in order", k)
		last[fmt.Sprint(k)] = n
	}
	total := int64(0)
	for _, n := range last {
		total += n
	}
	require.EqualValues(t, 900, total)
}

// read reads a topic to its end.
func (c *testCluster) read(topic string) (all []kafka.Record) {
	f := c.client.NewFetcher(broker.FetchOptions{ReadCommitted: true})
	defer f.Close()
	for i := range int32(2) {
		p := kafka.Partition{Topic: topic, Index: i}
		ends, err := c.client.ListOffsets(c.t.Context(), []kafka.Partition{p}, broker.Latest, true)
		require.NoError(c.t, err)
		batches := make(chan kafka.Batch, 1000)
		s := f.Subscribe(p, 0, func(b kafka.Batch) { batches <- b })
		for at := int64(0); at < ends[p]; {
			b := <-batches
			all = append(all, b.Records...)
			at = b.Next
		}
		s.Close()
	}
	return all
}
