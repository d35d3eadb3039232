package ktable_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// A row that comes and goes between two commits changes nothing in the end. But who looked
// it up meanwhile must hear that it is gone, also where there is a record cache.
func TestRowThatWasSeenInTheCacheIsTakenBack(t *testing.T) {
	topic := func(name string) topology.Topic[string, *string] {
		return topology.Topic[string, *string]{Name: name, Key: serde.String, Value: serde.Nullable(serde.String)}
	}
	left, right, out := topic("left"), topic("right"), topic("out")
	atOnce := state.Store[string, *string]{Name: "left-rows", Key: serde.String, Value: serde.Nullable(serde.String), NoCache: true}
	pair := func(l, r *string) *string { return new(*l + *r) }
	type table = ktable.Table[string, *string]
	for name, join := range map[string]func(l, r table) table{
		"join": func(l, r table) table { return ktable.Join(l, r, pair) },
		"join of a computed table": func(l, r table) table {
			return ktable.Join(l, ktable.MapValues(r, func(v *string) *string { return v }), pair)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := topology.NewBuilder()
			ktable.To(join(kstream.ToTable(kstream.From(b, left), atOnce), ktable.From(b, right)), out)
			topo, err := b.Build()
			require.NoError(t, err)
			d := streamstest.Options{CommitEvery: 1000, CacheBytes: 1 << 20}.New(t, topo)
			streamstest.Send(d, right, topology.Record[string, *string]{Key: "k", Value: new("r")})
			streamstest.Send(d, left, topology.Record[string, *string]{Key: "k", Value: new("l")})
			streamstest.Send(d, right, topology.Record[string, *string]{Key: "k"})
			d.Commit()
			sent := streamstest.Read(d, out)
			require.Len(t, sent, 2)
			require.Equal(t, "lr", *sent[0].Value)
			require.Nil(t, sent[1].Value)
		})
	}
}

// What is grouped of a join is the same with a record cache: its sides do not see each
// other's rows before their changes.
func TestGroupedJoinDoesNotDependOnTheCache(t *testing.T) {
	topic := func(name string) topology.Topic[string, *string] {
		return topology.Topic[string, *string]{Name: name, Key: serde.String, Value: serde.Nullable(serde.String)}
	}
	left, right, by := topic("left"), topic("right"), topic("by")
	rows := func(name string) state.Store[string, *string] {
		return state.Store[string, *string]{Name: name, Key: serde.String, Value: serde.Nullable(serde.String)}
	}
	counts := state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}
	count := func(seed uint64, o streamstest.Options) map[string]int64 {
		b := topology.NewBuilder()
		pairs := ktable.Join(kstream.ToTable(kstream.From(b, left), rows("l")), kstream.ToTable(kstream.From(b, right), rows("r")),
			func(l, r *string) *string { return new(*l + *r) })
		ktable.Count(ktable.GroupBy(pairs, func(_ string, v *string) (string, *string) { return *v, v }, by), counts)
		topo, err := b.Build()
		require.NoError(t, err)
		d, r := o.New(t, topo), rand.New(rand.NewPCG(seed, 1))
		for range 40 {
			to, v := left, new(fmt.Sprint(r.IntN(2)))
			if r.IntN(2) == 0 {
				to = right
			}
			if r.IntN(4) == 0 {
				v = nil
			}
			streamstest.Send(d, to, topology.Record[string, *string]{Key: fmt.Sprint(r.IntN(2)), Value: v})
		}
		d.Commit()
		all := map[string]int64{}
		for _, k := range []string{"00", "01", "10", "11"} {
			n, _, err := streamstest.Rows(d, counts).Get(k)
			require.NoError(t, err)
			all[k] = n
		}
		return all
	}
	for seed := range uint64(100) {
		require.Equal(t, count(seed, streamstest.Options{CommitEvery: 1}), count(seed, streamstest.Options{CommitEvery: 7, CacheBytes: 1 << 20}), "seed %d", seed)
	}
}
