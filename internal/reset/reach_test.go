package reset

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

func counts(name string) state.Store[string, int64] {
	return state.Store[string, int64]{Name: name, Key: serde.String, Value: serde.Int64}
}

func numbers(name string) topology.Topic[string, int64] {
	return topology.Topic[string, int64]{Name: name, Key: serde.String, Value: serde.Int64}
}

func compile(t *testing.T, describe func(b *topology.Builder)) *plan.Plan {
	t.Helper()
	b := topology.NewBuilder()
	describe(b)
	topo, err := b.Build()
	require.NoError(t, err)
	return (*plan.Plan)(topo)
}

func value(_, v string) string { return v }

func both(v, w string) string { return v + w }

// A stream that looks rows up does not write them: the table stays when the stream is reset.
func TestReachOfALookup(t *testing.T) {
	p := compile(t, func(b *topology.Builder) {
		rates := ktable.Materialize(ktable.From(b, text("rates")), state.Store[string, string]{Name: "history", Key: serde.String, Value: serde.String, History: time.Hour})
		byCurrency := kstream.KeyBy(kstream.From(b, text("payments")), value, text("by-currency"))
		kstream.To(kstream.Join(byCurrency, rates, both), text("texts"))
	})
	r := reachOf("app", p, []string{"payments"})
	require.Empty(t, r.stores)
	require.Equal(t, []string{"app-by-currency-repartition"}, r.repartition)
	require.Equal(t, []string{"texts"}, r.outputs)
	require.Empty(t, r.mixed)

	r = reachOf("app", p, []string{"rates"})
	require.Equal(t, []string{"history"}, r.stores)
	require.Empty(t, r.repartition)
	require.Empty(t, r.outputs, "a new rate sends nothing by itself")
}

// What one input makes behind another's topics is followed through all of them.
func TestReachThroughTopics(t *testing.T) {
	p := compile(t, func(b *topology.Builder) {
		words := kstream.GroupBy(kstream.From(b, text("lines")), value, text("words"))
		first := kstream.Count(words, counts("first"))
		again := kstream.GroupBy(kstream.MapValues(kstream.Updates(first), func(n int64) string { return "x" }), value, text("again"))
		ktable.To(kstream.Count(again, counts("second")), numbers("totals"))
		kstream.ToEach(kstream.From(b, text("others")), func(r topology.Record[string, string]) string { return r.Value }, text("like"))
	})
	r := reachOf("app", p, []string{"lines"})
	require.ElementsMatch(t, []string{"first", "second"}, r.stores)
	require.ElementsMatch(t, []string{"app-words-repartition", "app-again-repartition"}, r.repartition)
	require.Equal(t, []string{"totals"}, r.outputs)
	require.False(t, r.named)
	require.True(t, reachOf("app", p, []string{"others"}).named)
}

// Where two inputs are written into one store or topic, one of them alone cannot be reset.
func TestReachThatIsMixed(t *testing.T) {
	p := compile(t, func(b *topology.Builder) {
		merged := kstream.Merge(kstream.From(b, text("web")), kstream.From(b, text("shop")))
		ktable.To(kstream.Count(kstream.GroupBy(merged, value, text("words")), counts("sold")), numbers("totals"))
	})
	r := reachOf("app", p, []string{"web"})
	require.Equal(t, []mixture{{"app-words-repartition", []string{"shop"}}, {"sold", []string{"shop"}}}, sorted(r.mixed))
	require.EqualError(t, mixed(sorted(r.mixed)), "app-words-repartition is also fed by shop; sold is also fed by shop, and the reset would lose what that has made: move shop as well, or keep the state")
	require.Empty(t, reachOf("app", p, []string{"web", "shop"}).mixed)

	p = compile(t, func(b *topology.Builder) {
		on := kstream.Joined[string, string, string]{Name: "meet", Key: serde.String, Left: serde.String, Right: serde.String, Window: window.Within(time.Minute)}
		kstream.To(kstream.JoinStream(kstream.From(b, text("web")), kstream.From(b, text("shop")), both, on), text("pairs"))
	})
	require.NotEmpty(t, reachOf("app", p, []string{"web"}).mixed, "a join of streams keeps the records of both for each other")
}

func sorted(all []mixture) []mixture {
	if len(all) == 2 && all[0].name > all[1].name {
		all[0], all[1] = all[1], all[0]
	}
	return all
}
