package conformance

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// tableGroups are folds of tables.
var tableGroups = theme{
	"table-group-count": {
		build: func(b *topology.Builder) {
			longs(ktable.Count(ktable.GroupBy(ktable.From(b, plain("in")), letter, plain("by-first")), counts("c")))
		},
		stores: map[string]rows{"c": of(counts("c"))},
	},
	"table-group-aggregate": {
		build: func(b *topology.Builder) {
			ktable.To(ktable.Aggregate(ktable.GroupBy(ktable.From(b, plain("in")), letter, plain("by-first")), plusMinus, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a"))},
	},
	"table-group-same-key": {
		build: func(b *topology.Builder) {
			g := ktable.GroupBy(ktable.From(b, plain("in")), func(k, v string) (string, string) { return k, v }, plain("by-key"))
			ktable.To(ktable.Aggregate(g, plusMinus, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a"))},
	},
	"table-group-reduce": {
		build: func(b *topology.Builder) {
			g := ktable.GroupBy(ktable.From(b, plain("in")), func(k, v string) (string, string) { return v[:1], k + v }, plain("by-first"))
			ktable.To(ktable.Reduce(g, plusMinus.Add, plusMinus.Remove, kv("r")), plain("out"))
		},
		stores: map[string]rows{"r": of(kv("r"))},
	},
	"table-group-null-key": {build: groupNullKey, stores: map[string]rows{"c": of(nullCounts("c"))}},
	"table-group-to-null":  {build: groupToNull, stores: map[string]rows{"a": of(kvNull("a"))}},
	"table-filter-group": {
		build: func(b *topology.Builder) {
			f := ktable.Filter(ktable.From(b, plain("in")), isEarly)
			ktable.To(ktable.Aggregate(ktable.GroupBy(f, letter, plain("by-first")), plusMinus, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a"))},
	},
	"table-versioned-group-count": {build: func(b *topology.Builder) {
		t := ktable.Materialize(ktable.From(b, plain("in")), versioned("t", 30*ms))
		longs(ktable.Count(ktable.GroupBy(t, letter, plain("by-first")), counts("c")))
	}},
	"table-versioned-group-aggregate": {
		build: func(b *topology.Builder) {
			t := ktable.Materialize(ktable.From(b, plain("in")), versioned("t", 30*ms))
			ktable.To(ktable.Aggregate(ktable.GroupBy(t, letter, plain("by-first")), plusMinus, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a"))},
	},
	"table-group-versioned": {build: func(b *topology.Builder) {
		unless := func(end, sign string) func(a *string, v string) *string {
			return func(a *string, v string) *string {
				if strings.HasSuffix(v, end) {
					return nil
				}
				return new(*a + sign + v)
			}
		}
		f := aggregate.Aggregator[string, *string]{Init: zeroOrNull, Add: unless("3", "+"), Remove: unless("7", "-")}
		ktable.To(ktable.Aggregate(ktable.GroupBy(ktable.From(b, plain("in")), letter, plain("by-first")), f, nullVersions("c", 15*ms)), keyed("out"))
	}},
	"count-of-counts": {build: func(b *topology.Builder) {
		c := kstream.Count(kstream.GroupByKey(kstream.From(b, plain("in"))), counts("c"))
		byDigit := ktable.GroupBy(c, func(k string, n int64) (string, string) { return strconv.FormatInt(n%10, 10), k }, plain("by-digit"))
		longs(ktable.Count(byDigit, counts("cc")))
	}},
	"windowed-table-group": {
		build: func(b *topology.Builder) {
			c := kstream.Count(perKey(b, tens), windowed("c", tens, serde.Int64))
			byStart := ktable.GroupBy(c, func(k window.Key[string], n int64) (string, string) {
				return fmt.Sprint(k.Start.UnixMilli()), fmt.Sprint(k.Key, n)
			}, plain("by-start"))
			ktable.To(ktable.Aggregate(byStart, plusMinus, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a"))},
	},
	"session-group": {
		build: func(b *topology.Builder) {
			w := window.Session{Gap: 5 * ms, Grace: 20 * ms}
			c := kstream.Count(perKey(b, w), windowed("c", w, serde.Int64))
			byKey := ktable.GroupBy(c, func(k window.Key[string], n int64) (string, string) { return k.Key, fmt.Sprint(At(k), "=", n) }, plain("by-key"))
			ktable.To(ktable.Aggregate(byKey, plusMinus, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a"))},
	},
}

func letter(_, v string) (string, string) { return v[:1], v }

// plusMinus shows what is added and what is taken out.
var plusMinus = aggregate.Aggregator[string, string]{
	Init:   func() string { return "0" },
	Add:    func(a, v string) string { return a + "+" + v },
	Remove: func(a, v string) string { return a + "-" + v },
}

func nullCounts(name string) state.Store[*string, int64] {
	return state.Store[*string, int64]{Name: name, Key: serde.Nullable(serde.String), Value: serde.Int64}
}

// nullLongs is longs for keys that can be nil.
func nullLongs(t ktable.Table[*string, int64]) {
	kstream.To(kstream.MapValues(kstream.Updates(t), func(n int64) string { return fmt.Sprint(n) }), nullKeyed("out"))
}

func groupNullKey(b *topology.Builder) {
	g := ktable.GroupBy(ktable.From(b, plain("in")), func(k, v string) (*string, string) {
		if isEarly(k, v) {
			return nil, v
		}
		return &k, v
	}, nullKeyed("by-key"))
	nullLongs(ktable.Count(g, nullCounts("c")))
}

// groupToNull lists the keys of each group.
func groupToNull(b *topology.Builder) {
	g := ktable.GroupBy(ktable.From(b, plain("in")), func(k, v string) (string, string) { return v[:1], k }, plain("by-first"))
	keys := aggregate.Aggregator[string, *string]{
		Init: func() *string { return new("") },
		Add:  func(a *string, v string) *string { return new(*a + v) },
		Remove: func(a *string, v string) *string {
			if rest := strings.Replace(*a, v, "", 1); rest != "" {
				return &rest
			}
			return nil
		},
	}
	ktable.To(ktable.Aggregate(g, keys, kvNull("a")), keyed("out"))
}
