package plan_test

import (
	"testing"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

func fingerprint(t *testing.T, build func(*topology.Builder)) string {
	t.Helper()
	b := topology.NewBuilder()
	build(b)
	topo, err := b.Build()
	require.NoError(t, err)
	return (*plan.Plan)(topo).Fingerprint()
}

// Instances may run side by side if what they share is the same: not functions, not lines.
func TestFingerprint(t *testing.T) {
	count := func(topic, store, out string, f func(k, v string) string) func(*topology.Builder) {
		return func(b *topology.Builder) {
			counts := state.Store[string, int64]{Name: store, Key: serde.String, Value: serde.Int64}
			g := kstream.GroupBy(kstream.From(b, text(topic)), f, text("through"))
			ktable.To(kstream.Count(g, counts), topology.Topic[string, int64]{Name: out, Key: serde.String, Value: serde.Int64})
		}
	}
	byKey := func(k, _ string) string { return k }
	same := fingerprint(t, count("in", "counts", "out", byKey))
	require.Equal(t, same, fingerprint(t, count("in", "counts", "out", func(_, v string) string { return v })))
	for name, other := range map[string]func(*topology.Builder){
		"a topic that is read":    count("in2", "counts", "out", byKey),
		"a topic that is written": count("in", "counts", "out2", byKey),
		"a store":                 count("in", "counts2", "out", byKey),
		"a step": func(b *topology.Builder) {
			count("in", "counts", "out", byKey)(b)
			kstream.Peek(kstream.From(b, text("in")), func(string, string) {})
		},
	} {
		require.NotEqual(t, same, fingerprint(t, other), name)
	}
}
