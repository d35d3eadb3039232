package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// tens are the windows of most topologies.
var tens = window.Tumbling{Size: 10 * ms, Grace: 5 * ms}

// windows are folds in tumbling, hopping, sliding and unlimited windows.
var windows = theme{
	"tumbling": {build: func(b *topology.Builder) { cats(b, window.Tumbling{Size: 10 * ms}) }},
	"tumbling-grace": {
		build:  func(b *topology.Builder) { cats(b, tensLong) },
		stores: map[string]rows{"a": ofWindows(windowed("a", tensLong, serde.String))},
	},
	"tumbling-count": {
		build:  func(b *topology.Builder) { countWindows(b, tens) },
		stores: map[string]rows{"c": ofWindows(windowed("c", tens, serde.Int64))},
	},
	"tumbling-retention": {
		build: func(b *topology.Builder) {
			kept := windowed("c", tens, serde.Int64)
			kept.Retention = 60 * ms
			toWindows(kstream.Count(perKey(b, tens), kept))
		},
		stores: map[string]rows{"c": ofWindows(windowed("c", tens, serde.Int64))},
	},
	"tumbling-reduce": {
		build:  func(b *topology.Builder) { reduceWindows(b, tens) },
		stores: map[string]rows{"r": ofWindows(windowed("r", tens, serde.Nullable(serde.String)))},
	},
	"tumbling-to-null": {build: func(b *topology.Builder) { catsToNull(b, tens) }},
	"tumbling-group-by": {build: func(b *topology.Builder) {
		byLetter := kstream.GroupBy(kstream.From(b, plain("in")), func(_, v string) string { return v[:1] }, plain("by-letter"))
		toWindows(kstream.Count(kstream.WindowedBy(byLetter, tens), windowed("c", tens, serde.Int64)))
	}},
	"max-price": {build: maxPrice},

	"hopping": {build: func(b *topology.Builder) { cats(b, window.Hopping{Size: 10 * ms, Every: 4 * ms, Grace: 6 * ms}) }},
	"hopping-count": {
		build:  func(b *topology.Builder) { countWindows(b, hops) },
		stores: map[string]rows{"c": ofWindows(windowed("c", hops, serde.Int64))},
	},

	"sliding":       {build: func(b *topology.Builder) { cats(b, window.Sliding{Size: 8 * ms, Grace: 10 * ms}) }},
	"sliding-count": {build: func(b *topology.Builder) { countWindows(b, window.Sliding{Size: 8 * ms}) }},
	"sliding-out-of-order": {
		build:  func(b *topology.Builder) { cats(b, slides) },
		stores: map[string]rows{"a": ofWindows(windowed("a", slides, serde.String))},
	},
	"sliding-reduce":  {build: func(b *topology.Builder) { reduceWindows(b, window.Sliding{Size: 5 * ms, Grace: 10 * ms}) }},
	"sliding-to-null": {build: func(b *topology.Builder) { catsToNull(b, window.Sliding{Size: 8 * ms, Grace: 10 * ms}) }},
	"cogroup-sliding": {build: func(b *topology.Builder) { cogroupWindows(b, window.Sliding{Size: 6 * ms, Grace: 8 * ms}) }},

	"cogroup-windowed": {build: func(b *topology.Builder) { cogroupWindows(b, tens) }},
	"unlimited":        {build: func(b *topology.Builder) { countWindows(b, window.Unlimited{Start: time.UnixMilli(10)}) }},
	"unlimited-reduce": {build: func(b *topology.Builder) { reduceWindows(b, window.Unlimited{}) }},

	"windowed-table-filter": {build: func(b *topology.Builder) {
		c := kstream.Count(perKey(b, tens), windowed("c", tens, serde.Int64))
		toWindows(ktable.Filter(c, func(_ window.Key[string], n int64) bool { return n >= 2 }))
	}},
	"windowed-table-map-values": {build: func(b *topology.Builder) {
		c := kstream.Count(perKey(b, tens), windowed("c", tens, serde.Int64))
		toWindows(ktable.MapValuesWithKey(c, func(k window.Key[string], n int64) string { return fmt.Sprint(At(k), "=", n) }))
	}},
	"windowed-two-stage": {build: func(b *topology.Builder) {
		c := kstream.Count(perKey(b, tens), windowed("c", tens, serde.Int64))
		byStart := kstream.GroupBy(kstream.Updates(c), func(k window.Key[string], _ int64) string { return fmt.Sprint(k.Start.UnixMilli()) },
			topology.Topic[string, int64]{Name: "by-start", Key: serde.String, Value: serde.Int64})
		longs(kstream.Reduce(byStart, func(a, n int64) int64 { return a + n }, counts("sum")))
	}},
}

var (
	tensLong = window.Tumbling{Size: 10 * ms, Grace: 15 * ms}
	hops     = window.Hopping{Size: 12 * ms, Every: 5 * ms}
	slides   = window.Sliding{Size: 8 * ms, Grace: 30 * ms}
)

// perKey is the topic in, windowed. Its null values count, but not in sliding windows.
func perKey(b *topology.Builder, w window.Windows) kstream.Grouped[window.Key[string], *string] {
	return kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, keyed("in"))), w)
}

// cat strings values together.
var cat = aggregate.Aggregator[*string, string]{
	Init:  zero,
	Add:   func(a string, v *string) string { return a + or(v, "null") },
	Merge: func(a, b string) string { return a + "|" + b },
}

func cats(b *topology.Builder, w window.Windows) {
	toWindows(kstream.Aggregate(perKey(b, w), cat, windowed("a", w, serde.String)))
}

// catsToNull strings values together, and deletes what it has at a null or a t.
func catsToNull(b *topology.Builder, w window.Windows) {
	f := aggregate.Fold(zeroOrNull, func(a, v *string) *string {
		if v == nil || strings.HasPrefix(*v, "t") {
			return nil
		}
		return new(*a + *v)
	})
	f.Merge = func(a, b *string) *string { return new(*a + "|" + *b) }
	windowsOut(kstream.Aggregate(perKey(b, w), f, windowed("a", w, serde.Nullable(serde.String))))
}

func countWindows(b *topology.Builder, w window.Windows) {
	toWindows(kstream.Count(perKey(b, w), windowed("c", w, serde.Int64)))
}

func reduceWindows(b *topology.Builder, w window.Windows) {
	f := func(a, v *string) *string { return new(comma(or(a, "null"), or(v, "null"))) }
	windowsOut(kstream.Reduce(perKey(b, w), f, windowed("r", w, serde.Nullable(serde.String))))
}

// windowsOut is toWindows for values that have a null.
func windowsOut(t ktable.Table[window.Key[string], *string]) {
	kstream.To(kstream.SelectKey(kstream.Updates(t), func(k window.Key[string], _ *string) string { return At(k) }), keyed("out"))
}

func cogroupWindows(b *topology.Builder, w window.Windows) {
	input := func(n string) kstream.Input[window.Key[string], string] {
		in := kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, keyed("in"+n))), w)
		f := aggregate.Fold(zero, func(a string, v *string) string { return a + n + or(v, "null") })
		f.Merge = cat.Merge
		return kstream.Folding(in, f)
	}
	toWindows(kstream.Cogroup(windowed("c", w, serde.String), input("1"), input("2")))
}

func maxPrice(b *topology.Builder) {
	w := window.Tumbling{Size: 50 * ms, Grace: 10 * ms}
	in := kstream.Filter(kstream.From(b, keyed("in")), func(k string, _ *string) bool { return k != "c" })
	highest := aggregate.Fold(func() string { return "" }, func(a string, v *string) string { return max(a, or(v, "")) })
	toWindows(kstream.Aggregate(kstream.WindowedBy(kstream.GroupByKey(in), w), highest, windowed("max", w, serde.String)))
}
