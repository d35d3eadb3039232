package worker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
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
)

// The tests of this file run instances and a broker in virtual time: seconds of sessions and
// of timeouts pass at once, and always the same way.

const (
	virtualSession    = 10 * time.Second
	virtualPartitions = 4
)

// world is a broker and the instances of one application, in virtual time.
type world struct {
	t      *testing.T
	kafka  *kfake.Cluster
	net    kfake.VirtualNetwork
	client *broker.Client // of the test itself
	plan   *plan.Plan
	dir    string

	feeding sync.WaitGroup
	mu      sync.Mutex
	seen    []result
}

// result is a record of the output, and when it came.
type result struct {
	key  string
	n    int64
	part int32
	at   time.Time
}

// virtually runs f in virtual time.
func virtually(t *testing.T, f func(w *world)) {
	meter.Do(func() { // sarama's meters have a goroutine that never ends: it must not begin inside
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		b := sarama.NewBroker(l.Addr().String())
		cfg := sarama.NewConfig()
		cfg.ApiVersionsRequest = false
		require.NoError(t, b.Open(cfg))
		_, err = b.Connected()
		require.NoError(t, err)
		require.NoError(t, b.Close())
	})
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: dir}
		var err error
		w.kafka, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(w.net.Listen),
			kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
		require.NoError(t, err)
		defer w.kafka.Close()
		w.client = w.dial(w.net.DialContext)
		defer w.client.Close()
		for _, name := range []string{"in", "out"} {
			require.NoError(t, w.client.CreateTopic(t.Context(), broker.TopicSpec{Name: name, Partitions: virtualPartitions, Replication: 1}))
		}
		w.plan = counter(t)
		stop := w.follow()
		defer stop()
		f(w)
	})
}

var meter sync.Once

// counter counts values by key.
func counter(t *testing.T) *plan.Plan {
	b := topology.NewBuilder()
	counts := state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}
	totals := topology.Topic[string, int64]{Name: "out", Key: serde.String, Value: serde.Int64, PartitionOf: func(key string, _ int64, _ int32) int32 { return partitionOf(key) }}
	ktable.To(kstream.Count(kstream.GroupByKey(kstream.From(b, in)), counts), totals)
	topo, err := b.Build()
	require.NoError(t, err)
	return (*plan.Plan)(topo)
}

// partitionOf is the partition of a key, in the input and in the output: a transaction that is
// left open holds back what others wrote to the same partition.
func partitionOf(key string) int32 {
	n, _ := strconv.Atoi(strings.TrimPrefix(key, "key-"))
	return int32(n % virtualPartitions)
}

func (w *world) dial(dial dialer) *broker.Client {
	cfg := sarama.NewConfig()
	cfg.Net.Proxy.Enable, cfg.Net.Proxy.Dialer = true, dial
	c, err := broker.Dial(w.t.Context(), broker.Options{Brokers: []string{"localhost:9092"}, Sarama: cfg})
	require.NoError(w.t, err)
	return c
}

// dialer is a dialer as sarama wants it.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func (d dialer) Dial(network, addr string) (net.Conn, error) {
	return d(context.Background(), network, addr)
}

func (d dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d(ctx, network, addr)
}

// cable is an instance's way to the broker. While it is out connections are cut, and none
// can be made. That a network says nothing at all cannot be tried in virtual time: sarama
// waits for answers with a mutex held, and for a mutex that time does not pass.
type cable struct {
	w   *world
	mu  sync.Mutex
	out bool
	all []net.Conn

	produced atomic.Int64 // when the last records were sent, in nanoseconds since 1970
}

func (c *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	out := c.out
	c.mu.Unlock()
	if out {
		return nil, errors.New("the cable is out")
	}
	conn, err := c.w.net.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, conn)
	return watched{conn, c}, nil
}

// watched is a connection of which it is known when records were sent.
type watched struct {
	net.Conn
	cable *cable
}

func (w watched) Write(request []byte) (int, error) {
	const produce = 0 // behind the length
	if kind := binary.BigEndian.Uint16(request[4:]); kind == produce {
		w.cable.produced.Store(time.Now().UnixNano())
	}
	return w.Conn.Write(request)
}

// pull takes the cable out.
func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = true
	for _, conn := range c.all {
		conn.Close()
	}
	c.all = nil
}

// pullFor takes it out for some time.
func (c *cable) pullFor(d time.Duration) {
	c.pull()
	time.Sleep(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = false
}

// member is an instance.
type member struct {
	*Instance
	cable  *cable
	client *broker.Client
	lost   atomic.Int32
	stop   func() error
}

// start runs an instance until it is stopped.
func (w *world) start(name string, change func(*Config)) *member {
	m := &member{cable: &cable{w: w}}
	m.client = w.dial(m.cable.dial)
	layout, err := NewLayout(w.t.Context(), cluster.Of(m.client), "app", w.plan)
	require.NoError(w.t, err)
	c := Config{
		App: "app", Process: name, StateDir: filepath.Join(w.dir, name), ExactlyOnce: true, Workers: 1,
		CommitInterval: 100 * time.Millisecond, MaxUncommitted: 1 << 20, PurgeInterval: time.Hour, MaxStall: time.Hour,
		Session: virtualSession, Heartbeat: 200 * time.Millisecond, Compression: "none", Fingerprint: w.plan.Fingerprint(),
		Resources: store.NewResources(store.ResourceLimits{}), Restores: 2, Client: cluster.Of(m.client), Sched: sched.Real, Log: slog.New(slog.DiscardHandler),
		OnBad: func(*task.Error) task.Verdict { return task.Fail },
		Ready: func() {}, OnState: func(State) {}, OnMember: func(string) {}, Paused: func() bool { return false },
		OnRebalance: func(r Rebalance) {
			if r.Lost {
				m.lost.Add(1)
			}
		},
	}
	if change != nil {
		change(&c)
	}
	m.Instance = NewInstance(c, layout)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	m.stop = func() error {
		cancel()
		err := <-ended
		m.client.Close()
		return err
	}
	return m
}

// tasks are those that the instance runs.
func (m *member) tasks() (ids []string) {
	for _, t := range m.Report(context.Background()).Tasks {
		if t.Running && !t.Leaving {
			ids = append(ids, t.ID.String())
		}
	}
	return ids
}

// startFeed feeds in the background, see feed.
func (w *world) startFeed(n int) { w.feeding.Go(func() { w.feed(n) }) }

// feed writes n records, one every 10 ms, of 20 keys in turn, and says so many of each key.
func (w *world) feed(n int) {
	p, err := w.client.NewProducer(w.t.Context(), broker.ProducerOptions{})
	require.NoError(w.t, err)
	defer p.Close()
	for i := range n {
		key := fmt.Sprintf("key-%d", i%20)
		require.NoError(w.t, p.Add(p.Target(kafka.Partition{Topic: "in", Index: partitionOf(key)}), []byte(key), []byte("v"), nil, time.Now().UnixMilli()))
		require.NoError(w.t, p.Flush())
		time.Sleep(10 * time.Millisecond)
	}
	require.NoError(w.t, p.Wait())
}

// follow reads the committed output as it comes.
func (w *world) follow() (stop func()) {
	f := w.client.NewFetcher(broker.FetchOptions{ReadCommitted: true})
	for i := range int32(virtualPartitions) {
		f.Subscribe(kafka.Partition{Topic: "out", Index: i}, 0, func(b kafka.Batch) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, r := range b.Records {
				n, err := serde.Int64.Decode(r.Value)
				if err != nil {
					w.t.Error(err)
				}
				w.seen = append(w.seen, result{string(r.Key), n, i, time.Now()})
			}
		})
	}
	return f.Close
}

// check waits for the end of the feed, and compares what was seen with n records of 20 keys:
// every count once, and in order.
func (w *world) check(n int) {
	w.t.Helper()
	w.feeding.Wait()
	w.await(time.Minute, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.seen) >= n
	}, "every record gives a result")
	time.Sleep(5 * time.Second) // for what should not come
	w.mu.Lock()
	defer w.mu.Unlock()
	last := map[string]int64{}
	for _, r := range w.seen {
		require.Equal(w.t, last[r.key]+1, r.n, "the count of %s", r.key)
		last[r.key] = r.n
	}
	require.Len(w.t, w.seen, n)
}

// counts are the last ones of all keys.
func (w *world) counts() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := map[string]int64{}
	for _, r := range w.seen {
		last[r.key] = r.n
	}
	return slices.Collect(maps.Values(last))
}

// silences are the longest times without a result since from, by partition of the input.
func (w *world) silences(from time.Time) (longest [virtualPartitions]time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := [virtualPartitions]time.Time{from, from, from, from}
	for _, r := range w.seen {
		if p := partitionOf(r.key); r.at.After(from) {
			longest[p] = max(longest[p], r.at.Sub(last[p]))
			last[p] = r.at
		}
	}
	for p := range longest {
		longest[p] = max(longest[p], time.Since(last[p]))
	}
	return longest
}

// stop stops instances.
func (w *world) stop(ms ...*member) {
	w.t.Helper()
	for _, m := range ms {
		require.NoError(w.t, m.stop())
	}
}

// await waits in virtual time.
func (w *world) await(limit time.Duration, is func() bool, what string) {
	w.t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(20 * time.Millisecond) {
		require.True(w.t, time.Now().Before(deadline), "not within %v of virtual time: %s", limit, what)
	}
}

func (w *world) sharing(ms ...*member) func() bool {
	return func() bool {
		var all []string
		for _, m := range ms {
			ids := m.tasks()
			if len(ids) < virtualPartitions/len(ms) {
				return false
			}
			all = append(all, ids...)
		}
		slices.Sort(all)
		return strings.Join(all, " ") == "0_0 0_1 0_2 0_3"
	}
}
