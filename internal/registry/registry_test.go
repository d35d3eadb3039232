package registry_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

var update = flag.Bool("update", false, "write the golden files anew")

func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// example has every kind of topic.
func example(t *testing.T) *topology.Topology {
	t.Helper()
	day := window.Tumbling{Size: 24 * time.Hour}
	b := topology.NewBuilder()
	lines, prices := kstream.From(b, text("lines")), ktable.From(b, text("prices"))
	names := ktable.GlobalFrom(b, text("names"))
	words := kstream.GroupBy(lines, func(_, v string) string { return v }, text("words"))
	perDay := kstream.WindowedBy(words, day)
	ktable.To(kstream.Count(perDay, state.Store[window.Key[string], int64]{Name: "counts", Key: window.Keys(serde.String, day), Value: serde.Int64}),
		topology.Topic[window.Key[string], int64]{Name: "totals", Key: window.Keys(serde.String, day), Value: serde.Int64})
	priced := kstream.Join(lines, prices, func(l, p string) string { return l + p })
	kstream.To(kstream.JoinGlobal(priced, names, func(_, v string) (string, bool) { return v, true }, func(v, n string) string { return v + n }), text("priced"))
	topo, err := b.Build()
	require.NoError(t, err)
	return topo
}

func application(t *testing.T) registry.Application {
	t.Helper()
	p := (*plan.Plan)(example(t))
	return registry.Application{Fingerprint: p.Fingerprint(), Guarantee: "exactly-once", Plan: p,
		Partitions: map[string]int32{"lines": 4, "prices": 4, "names": 1, "totals": 2, "priced": 2}}
}

// create makes a registry over a client that ends with the test.
func create(t *testing.T, brokers []string, app string) (*broker.Client, *registry.Registry) {
	t.Helper()
	c, err := broker.Dial(t.Context(), broker.Options{Brokers: brokers})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	r, err := registry.Create(t.Context(), c, app)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return c, r
}

func TestRegistry(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		ctx, app := t.Context(), kafkatest.Topic(t)
		c, r := create(t, brokers, app)
		empty, err := r.Read(ctx)
		require.NoError(t, err)
		require.Equal(t, registry.Contents{}, empty)

		require.NoError(t, r.Publish(ctx, application(t), empty))
		require.NoError(t, r.Beat(ctx, registry.Instance{Process: "one", Workers: 2, Every: time.Minute}))
		require.NoError(t, r.Beat(ctx, registry.Instance{Process: "two", Workers: 3, Every: time.Minute}))
		require.NoError(t, r.Beat(ctx, registry.Instance{Process: "one", Workers: 4, Every: time.Minute}))
		require.NoError(t, r.Gone(ctx, "two"))
		require.NoError(t, r.SetEpoch(ctx, registry.Epoch{Number: 3, Wiped: map[string]int64{"counts": 3}}))
		require.NoError(t, r.SetReset(ctx, &registry.Reset{ID: "a", Restart: true, Step: "planned", Plan: json.RawMessage(`{"x":1}`)}))

		again, err := registry.Open(ctx, c, app)
		require.NoError(t, err)
		says, err := again.Read(ctx)
		require.NoError(t, err)
		require.Equal(t, app, says.Application.ID)
		require.Equal(t, example(t).Describe(), (*topology.Topology)(says.Application.Plan).Describe(), "it can be described without the program")
		require.Equal(t, example(t).SVG(), (*topology.Topology)(says.Application.Plan).SVG(), "and drawn")
		require.Equal(t, application(t).Fingerprint, says.Application.Plan.Fingerprint())
		require.Len(t, says.Instances, 1)
		require.Equal(t, 4, says.Instances[0].Workers)
		require.True(t, says.Instances[0].Alive(time.Now()))
		require.False(t, says.Instances[0].Alive(time.Now().Add(3*time.Minute)))
		require.Equal(t, int64(3), says.Epoch.Number)
		require.Equal(t, map[string]int64{"counts": 3}, says.Epoch.Wiped)
		require.JSONEq(t, `{"x":1}`, string(says.Reset.Plan))

		apps, err := registry.Applications(ctx, c)
		require.NoError(t, err)
		require.Contains(t, apps, app)
	})
}

// What was written before a call of Latest is in what it returns, and a watch tells of what comes.
func TestWatch(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		ctx := t.Context()
		_, r := create(t, brokers, kafkatest.Topic(t))
		w, err := r.Watch(ctx)
		require.NoError(t, err)
		defer w.Close()
		for i := int64(1); i <= 20; i++ {
			require.NoError(t, r.SetEpoch(ctx, registry.Epoch{Number: i}))
			says, err := w.Latest(ctx)
			require.NoError(t, err)
			require.Equal(t, i, says.Epoch.Number)
		}
		require.NoError(t, r.SetReset(ctx, &registry.Reset{ID: "a"}))
		for known := (registry.Contents{}); known.Reset == nil; {
			select {
			case <-w.Changed():
			case <-time.After(30 * time.Second):
				require.Fail(t, "nothing was told")
			}
			known, err = w.Known()
			require.NoError(t, err)
		}
		require.NoError(t, r.SetReset(ctx, nil))
		says, err := w.Latest(ctx)
		require.NoError(t, err)
		require.Nil(t, says.Reset)
	})
}

// An application that starts again and is the same writes nothing.
func TestPublishTwice(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		ctx := t.Context()
		_, r := create(t, brokers, kafkatest.Topic(t))
		require.NoError(t, r.Publish(ctx, application(t), registry.Contents{}))
		first, err := r.Read(ctx)
		require.NoError(t, err)
		require.NoError(t, r.Publish(ctx, application(t), first))
		second, err := r.Read(ctx)
		require.NoError(t, err)
		require.Equal(t, first.Application.Published, second.Application.Published)
		changed := application(t)
		changed.Guarantee = "at-least-once"
		require.NoError(t, r.Publish(ctx, changed, second))
		third, err := r.Read(ctx)
		require.NoError(t, err)
		require.Equal(t, "at-least-once", third.Application.Guarantee)
	})
}

func TestNone(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c, err := broker.Dial(t.Context(), broker.Options{Brokers: brokers})
		require.NoError(t, err)
		defer c.Close()
		_, err = registry.Open(t.Context(), c, kafkatest.Topic(t))
		require.ErrorIs(t, err, registry.ErrNone)
		// A topic that has the name and is something else is no registry.
		app := kafkatest.Topic(t)
		require.NoError(t, c.CreateTopic(t.Context(), broker.TopicSpec{Name: registry.TopicName(app), Partitions: 2, Replication: -1}))
		_, err = registry.Create(t.Context(), c, app)
		require.ErrorContains(t, err, "has 2 partitions")
	})
}

// A value that a newer program wrote is not guessed at; what has a newer key is passed over.
func TestNewerFormat(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		ctx, app := context.Background(), kafkatest.Topic(t)
		c, r := create(t, brokers, app)
		p, err := c.NewProducer(ctx, broker.ProducerOptions{})
		require.NoError(t, err)
		defer p.Close()
		at := p.Target(kafka.Partition{Topic: registry.TopicName(app)})
		require.NoError(t, p.Add(at, []byte("standby/7"), []byte("anything"), nil, 0))
		require.NoError(t, p.Wait())
		_, err = r.Read(ctx)
		require.NoError(t, err)
		require.NoError(t, p.Add(at, []byte("reset"), []byte(`{"Format":2}`), nil, 0))
		require.NoError(t, p.Wait())
		_, err = r.Read(ctx)
		require.ErrorContains(t, err, "reset is of format 2")
	})
}

// The record of an application is read by other versions of the module: what changes in it
// changes this file, and Format if an old reader would misunderstand it.
func TestFormat(t *testing.T) {
	a := application(t)
	a.ID, a.Format, a.Version, a.Fingerprint = "shop", registry.Format, "v1.0.0", "98fa49d4fbd91531"
	for _, s := range a.Plan.Subtopologies {
		for i := range s.Nodes {
			s.Nodes[i].At = "main.go:1" // not to change with every line of this file
		}
	}
	b, err := json.MarshalIndent(a, "", "  ")
	require.NoError(t, err)
	golden := filepath.Join("testdata", "application.json")
	if *update {
		require.NoError(t, os.WriteFile(golden, append(b, '\n'), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(b)+"\n")
}

func TestTopicsAndStores(t *testing.T) {
	a := application(t)
	a.ID = "shop"
	var topics, stores []string
	for _, x := range a.Topics() {
		topics = append(topics, string(x.Role)+" "+x.Name)
	}
	require.Equal(t, []string{
		"input lines", "input prices", "output priced", "output totals", "global names",
		"repartition shop-words-repartition", "changelog shop-counts-changelog",
	}, topics)
	for _, x := range a.Stores() {
		stores = append(stores, x.Name+" from "+x.Topic+": "+x.Key.Serde+", "+x.Value.Go)
	}
	require.Equal(t, []string{
		"prices from prices: string, string",
		"counts from shop-counts-changelog: windowed(string, Tumbling{Size: 24h0m0s}), int64",
		"names from names: string, string",
	}, stores)
}
