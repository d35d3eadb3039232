package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
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
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/reset"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

var updateReset = flag.Bool("update-reset", false, "write the golden files of reset anew")

// shop is an application that counts what is sold, and prices it.
type shop struct {
	t       *testing.T
	brokers []string
	c       *broker.Client
	dir     string
}

var (
	sales      = topology.Topic[string, string]{Name: "sales", Key: serde.String, Value: serde.String}
	byItem     = topology.Topic[string, string]{Name: "by-item", Key: serde.String, Value: serde.String}
	prices     = topology.Topic[string, string]{Name: "prices", Key: serde.String, Value: serde.String}
	sold       = state.Store[string, int64]{Name: "sold", Key: serde.String, Value: serde.Int64}
	soldTopic  = topology.Topic[string, int64]{Name: "sold-totals", Key: serde.String, Value: serde.Int64}
	invoices   = topology.Topic[string, string]{Name: "invoices", Key: serde.String, Value: serde.String}
	priceStore = state.Store[string, string]{Name: "price-history", Key: serde.String, Value: serde.String, History: time.Hour}
)

// eachShop runs f on both brokers, where the shop has run, but is not running.
func eachShop(t *testing.T, f func(s *shop)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b, err := embedded.Start()
		require.NoError(t, err)
		t.Cleanup(b.Close)
		f(newShop(t, b.Addrs()))
	})
	t.Run("kafka", func(t *testing.T) {
		t.Parallel()
		f(newShop(t, kafkatest.Borrow(t, nil)))
	})
}

func newShop(t *testing.T, brokers []string) *shop {
	t.Helper()
	c, err := broker.Dial(t.Context(), broker.Options{Brokers: brokers})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	s := &shop{t: t, brokers: brokers, c: c, dir: t.TempDir()}
	for _, name := range []string{"sales", "prices", "sold-totals", "invoices"} {
		require.NoError(t, c.CreateTopic(t.Context(), broker.TopicSpec{Name: name, Partitions: 2, Replication: -1}))
	}
	monday := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s.write("prices", 0, monday, "2 pounds")
	for i := range 10 {
		s.write("sales", int32(i%2), monday.Add(time.Duration(i)*time.Hour), "tea")
	}
	s.run()
	return s
}

func (s *shop) write(topic string, partition int32, at time.Time, value string) {
	s.t.Helper()
	p, err := s.c.NewProducer(s.t.Context(), broker.ProducerOptions{})
	require.NoError(s.t, err)
	defer p.Close()
	require.NoError(s.t, p.Add(p.Target(kafka.Partition{Topic: topic, Index: partition}), []byte("tea"), []byte(value), nil, at.UnixMilli()))
	require.NoError(s.t, p.Wait())
}

// app is an instance.
func (s *shop) app() *streams.App {
	s.t.Helper()
	b := topology.NewBuilder()
	items := kstream.GroupBy(kstream.From(b, sales), func(_, v string) string { return v }, byItem)
	ktable.To(kstream.Count(items, sold), soldTopic)
	priced := kstream.Join(kstream.From(b, sales), ktable.Materialize(ktable.From(b, prices), priceStore), func(v, price string) string { return v + ": " + price })
	kstream.To(priced, invoices)
	topo, err := b.Build()
	require.NoError(s.t, err)
	app, err := streams.New(topo, streams.Config{ApplicationID: "shop", Brokers: s.brokers, StateDir: s.dir, Guarantee: streams.AtLeastOnce})
	require.NoError(s.t, err)
	return app
}

// start starts an instance, and returns what stops it.
func (s *shop) start() (stop func()) {
	s.t.Helper()
	app, ended := s.app(), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- app.Run(ctx) }()
	select {
	case <-app.Ready():
	case <-time.After(2 * time.Minute):
		s.t.Fatal("the application does not start")
	}
	return func() {
		cancel()
		require.NoError(s.t, <-ended)
	}
}

// run runs the application until ten sales are counted.
func (s *shop) run() {
	s.t.Helper()
	defer s.start()()
	ps := []kafka.Partition{{Topic: "shop-by-item-repartition", Index: 0}, {Topic: "shop-by-item-repartition", Index: 1}, {Topic: "sales", Index: 0}, {Topic: "sales", Index: 1}}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		committed, err := s.c.Committed(s.t.Context(), "shop", ps)
		require.NoError(s.t, err)
		ends, err := s.c.ListOffsets(s.t.Context(), ps, broker.Latest, false)
		require.NoError(s.t, err)
		done := true
		for _, p := range ps {
			done = done && (ends[p] == 0 || committed[p].At == ends[p])
		}
		if done && ends[ps[0]]+ends[ps[1]] >= 10 {
			return
		}
		require.True(s.t, time.Now().Before(deadline), "not all is processed: %v of %v", committed, ends)
		time.Sleep(20 * time.Millisecond)
	}
}

// tool runs the tool, with something typed.
func (s *shop) tool(typed string, args ...string) (code int, out, messages string) {
	var o, m bytes.Buffer
	code = run(s.t.Context(), append(args, "--brokers", strings.Join(s.brokers, ",")), strings.NewReader(typed), &o, &m)
	return code, o.String(), m.String()
}

// ofNow is what is another at each run.
var ofNow = regexp.MustCompile(`begun [^ ]+ by .* is not done`)

func (s *shop) golden(name, text string) {
	s.t.Helper()
	text = ofNow.ReplaceAllString(text, "begun <time> by <somebody> is not done")
	file := filepath.Join("testdata", name)
	if *updateReset {
		require.NoError(s.t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(s.t, err)
	require.Equal(s.t, string(want), text, "run go test with -update-reset if it should be so")
}

func TestResetShowsItsPlan(t *testing.T) {
	eachShop(t, func(s *shop) {
		for _, g := range []struct {
			file string
			args []string
		}{
			{"reset-earliest.txt", []string{"--to-earliest"}},
			{"reset-earliest.json", []string{"--to-earliest", "--json"}},
			{"reset-time.txt", []string{"--to-time", "2026-11-23T12:00", "--topic", "sales"}},
			{"reset-late.txt", []string{"--to-time", "2026-12-01"}},
			{"reset-keep-state.txt", []string{"--by", "-2", "--keep-state"}},
			{"reset-offset.txt", []string{"--to-offset", "7"}},
			{"reset-file.txt", []string{"--from-file", "testdata/plan.csv"}},
		} {
			code, out, messages := s.tool("", append([]string{"reset", "shop"}, g.args...)...)
			require.Equal(t, exitOK, code, messages)
			require.Contains(t, messages, "nothing was done; --execute does it")
			s.golden(g.file, out)
		}
		found, err := registry.Open(t.Context(), s.c, "shop")
		require.NoError(t, err)
		says, err := found.Read(t.Context())
		require.NoError(t, err)
		require.Zero(t, says.Epoch.Number, "nothing was done")
	})
}

// Asked for, a reset is done, and the application counts again from the start.
func TestResetExecutes(t *testing.T) {
	eachShop(t, func(s *shop) {
		for _, c := range []struct {
			args     []string
			code     int
			messages string
		}{
			{[]string{"reset", "shop"}, exitUsage, "where to?"},
			{[]string{"reset", "shop", "--to-earliest", "--topic", "invoices"}, exitFailed, `does not read topic "invoices": it reads prices, sales`},
			{[]string{"reset", "shop", "--undo"}, exitNo, "no reset of shop is under way"},
			{[]string{"reset", "stop", "--to-earliest"}, exitFailed, "no application of this id"},
			{[]string{"reset", "shop", "--to-earliest", "--execute"}, exitNo, "nobody answered; --yes says yes"},
		} {
			code, _, messages := s.tool("", c.args...)
			require.Equal(t, c.code, code, "%v: %s", c.args, messages)
			require.Contains(t, messages, c.messages)
		}
		stop := s.start()
		code, _, messages := s.tool("", "reset", "shop", "--to-earliest", "--execute", "--yes")
		require.Equal(t, exitNo, code, messages)
		require.Contains(t, messages, "application shop is running")
		code, out, _ := s.tool("", "reset", "shop", "--to-earliest")
		require.Equal(t, exitOK, code)
		require.Contains(t, out, "instances that run: 1; stop them")
		code, out, _ = s.tool("", "reset", "shop", "--to-earliest", "--restart")
		require.Equal(t, exitOK, code)
		require.Contains(t, out, "instances that run: 1; they stop their tasks, and begin again when it is done")
		stop()
		code, _, messages = s.tool("yes\n", "reset", "shop", "--to-earliest", "--execute")
		require.Equal(t, exitOK, code, messages)
		s.golden("reset-executed.txt", messages)
		s.run()
		code, out, messages = s.tool("", "reset", "shop", "--to-earliest")
		require.Equal(t, exitOK, code, messages)
		require.Contains(t, out, "by-item", "it counts again")
	})
}

// A reset that was interrupted is shown, and finished or undone by the next call.
func TestResetGoesOn(t *testing.T) {
	eachShop(t, func(s *shop) {
		interrupt := func(at reset.Step) {
			p, err := reset.Make(t.Context(), s.c, reset.Options{App: "shop", To: reset.ToEarliest()})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			err = reset.Execute(ctx, s.c, p, reset.Execution{After: func(step reset.Step) error {
				if step == at {
					cancel()
				}
				return ctx.Err()
			}})
			require.ErrorIs(t, err, context.Canceled)
		}
		interrupt(reset.Stopped)
		code, out, messages := s.tool("", "reset", "shop")
		require.Equal(t, exitNo, code)
		s.golden("reset-interrupted.txt", out+messages)
		code, out, _ = s.tool("", "reset", "shop", "--json")
		require.Equal(t, exitNo, code)
		require.True(t, json.Valid([]byte(out)), out)
		code, _, messages = s.tool("", "reset", "shop", "--to-latest", "--execute", "--yes")
		require.Equal(t, exitNo, code)
		require.Contains(t, messages, "it is another one")
		code, _, messages = s.tool("", "reset", "shop", "--undo", "--yes")
		require.Equal(t, exitOK, code, messages)

		interrupt(reset.Cleared)
		code, _, messages = s.tool("", "reset", "shop", "--undo", "--yes")
		require.Equal(t, exitNo, code)
		require.Contains(t, messages, "may be deleted already: finish the reset, with --execute")
		code, _, messages = s.tool("", "reset", "shop", "--to-earliest", "--execute", "--yes")
		require.Equal(t, exitOK, code, messages)
		s.golden("reset-finished.txt", messages)
		s.run()
	})
}

// The plan of an application of Kafka Streams says what is taken for its own, and why the
// rest is left alone.
func TestResetOfKafkaStreams(t *testing.T) {
	eachShop(t, func(s *shop) {
		for _, name := range []string{"till-counts-changelog", "till-words-repartition", "till-two-counts-changelog", "till-notes"} {
			require.NoError(t, s.c.CreateTopic(t.Context(), broker.TopicSpec{Name: name, Partitions: 1, Replication: -1}))
		}
		for group, at := range map[string]int64{"till": 5, "till-two": 3} {
			offsets := map[kafka.Partition]kafka.Offset{{Topic: "sales", Index: 0}: {At: at}, {Topic: "sales", Index: 1}: {At: at}}
			require.NoError(t, s.c.CommitOffsets(broker.Member{Group: group, Generation: -1}, offsets))
		}
		code, out, messages := s.tool("", "reset", "till", "--to-earliest")
		require.Equal(t, exitOK, code, messages)
		s.golden("reset-kafka-streams.txt", out)
		code, _, messages = s.tool("", "reset", "till", "--to-earliest", "--internal-topic", "till-notes")
		require.Equal(t, exitFailed, code)
		require.Contains(t, messages, "is not named as Kafka Streams names topics")
		code, _, messages = s.tool("", "reset", "till", "--to-earliest", "--execute", "--yes")
		require.Equal(t, exitOK, code, messages)
		left, err := s.c.Topics(t.Context(), "till-counts-changelog", "till-words-repartition", "till-two-counts-changelog", "till-notes")
		require.NoError(t, err)
		require.Len(t, left, 2)
	})
}
