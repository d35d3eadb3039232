package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/topology"
)

var streamTableJoins = theme{
	"stream-table-inner": {build: func(b *topology.Builder) {
		kstream.To(kstream.Join(kstream.From(b, plain("left")), ktable.From(b, plain("right")), dash), plain("out"))
	}},
	"stream-table-left": {build: leftJoin},
	"stream-table-left-null-key": {build: func(b *topology.Builder) {
		type pair struct{ left, right string }
		j := kstream.LeftJoin(kstream.From(b, nullKeyed("left")), ktable.From(b, nullKeyed("right")), func(l, r string, ok bool) pair {
			return pair{l, orNull(r, ok)}
		})
		out := kstream.MapValuesWithKey(j, func(k *string, p pair) string { return or(k, "null") + ":" + dash(p.left, p.right) })
		kstream.To(out, nullKeyed("out"))
	}},
	"stream-table-rekeyed": {build: func(b *topology.Builder) {
		byLetter := kstream.KeyBy(kstream.From(b, plain("left")), func(_, v string) string { return v[:1] }, plain("by-letter"))
		kstream.To(kstream.Join(byLetter, ktable.From(b, plain("right")), dash), plain("out"))
	}},
	"stream-table-left-rekeyed": {build: func(b *topology.Builder) {
		m := kstream.Map(kstream.From(b, nullable("left")), func(_, v *string) (*string, string) { return first(v), or(v, "none") })
		left := kstream.Repartition(m, nullKeyed("by-first"))
		kstream.To(kstream.LeftJoin(left, ktable.From(b, nullKeyed("right")), dashLeft), nullKeyed("out"))
	}},
	"stream-table-versioned": {build: func(b *topology.Builder) {
		kstream.To(kstream.Join(kstream.From(b, plain("left")), past(b, 40*ms), dash), plain("out"))
	}},
	"stream-table-versioned-left": {build: func(b *topology.Builder) {
		kstream.To(kstream.LeftJoin(kstream.From(b, plain("left")), past(b, 40*ms), dashLeft), plain("out"))
	}},
	"stream-table-versioned-mapped": {build: func(b *topology.Builder) {
		t := ktable.MapValues(ktable.Filter(past(b, 40*ms), isEarly), exclaim)
		kstream.To(kstream.LeftJoin(kstream.From(b, plain("left")), t, dashLeft), plain("out"))
	}},
	"stream-table-joined-versioned": {build: func(b *topology.Builder) {
		one := ktable.Materialize(ktable.From(b, plain("one")), versioned("l", 30*ms))
		two := ktable.Materialize(ktable.From(b, plain("two")), versioned("r", 30*ms))
		kstream.To(kstream.LeftJoin(kstream.From(b, plain("three")), ktable.Join(one, two, dash), dashLeft), plain("out"))
	}},
	"stream-table-grace": {build: func(b *topology.Builder) {
		kstream.To(kstream.Join(reordered(b), past(b, 60*ms), dash), plain("out"))
	}},
	"stream-table-grace-left": {build: func(b *topology.Builder) {
		kstream.To(kstream.LeftJoin(reordered(b), past(b, 60*ms), dashLeft), plain("out"))
	}},
	"stream-table-grace-jumps": {build: func(b *topology.Builder) {
		kstream.To(kstream.Join(reordered(b), past(b, 200*ms), dash), plain("out"))
	}},
	"stream-global-inner": {build: func(b *topology.Builder) {
		of := func(_, v *string) (string, bool) { return or(first(v), ""), v != nil }
		j := kstream.JoinGlobal(kstream.From(b, nullable("left")), ktable.GlobalFrom(b, plain("right")), of, func(l *string, r string) string { return dash(*l, r) })
		kstream.To(j, nullKeyed("out"))
	}},
	"stream-global-left": {build: func(b *topology.Builder) {
		of := func(_, v *string) (string, bool) { return or(first(v), ""), v != nil && !early(v) }
		j := kstream.LeftJoinGlobal(kstream.From(b, nullable("left")), ktable.GlobalFrom(b, plain("right")), of, func(l *string, r string, ok bool) string { return dashLeft(*l, r, ok) })
		kstream.To(j, nullKeyed("out"))
	}},
	"stream-join-own-count": {build: func(b *topology.Builder) {
		in := kstream.From(b, plain("in"))
		c := kstream.Count(kstream.GroupByKey(in), counts("c"))
		kstream.To(kstream.Join(in, c, func(v string, n int64) string { return fmt.Sprint(v, "#", n) }), plain("out"))
	}},
	"lunch-abroad": {build: lunchAbroad},
}

// past is the table of the topic right, as of a record's time.
func past(b *topology.Builder, history time.Duration) ktable.Table[string, string] {
	return ktable.Materialize(ktable.From(b, plain("right")), versioned("t", history))
}

// reordered is the topic left, in the order of time as far as 10 ms can tell: a join's
// grace period.
func reordered(b *topology.Builder) kstream.Stream[string, string] {
	return kstream.Reorder(kstream.From(b, plain("left")), 10*ms, kv("waiting"))
}

func leftJoin(b *topology.Builder) {
	kstream.To(kstream.LeftJoin(kstream.From(b, plain("left")), ktable.From(b, plain("right")), dashLeft), plain("out"))
}

func lunchAbroad(b *topology.Builder) {
	abroad := kstream.Filter(kstream.From(b, nullable("payments")), func(_, v *string) bool { return v != nil && !strings.HasPrefix(*v, "G") })
	priced := kstream.Map(abroad, func(k, v *string) (string, string) { return (*v)[:1], or(k, "null") + ":" + (*v)[1:] })
	byCurrency := kstream.Repartition(priced, plain("by-currency"))
	kstream.To(kstream.Join(byCurrency, ktable.From(b, plain("rates")), func(p, r string) string { return p + "*" + r }), plain("out"))
}
