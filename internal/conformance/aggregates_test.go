package conformance

import (
	"strings"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/topology"
)

// aggregates are folds of streams without windows.
var aggregates = theme{
	"count":              {build: count, stores: map[string]rows{"c": of(counts("c"))}},
	"count-out-of-order": {build: count, stores: map[string]rows{"c": of(counts("c"))}},
	"count-versioned": {build: func(b *topology.Builder) {
		c := counts("c")
		c.History = 15 * ms
		longs(kstream.Count(kstream.GroupByKey(kstream.From(b, plain("in"))), c))
	}},
	"count-then-filter": {build: func(b *topology.Builder) {
		c := kstream.Count(kstream.GroupByKey(kstream.From(b, plain("in"))), counts("c"))
		longs(ktable.Filter(c, func(_ string, n int64) bool { return n%2 == 1 }))
	}},
	"reduce": {
		build: func(b *topology.Builder) {
			ktable.To(kstream.Reduce(kstream.GroupByKey(kstream.From(b, plain("in"))), comma, kv("r")), plain("out"))
		},
		stores: map[string]rows{"r": of(kv("r"))},
	},
	"reduce-to-null": {
		build: func(b *topology.Builder) {
			r := kstream.Reduce(kstream.GroupByKey(kstream.From(b, keyed("in"))), func(a, v *string) *string {
				if strings.HasPrefix(*v, "t") {
					return nil
				}
				return new(comma(*a, *v))
			}, kvNull("r"))
			ktable.To(r, keyed("out"))
		},
		stores: map[string]rows{"r": of(kvNull("r"))},
	},
	"reduce-versioned-group": {build: func(b *topology.Builder) {
		r := kstream.Reduce(kstream.GroupByKey(kstream.From(b, keyed("in"))), func(a, v *string) *string {
			if strings.HasPrefix(*v, "s") || strings.HasPrefix(*v, "t") {
				return nil
			}
			return new(*a + *v)
		}, nullVersions("c", 30*ms))
		byLast := ktable.GroupBy(r, func(_ string, v *string) (string, string) { return (*v)[len(*v)-1:], *v }, plain("by-last"))
		ktable.To(ktable.Aggregate(byLast, plusMinus, kv("a")), plain("out"))
	}},
	"aggregate": {
		build: func(b *topology.Builder) {
			a := aggregate.Fold(zeroOrNull, func(a *string, v string) *string {
				if strings.HasPrefix(v, "t") {
					return nil
				}
				return new(*a + v)
			})
			ktable.To(kstream.Aggregate(kstream.GroupByKey(kstream.From(b, plain("in"))), a, kvNull("a")), keyed("out"))
		},
		stores: map[string]rows{"a": of(kvNull("a"))},
	},
	"group-by-count": {
		build: func(b *topology.Builder) {
			g := kstream.GroupBy(kstream.From(b, nullable("in")), firstOf, nullable("by-first"))
			nullLongs(kstream.Count(g, nullCounts("c")))
		},
		stores: map[string]rows{"c": of(nullCounts("c"))},
	},
	"map-group-reduce": {
		build: func(b *topology.Builder) {
			some := kstream.Filter(kstream.From(b, nullable("in")), func(_, v *string) bool { return v != nil })
			m := kstream.Map(some, func(k, v *string) (string, string) { return *first(v), or(k, "null") + *v })
			g := kstream.GroupByKey(kstream.Repartition(m, plain("by-first")))
			ktable.To(kstream.Reduce(g, comma, kv("r")), plain("out"))
		},
		stores: map[string]rows{"r": of(kv("r"))},
	},
	"cogroup": {
		build: func(b *topology.Builder) {
			c := kstream.Cogroup(kv("c"),
				kstream.Folding(kstream.GroupByKey(kstream.From(b, plain("in1"))), aggregate.Fold(zero, func(a, v string) string { return a + "1" + v })),
				kstream.Folding(kstream.GroupByKey(kstream.From(b, plain("in2"))), aggregate.Fold(nil, func(a, v string) string { return a + "2" + v })))
			ktable.To(c, plain("out"))
		},
		stores: map[string]rows{"c": of(kv("c"))},
	},
	"cogroup-three": {build: cogroupThree, stores: map[string]rows{"c": of(kvNull("c"))}},
}

func zero() string { return "0" }

func zeroOrNull() *string { return new("0") }

func count(b *topology.Builder) {
	longs(kstream.Count(kstream.GroupByKey(kstream.From(b, plain("in"))), counts("c")))
}

// cogroupThree folds three streams; one of them deletes, and one has another key.
func cogroupThree(b *topology.Builder) {
	add := func(n string) aggregate.Aggregator[string, *string] {
		return aggregate.Fold(zeroOrNull, func(a *string, v string) *string {
			if n == "2" && strings.HasPrefix(v, "t") {
				return nil
			}
			return new(*a + n + v)
		})
	}
	withKey := kstream.Filter(kstream.From(b, nullable("in3")), func(k, v *string) bool { return k != nil && v != nil })
	byKey := kstream.GroupBy(kstream.MapValues(withKey, func(v *string) string { return *v }), func(k *string, _ string) string { return *k }, plain("by-key"))
	c := kstream.Cogroup(kvNull("c"),
		kstream.Folding(kstream.GroupByKey(kstream.From(b, plain("in1"))), add("1")),
		kstream.Folding(kstream.GroupByKey(kstream.From(b, plain("in2"))), add("2")),
		kstream.Folding(byKey, add("3")))
	ktable.To(c, keyed("out"))
}
