package broker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

func TestMain(m *testing.M) { os.Exit(kafkatest.Main(m)) }

// patience is how long a test waits for what must happen. It is only used up by a failure.
const patience = 3 * time.Minute

var discard = slog.New(slog.DiscardHandler)

func dial(t testing.TB, brokers []string) *Client {
	t.Helper()
	c, err := Dial(context.Background(), Options{Brokers: brokers, ClientID: "test", Log: logOnFailure(t)})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// logOnFailure shows what was logged if the test fails.
func logOnFailure(t testing.TB) *slog.Logger {
	var lines lockedBuffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", lines.String())
		}
	})
	return slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// each runs f on the embedded broker and on a real Kafka.
func each(t *testing.T, f func(t *testing.T, c *Client)) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) { f(t, dial(t, brokers)) })
}

// onEmbedded returns a client of an embedded broker that is the test's own.
func onEmbedded(t testing.TB) *Client {
	t.Helper()
	b, err := embedded.Start()
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return dial(t, b.Addrs())
}

// createTopic creates a topic of its own for the test. It keeps records of any age.
func createTopic(t testing.TB, c *Client, partitions int32, config map[string]string) string {
	t.Helper()
	name := kafkatest.Topic(t)
	all := map[string]string{"retention.ms": "-1"}
	maps.Copy(all, config)
	require.NoError(t, c.CreateTopic(t.Context(), TopicSpec{Name: name, Partitions: partitions, Replication: -1, Config: all}))
	return name
}

func newProducer(t testing.TB, c *Client, o ProducerOptions) *Producer {
	t.Helper()
	p, err := c.NewProducer(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func newFetcher(t testing.TB, c *Client, o FetchOptions) *Fetcher {
	t.Helper()
	f := c.NewFetcher(o)
	t.Cleanup(f.Close)
	return f
}

// add buffers values named prefix0, prefix1, ...
func add(t testing.TB, p *Producer, to kafka.Partition, prefix string, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, p.Add(p.Target(to), nil, fmt.Appendf(nil, "%s%d", prefix, i), nil, 1))
	}
}

// values are what add has buffered.
func values(prefix string, n int) []string {
	var vs []string
	for i := range n {
		vs = append(vs, fmt.Sprint(prefix, i))
	}
	return vs
}

// reading collects what a subscription delivers.
type reading struct {
	t       testing.TB
	s       *Subscription
	batches chan kafka.Batch
	all     []kafka.Record
	last    kafka.Batch
}

// read subscribes to p. It is done with a batch when it has copied it.
func read(t testing.TB, f *Fetcher, p kafka.Partition, offset int64) *reading {
	r := &reading{t: t, batches: make(chan kafka.Batch, 100_000)}
	subscribed := make(chan struct{})
	r.s = f.Subscribe(p, offset, func(b kafka.Batch) {
		<-subscribed
		c := b
		c.Records = nil
		for _, k := range b.Records {
			c.Records = append(c.Records, copyRecord(k))
		}
		r.batches <- c
		r.s.Done(b)
	})
	close(subscribed)
	return r
}

func copyRecord(k kafka.Record) kafka.Record {
	k.Key, k.Value, k.Headers = bytes.Clone(k.Key), bytes.Clone(k.Value), slices.Clone(k.Headers)
	for i := range k.Headers {
		k.Headers[i].Value = bytes.Clone(k.Headers[i].Value)
	}
	return k
}

// next waits for the next batch.
func (r *reading) next() kafka.Batch {
	r.t.Helper()
	select {
	case r.last = <-r.batches:
		r.all = append(r.all, r.last.Records...)
		return r.last
	case <-time.After(patience):
		r.t.Fatalf("no batch; the last one was %+v", r.last)
		panic("unreachable")
	}
}

// to reads until the position is at least next, and returns all the values so far.
func (r *reading) to(next int64) []string {
	r.t.Helper()
	for r.last.Next < next {
		r.next()
	}
	return r.values()
}

func (r *reading) values() []string {
	var vs []string
	for _, k := range r.all {
		vs = append(vs, string(k.Value))
	}
	return vs
}

// readAll returns the values from the beginning to the end, as a reader of this isolation
// sees them now.
func readAll(t testing.TB, c *Client, p kafka.Partition, committed bool) []string {
	t.Helper()
	ends, err := c.ListOffsets(t.Context(), []kafka.Partition{p}, Latest, committed)
	require.NoError(t, err)
	f := c.NewFetcher(FetchOptions{ReadCommitted: committed})
	defer f.Close()
	return read(t, f, p, 0).to(ends[p])
}

// eventually waits for what another process will do, where nothing tells when.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// within fails the test when f takes longer than limit.
func within(t testing.TB, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	require.Less(t, time.Since(start), limit)
}
