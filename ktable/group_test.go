package ktable_test

import (
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

// parity counts how many rows have an even and an odd number.
func parity[K any](t ktable.Table[K, int64]) ktable.Table[string, int64] {
	through := topology.Topic[string, int64]{Name: "by-parity", Key: serde.String, Value: serde.Int64}
	counts := state.Store[string, int64]{Name: "parity", Key: serde.String, Value: serde.Int64}
	return ktable.Count(ktable.GroupBy(t, func(_ K, n int64) (string, int64) {
		if n%2 == 0 {
			return "even", n
		}
		return "odd", n
	}, through), counts)
}

// A row that changes leaves its group, wherever its table comes from: every kind of table
// knows its old rows.
func TestRowsLeaveTheirGroups(t *testing.T) {
	in := topology.Topic[string, int64]{Name: "in", Key: serde.String, Value: serde.Int64}
	other := topology.Topic[string, int64]{Name: "other", Key: serde.String, Value: serde.Int64}
	numbers := func(name string) state.Store[string, int64] {
		return state.Store[string, int64]{Name: name, Key: serde.String, Value: serde.Int64}
	}
	latest := aggregate.Fold(nil, func(_, n int64) int64 { return n })
	windowed := func(b *topology.Builder, w window.Windows) ktable.Table[window.Key[string], int64] {
		store := state.Store[window.Key[string], int64]{Name: "windows", Key: window.Keys(serde.String, w), Value: serde.Int64}
		return kstream.Aggregate(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, in)), w), latest, store)
	}
	out := topology.Topic[string, int64]{Name: "out", Key: serde.String, Value: serde.Int64}
	for name, table := range map[string]func(b *topology.Builder) ktable.Table[string, int64]{
		"a topic": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(ktable.From(b, in))
		},
		"a computed table": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(ktable.MapValues(ktable.From(b, in), func(n int64) int64 { return n + 2 }))
		},
		"a fold": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(kstream.Aggregate(kstream.GroupByKey(kstream.From(b, in)), latest, numbers("latest")))
		},
		"a cogroup": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(kstream.Cogroup(numbers("latest"),
				kstream.Folding(kstream.GroupByKey(kstream.From(b, other)), latest),
				kstream.Folding(kstream.GroupByKey(kstream.From(b, in)), latest)))
		},
		"ToTable": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(kstream.ToTable(kstream.From(b, in), numbers("latest")))
		},
		"a join": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(ktable.LeftJoin(ktable.From(b, in), ktable.From(b, other), func(n, _ int64, _ bool) int64 { return n }))
		},
		"windows": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(windowed(b, window.Tumbling{Size: time.Hour}))
		},
		"windows that are sent every second": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(windowed(b, window.Tumbling{Size: time.Hour, Emit: window.Every(time.Second)}))
		},
		"what was held back": func(b *topology.Builder) ktable.Table[string, int64] {
			return parity(ktable.Suppress(ktable.From(b, in), 0, ktable.Buffer{}, numbers("held")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := topology.NewBuilder()
			ktable.To(table(b), out)
			topo, err := b.Build()
			require.NoError(t, err)
			d := streamstest.New(t, topo)
			for i, n := range []int64{1, 4, 5} {
				streamstest.Send(d, in, topology.Record[string, int64]{Key: "k", Value: n, Time: time.UnixMilli(int64(i))})
				d.Advance(time.Second)
			}
			counts := map[string]int64{}
			for _, r := range streamstest.Read(d, out) {
				counts[r.Key] = r.Value
			}
			require.Equal(t, map[string]int64{"odd": 1, "even": 0}, counts)
		})
	}
}
