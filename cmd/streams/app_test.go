package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

func TestMain(m *testing.M) { os.Exit(kafkatest.Main(m)) }

var update = flag.Bool("update", false, "write the golden files anew")

// The application that the tool looks at has a store of every kind, and topics of every role.
type payment struct {
	Account string `json:"account"`
	Pounds  int64  `json:"pounds"`
}

var (
	payments  = topology.Topic[string, payment]{Name: "payments", Key: serde.String, Value: serde.JSON[payment]()}
	byAccount = topology.Topic[string, payment]{Name: "by-account", Key: serde.String, Value: serde.JSON[payment]()}
	accounts  = topology.Topic[string, string]{Name: "accounts", Key: serde.String, Value: serde.String}
	limits    = topology.Topic[string, int64]{Name: "limits", Key: serde.String, Value: serde.Int64}
	named     = topology.Topic[string, string]{Name: "named", Key: serde.String, Value: serde.String}
	perHour   = topology.Topic[window.Key[string], int64]{Name: "per-hour", Key: window.Keys(serde.String, hour), Value: serde.Int64}

	hour  = window.Tumbling{Size: time.Hour, Grace: 3 * time.Hour}
	visit = window.Session{Gap: 30 * time.Minute, Grace: 3 * time.Hour}

	names  = state.Store[string, string]{Name: "names", Key: serde.String, Value: serde.String, History: 1000 * time.Hour}
	totals = state.Store[string, int64]{Name: "totals", Key: serde.String, Value: serde.Int64}
	hours  = state.Store[window.Key[string], int64]{Name: "hours", Key: window.Keys(serde.String, hour), Value: serde.Int64}
	visits = state.Store[window.Key[string], int64]{Name: "visits", Key: window.Keys(serde.String, visit), Value: serde.Int64}
)

func describe(b *topology.Builder) {
	paid := kstream.KeyBy(kstream.From(b, payments), func(_ string, p payment) string { return p.Account }, byAccount)
	known := ktable.Materialize(ktable.From(b, accounts), names)
	kstream.To(kstream.Join(paid, known, func(p payment, name string) string { return fmt.Sprintf("%s paid %d", name, p.Pounds) }), named)
	within := kstream.Join(paid, ktable.From(b, limits), func(p payment, limit int64) int64 { return min(p.Pounds, limit) })
	kstream.Reduce(kstream.GroupByKey(within), func(a, v int64) int64 { return a + v }, totals)
	ktable.To(kstream.Count(kstream.WindowedBy(kstream.GroupByKey(paid), hour), hours), perHour)
	kstream.Count(kstream.WindowedBy(kstream.GroupByKey(paid), visit), visits)
}

func build(t *testing.T, describe func(*topology.Builder)) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder()
	describe(b)
	topo, err := b.Build()
	require.NoError(t, err)
	return topo
}

const (
	partitions = 2
	paidTimes  = 40
	// patience is how long a test waits for what must happen. It is only used up by a failure.
	patience = 2 * time.Minute
)

var monday = time.Date(2026, 10, 26, 9, 0, 0, 0, time.UTC)

// site is a Kafka in which the application has run, and what it left.
type site struct {
	t       *testing.T
	brokers []string
	c       *broker.Client
	state   string
}

// eachSite runs f on an embedded broker and on a Kafka that is lent to it, since the names of the
// application's topics are fixed.
func eachSite(t *testing.T, f func(*site)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		f(embeddedSite(t))
	})
	t.Run("kafka", func(t *testing.T) {
		t.Parallel()
		f(newSite(t, kafkatest.Borrow(t, nil)))
	})
}

func embeddedSite(t *testing.T) *site {
	t.Helper()
	b, err := embedded.Start()
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return newSite(t, b.Addrs())
}

func newSite(t *testing.T, brokers []string) *site {
	t.Helper()
	c, err := broker.Dial(t.Context(), broker.Options{Brokers: brokers})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	s := &site{t, brokers, c, t.TempDir()}
	for _, topic := range []string{payments.Name, named.Name, perHour.Name} {
		s.create(topic, map[string]string{"retention.ms": "-1"})
	}
	for _, topic := range []string{accounts.Name, limits.Name} {
		s.create(topic, map[string]string{"cleanup.policy": "compact"})
	}
	s.feed()
	return s
}

func (s *site) create(topic string, config map[string]string) {
	s.t.Helper()
	require.NoError(s.t, s.c.CreateTopic(s.t.Context(), broker.TopicSpec{Name: topic, Partitions: partitions, Replication: -1, Config: config}))
}

// feed writes the inputs, the same at each run. The payments are in one partition, so that
// those of an account are processed in their order.
func (s *site) feed() {
	for i, account := range []string{"ann", "bob", "cid", "dan"} {
		s.write(accounts.Name, account, strings.ToUpper(account[:1])+account[1:], monday.Add(-time.Hour))
		s.write(limits.Name, account, string([]byte{0, 0, 0, 0, 0, 0, 0, byte(10 * (i + 1))}), monday.Add(-time.Hour))
	}
	for i := range paidTimes {
		account := []string{"ann", "bob", "cid", "dan"}[i%7%4]
		paid := fmt.Sprintf(`{"account":%q,"pounds":%d}`, account, i+1)
		s.writeTo(payments.Name, 0, fmt.Sprintf("p%d", i), []byte(paid), nil, monday.Add(time.Duration(i)*7*time.Minute))
	}
	s.write(accounts.Name, "ann", "Anna", monday.Add(24*time.Hour))
}

// write writes a record where Kafka's default partitioner puts it.
func (s *site) write(topic, key, value string, at time.Time) {
	s.t.Helper()
	s.writeTo(topic, graph.Partition([]byte(key), partitions), key, []byte(value), nil, at)
}

func (s *site) writeTo(topic string, partition int32, key string, value []byte, hs []kafka.Header, at time.Time) {
	s.t.Helper()
	p, err := s.c.NewProducer(s.t.Context(), broker.ProducerOptions{})
	require.NoError(s.t, err)
	defer p.Close()
	require.NoError(s.t, p.Add(p.Target(kafka.Partition{Topic: topic, Index: partition}), []byte(key), value, hs, at.UnixMilli()))
	require.NoError(s.t, p.Wait())
}

// start starts an instance, and returns what stops it.
func (s *site) start(guarantee streams.Guarantee) (stop func()) {
	s.t.Helper()
	app, err := streams.New(build(s.t, describe), streams.Config{
		ApplicationID: "orders", Brokers: s.brokers, Guarantee: guarantee, StateDir: s.state, Workers: 1,
	})
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	stop = func() {
		cancel()
		require.NoError(s.t, <-ended)
	}
	select {
	case <-app.Ready():
	case err := <-ended:
		cancel()
		require.NoError(s.t, err)
	case <-time.After(patience):
		s.t.Fatal("the application does not start")
	}
	return stop
}

// process runs the application until all is processed.
func (s *site) process(guarantee streams.Guarantee) {
	s.t.Helper()
	stop := s.start(guarantee)
	defer stop()
	s.await(func() bool {
		var all []struct {
			Topic              string
			Committed, Records *int64
		}
		code, out, _ := s.tool("lag", "orders", "--json")
		if code != exitOK || json.Unmarshal([]byte(out), &all) != nil {
			return false
		}
		through := int64(0)
		for _, l := range all {
			if *l.Records > 0 {
				return false
			}
			if strings.HasSuffix(l.Topic, "-repartition") && l.Committed != nil {
				through += *l.Committed
			}
		}
		return through >= paidTimes
	}, "all is processed")
}

func (s *site) await(done func() bool, what string) {
	s.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("within %v it did not happen that %s", patience, what)
		}
	}
}

// tool runs the tool against the site's Kafka.
func (s *site) tool(args ...string) (code int, out, messages string) {
	return s.answer("", args...)
}

// answer is tool with something typed.
func (s *site) answer(typed string, args ...string) (code int, out, messages string) {
	var o, m bytes.Buffer
	code = run(s.t.Context(), append(args, "--brokers", strings.Join(s.brokers, ",")), strings.NewReader(typed), &o, &m)
	return code, o.String(), m.String()
}

// ok runs the tool, which must exit with 0.
func (s *site) ok(args ...string) string {
	s.t.Helper()
	code, out, messages := s.tool(args...)
	require.Equal(s.t, exitOK, code, "%v: %s", args, messages)
	return out
}

// host is this machine's name, as instances say it.
var host, _ = os.Hostname()

// changing is what is not the same at each run.
var changing = []struct {
	is *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<process>"},
	{regexp.MustCompile(`\b\d+d\b`), "<age>"},
	{regexp.MustCompile(regexp.QuoteMeta(host) + `/\d+`), "<host>/<pid>"},
	{regexp.MustCompile(`"host": "[^"]*"`), `"host": "<host>"`},
	{regexp.MustCompile(`"pid": \d+`), `"pid": <pid>`},
	{regexp.MustCompile(`"seconds": [0-9.]+`), `"seconds": <age>`},
}

// golden compares a text with a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	for _, c := range changing {
		text = c.is.ReplaceAllString(text, c.to)
	}
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "%s; -update writes it anew", file)
}
