package streams_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

const patience = time.Minute

// listener remembers what it was told.
type listener struct {
	mu         sync.Mutex
	states     []streams.State
	rebalances []streams.Rebalance
}

func (l *listener) state(_, to streams.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states = append(l.states, to)
}

func (l *listener) rebalance(r streams.Rebalance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rebalances = append(l.rebalances, r)
}

// An instance waits for a topic that comes later, and says at every moment what it does.
func TestStatus(t *testing.T) {
	b, err := embedded.Start()
	require.NoError(t, err)
	t.Cleanup(b.Close)
	client, err := broker.Dial(t.Context(), broker.Options{Brokers: b.Addrs()})
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })

	words := topology.Topic[string, string]{Name: "words", Key: serde.String, Value: serde.String}
	builder := topology.NewBuilder()
	kstream.Count(kstream.GroupByKey(kstream.From(builder, words)), state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64})
	topo, err := builder.Build()
	require.NoError(t, err)
	var heard listener
	config := streams.Config{
		ApplicationID: "status", Brokers: b.Addrs(), StateDir: t.TempDir(), Workers: 1,
		OnStateChange: heard.state, OnRebalance: heard.rebalance,
	}
	_, err = streams.New(topo, config)
	require.ErrorContains(t, err, "the cluster has no topic words")
	config.WaitForTopics = patience
	app, err := streams.New(topo, config)
	require.NoError(t, err)
	require.Equal(t, streams.Status{State: streams.Created}, app.Status())

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	require.Eventually(t, func() bool { return app.Status().State == streams.Joining }, patience, time.Millisecond)
	require.NoError(t, client.CreateTopic(t.Context(), broker.TopicSpec{Name: "words", Partitions: 2, Replication: 1}))
	select {
	case <-app.Ready():
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("never ready")
	}
	var s streams.Status
	require.Eventually(t, func() bool { s = app.Status(); return len(s.Tasks) == 2 && len(s.Busy) == 0 }, patience, time.Millisecond)
	require.Equal(t, streams.Running, s.State)
	require.NotEmpty(t, s.Member)
	require.True(t, s.Tasks[0].Running)
	require.Equal(t, "0_0", s.Tasks[0].Task)

	app.Pause()
	produce(t, client, 10)
	lag := func() int64 { return app.Status().Tasks[0].Inputs[0].Lag }
	require.Eventually(t, func() bool { return lag() == 10 }, patience, time.Millisecond)
	s = app.Status()
	require.True(t, s.Paused)
	require.Zero(t, s.Tasks[0].Records)
	require.Greater(t, s.Tasks[0].Inputs[0].Behind, time.Hour, "the records are old")
	app.Resume()
	require.Eventually(t, func() bool { return lag() == 0 && !app.Status().Tasks[0].LastCommit.IsZero() }, patience, time.Millisecond)
	require.Equal(t, int64(10), app.Status().Tasks[0].Records)

	stop()
	require.NoError(t, <-ended)
	require.Equal(t, streams.Stopped, app.Status().State)
	require.Equal(t, []streams.State{streams.Joining, streams.Restoring, streams.Running, streams.Stopping, streams.Stopped}, heard.states)
	require.Equal(t, []string{"0_0", "0_1"}, heard.rebalances[0].Tasks)
}

func produce(t *testing.T, client *broker.Client, n int) {
	p, err := client.NewProducer(t.Context(), broker.ProducerOptions{})
	require.NoError(t, err)
	defer p.Close()
	for range n {
		require.NoError(t, p.Add(p.Target(kafka.Partition{Topic: "words"}), []byte("k"), []byte("v"), nil, 1000))
	}
	require.NoError(t, p.Wait())
}
