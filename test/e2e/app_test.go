//go:build unix

package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// soon is what New and Run may take where nothing has to be waited for.
const soon = 30 * time.Second

// app is an application that runs in this process.
type app struct {
	t *testing.T
	*streams.App
	cancel context.CancelFunc
	ended  chan struct{} // closed when Run has returned, with err
	err    error
}

// config is what applications of the tests have in common. What they log shows when a test
// fails.
func config(t *testing.T, k *kafka, name string) streams.Config {
	return streams.Config{
		ApplicationID: name, Brokers: k.addrs, StateDir: t.TempDir(), Workers: 2, SessionTimeout: 6 * time.Second,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// run starts an application. It is stopped when the test ends.
func run(t *testing.T, topo *topology.Topology, c streams.Config) *app {
	t.Helper()
	inner, err := streams.New(topo, c)
	require.NoError(t, err)
	a := &app{t: t, App: inner, ended: make(chan struct{})}
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(a.ended)
		a.err = inner.Run(ctx)
	}()
	t.Cleanup(func() {
		a.cancel()
		<-a.ended
	})
	return a
}

// awaitReady returns how long it takes until the application is restored and runs.
func (a *app) awaitReady(limit time.Duration) time.Duration {
	a.t.Helper()
	begun := time.Now()
	select {
	case <-a.Ready():
	case <-a.ended:
		require.FailNow(a.t, "not ready", "Run has returned: %v", a.err)
	case <-time.After(limit):
		require.FailNow(a.t, "not ready", "within %v", limit)
	}
	return time.Since(begun).Round(time.Millisecond)
}

// stop ends the application, which must not fail.
func (a *app) stop() {
	a.t.Helper()
	a.cancel()
	require.NoError(a.t, a.wait(patience))
}

// wait returns the error that Run returns.
func (a *app) wait(limit time.Duration) error {
	a.t.Helper()
	select {
	case <-a.ended:
	case <-time.After(limit):
		stacks := make([]byte, 1<<20)
		a.t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
		require.FailNow(a.t, "Run has not returned", "within %v", limit)
	}
	return a.err
}

// build builds a topology.
func build(t *testing.T, steps func(b *topology.Builder)) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder()
	steps(b)
	topo, err := b.Build()
	require.NoError(t, err)
	return topo
}

// text is a topic of strings.
func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// counting is the topology of the program wordcount. It shows every line to look, if given.
func counting(t *testing.T, name string, look func(line string)) *topology.Topology {
	t.Helper()
	counts := state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}
	totals := topology.Topic[string, int64]{Name: name + "-totals", Key: serde.String, Value: serde.Int64}
	return build(t, func(b *topology.Builder) {
		lines := kstream.From(b, text(name+"-lines"))
		if look != nil {
			lines = kstream.Peek(lines, func(_, line string) { look(line) })
		}
		split := kstream.FlatMapValues(lines, strings.Fields)
		byWord := kstream.GroupBy(split, func(_, word string) string { return word }, text("words"))
		ktable.To(kstream.Count(byWord, counts), totals)
	})
}

// counter sends words and knows how often it did.
type counter struct {
	*kafka
	name   string
	exact  map[string]int64
	totals *table
}

func newCounter(k *kafka, name string) *counter {
	k.t.Helper()
	k.create(nil, 2, name+"-lines", name+"-totals")
	return &counter{kafka: k, name: name, exact: map[string]int64{}, totals: k.table(name + "-totals")}
}

// count sends so many words some times each, and waits for their counts. Only an application
// whose table was right gives the exact ones.
func (c *counter) count(words, times int) {
	c.t.Helper()
	var lines []string
	for range times {
		for i := range words {
			word := fmt.Sprintf("word-%d", i)
			lines = append(lines, word)
			c.exact[word]++
		}
	}
	c.send(c.name+"-lines", lines...)
	await(c.t, patience, func() bool { return c.totals.reaches(c.exact) }, "all words are counted")
	c.totals.locked(func() { require.Equal(c.t, c.exact, c.totals.rows, "the counts") })
}
