package conformance

import (
	"fmt"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
)

var tableJoins = theme{
	"table-table-inner": {build: func(b *topology.Builder) {
		ktable.To(ktable.Join(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dash), plain("out"))
	}},
	"table-table-inner-materialised": {
		build: func(b *topology.Builder) {
			j := ktable.Join(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dash)
			ktable.To(ktable.Materialize(j, kv("j")), plain("out"))
		},
		stores: map[string]rows{"j": of(kv("j"))},
	},
	"table-table-left": {build: func(b *topology.Builder) {
		ktable.To(ktable.LeftJoin(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dashLeft), plain("out"))
	}},
	"table-table-left-materialised": {
		build: func(b *topology.Builder) {
			j := ktable.LeftJoin(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dashLeft)
			ktable.To(ktable.Materialize(j, kv("j")), plain("out"))
		},
		stores: map[string]rows{"j": of(kv("j"))},
	},
	"table-table-outer": {build: func(b *topology.Builder) {
		ktable.To(ktable.OuterJoin(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dashOuter), plain("out"))
	}},
	"table-table-outer-materialised": {
		build: func(b *topology.Builder) {
			j := ktable.OuterJoin(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dashOuter)
			ktable.To(ktable.Materialize(j, kv("j")), plain("out"))
		},
		stores: map[string]rows{"j": of(kv("j"))},
	},
	"table-table-versioned": {build: func(b *topology.Builder) {
		left := ktable.Materialize(ktable.From(b, plain("left")), versioned("l", 30*ms))
		right := ktable.Materialize(ktable.From(b, plain("right")), versioned("r", 30*ms))
		ktable.To(ktable.Join(left, right, dash), plain("out"))
	}},
	"table-table-versioned-outer": {
		build: func(b *topology.Builder) {
			left := ktable.Materialize(ktable.From(b, plain("left")), versioned("l", 30*ms))
			right := ktable.Materialize(ktable.From(b, plain("right")), versioned("r", 30*ms))
			ktable.To(ktable.Materialize(ktable.OuterJoin(left, right, dashOuter), kv("j")), plain("out"))
		},
		stores: map[string]rows{"j": of(kv("j"))},
	},
	"table-table-filtered": {build: func(b *topology.Builder) {
		left := ktable.Filter(ktable.From(b, plain("left")), isEarly)
		right := ktable.MapValues(ktable.From(b, plain("right")), exclaim)
		ktable.To(ktable.OuterJoin(left, right, dashOuter), plain("out"))
	}},
	"table-table-then-filter": {build: func(b *topology.Builder) {
		j := ktable.LeftJoin(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dashLeft)
		ktable.To(ktable.Filter(j, isEarly), plain("out"))
	}},
	"table-filter-materialised-join": {build: func(b *topology.Builder) {
		f := ktable.Materialize(ktable.Filter(ktable.From(b, plain("left")), isEarly), kv("f"))
		ktable.To(ktable.LeftJoin(f, ktable.From(b, plain("right")), dashLeft), plain("out"))
	}},
	"table-join-and-filter": {build: func(b *topology.Builder) {
		l := ktable.From(b, plain("left"))
		ktable.To(ktable.Join(l, ktable.From(b, plain("right")), dash), plain("out"))
		ktable.To(ktable.Filter(l, isEarly), plain("out"))
	}},
	"stream-join-and-filter": {build: func(b *topology.Builder) {
		r := ktable.From(b, plain("right"))
		kstream.To(kstream.LeftJoin(kstream.From(b, plain("left")), ktable.MapValues(r, exclaim), dashLeft), plain("out"))
		ktable.To(ktable.Filter(r, isEarly), plain("out"))
	}},
	"table-versioned-filter-kept": {build: func(b *topology.Builder) {
		t := ktable.Materialize(ktable.From(b, plain("in")), versioned("t", 30*ms))
		f := ktable.Materialize(ktable.Filter(t, isEarly), kv("f"))
		ktable.To(ktable.Aggregate(ktable.GroupBy(f, letter, plain("by-first")), plusMinus, kv("a")), plain("out"))
	}},
	"table-table-chain": {build: func(b *topology.Builder) {
		pairs := ktable.Join(ktable.From(b, plain("one")), ktable.From(b, plain("two")), dash)
		ktable.To(ktable.LeftJoin(pairs, ktable.From(b, plain("three")), dashLeft), plain("out"))
	}},
	"table-table-aggregate": {
		build: func(b *topology.Builder) {
			j := ktable.OuterJoin(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dashOuter)
			longs(ktable.Count(ktable.GroupBy(j, letter, plain("by-first")), counts("c")))
		},
		stores: map[string]rows{"c": of(counts("c"))},
	},
	"windowed-table-join": {build: func(b *topology.Builder) {
		n := kstream.Count(perKey(b, tens), windowed("n", tens, serde.Int64))
		s := kstream.Aggregate(perKey(b, tens), cat, windowed("s", tens, serde.String))
		toWindows(ktable.LeftJoin(n, s, func(n int64, s string, ok bool) string { return fmt.Sprint(n, "-", orNull(s, ok)) }))
	}},
	"aggregate-join": {build: func(b *topology.Builder) {
		n := kstream.Count(kstream.GroupByKey(kstream.From(b, plain("left"))), counts("n"))
		j := ktable.Join(n, ktable.From(b, plain("right")), func(n int64, r string) string { return fmt.Sprint(n, "-", r) })
		ktable.To(j, plain("out"))
	}},
}

// Joiners, which write a missing side as the text null.

func dash(l, r string) string { return l + "-" + r }

func dashLeft(l, r string, ok bool) string { return l + "-" + orNull(r, ok) }

func dashOuter(l string, hasL bool, r string, hasR bool) string {
	return orNull(l, hasL) + "-" + orNull(r, hasR)
}
