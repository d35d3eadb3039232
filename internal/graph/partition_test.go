package graph_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

const partitions = 7

// origin is a topic that is read back: where do its records lie?
func origin[K any](b *topology.Builder, t topology.Topic[K, int64]) {
	where := kstream.ProcessValues(kstream.From(b, t), "where", func(c *topology.Context[K, string]) (topology.Processor[K, int64], error) {
		return func(r topology.Record[K, int64]) error {
			_, partition, _, _ := c.Source()
			return c.Emit(topology.Record[K, string]{Value: fmt.Sprint(partition)})
		}, nil
	})
	kstream.To(kstream.SelectKey(where, func(k K, _ string) string { return fmt.Sprint(k) }), text("where"))
}

func places(t *testing.T, build func(*topology.Builder), keys ...string) (places []string) {
	t.Helper()
	b := topology.NewBuilder()
	build(b)
	topo, err := b.Build()
	require.NoError(t, err)
	d := streamstest.Options{Partitions: partitions}.New(t, topo)
	for i, k := range keys {
		streamstest.Send(d, text("in"), topology.Record[string, string]{Key: k, Time: time.UnixMilli(int64(i))})
	}
	for _, r := range streamstest.Read(d, text("where")) {
		places = append(places, r.Value)
	}
	return places
}

func hashed(keys ...string) (places []string) {
	for _, k := range keys {
		places = append(places, fmt.Sprint(graph.Partition([]byte(k), partitions)))
	}
	return places
}

// Windows of a key lie where the key lies, so that they can be joined with it.
func TestWindowedKeysLieWhereTheirKeysLie(t *testing.T) {
	hour := window.Tumbling{Size: time.Hour}
	keys := []string{"a", "b", "c", "d", "e"}
	got := places(t, func(b *topology.Builder) {
		store := state.Store[window.Key[string], int64]{Name: "counts", Key: window.Keys(serde.String, hour), Value: serde.Int64}
		out := topology.Topic[window.Key[string], int64]{Name: "windows", Key: store.Key, Value: serde.Int64}
		c := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), hour), store)
		ktable.To(c, out)
		origin(b, out)
	}, keys...)
	require.Equal(t, hashed(keys...), got)
}

// A topic's own function chooses, if it has one.
func TestPartitionOf(t *testing.T) {
	through := topology.Topic[string, int64]{Name: "through", Key: serde.String, Value: serde.Int64}
	through.PartitionOf = func(k string, _ int64, n int32) int32 { return n - 1 - int32(k[0]-'a') }
	got := places(t, func(b *topology.Builder) {
		lengths := kstream.MapValues(kstream.From(b, text("in")), func(v string) int64 { return int64(len(v)) })
		kstream.To(lengths, through)
		origin(b, through)
	}, "a", "b", "c")
	require.Equal(t, []string{"6", "5", "4"}, got)
}
