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

func leftJoin(b *topology.Builder) {
	kstream.To(kstream.LeftJoin(kstream.From(b, plain("left")), ktable.From(b, plain("right")), dashLeft), plain("out"))
}

func lunchAbroad(b *topology.Builder) {
	abroad := kstream.Filter(kstream.From(b, nullable("payments")), func(_, v *string) bool { return v != nil && !strings.HasPrefix(*v, "G") })
	priced := kstream.Map(abroad, func(k, v *string) (string, string) { return (*v)[:1], or(k, "null") + ":" + (*v)[1:] })
	byCurrency := kstream.Repartition(priced, plain("by-currency"))
	kstream.To(kstream.Join(byCurrency, ktable.From(b, plain("rates")), func(p, r string) string { return p + "*" + r }), plain("out"))
}
