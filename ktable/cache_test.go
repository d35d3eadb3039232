package ktable_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// A row that comes and goes between two commits waits in the record cache, and changes
// nothing in the end. But who looked it up meanwhile must hear that it is gone.
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
