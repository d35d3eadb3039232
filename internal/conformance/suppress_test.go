package conformance

import (
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// suppressed are tables whose updates are held back.
var suppressed = theme{
	"suppress-time-limit":  {build: suppressCount(15*ms, ktable.Buffer{})},
	"suppress-zero-limit":  {build: suppressCount(0, ktable.Buffer{})},
	"suppress-max-records": {build: suppressCount(1000*ms, ktable.Buffer{MaxRecords: 2})},

	"suppress-window-close":  {build: suppressUntilClose(tens)},
	"headers-suppress":       {build: suppressUntilClose(tens)},
	"suppress-jumps":         {build: suppressUntilClose(window.Tumbling{Size: 10 * ms})},
	"suppress-session-close": {build: suppressUntilClose(window.Session{Gap: 6 * ms, Grace: 4 * ms})},
	"suppress-hopping-close": {build: func(b *topology.Builder) {
		w := window.Hopping{Size: 10 * ms, Every: 4 * ms}
		a := kstream.Aggregate(perKey(b, w), cat, windowed("a", w, serde.String))
		toWindows(ktable.SuppressUntilClose(a, ktable.Buffer{}, windowed("held", w, serde.String)))
	}},
	"suppress-sliding-close": {build: suppressUntilClose(window.Sliding{Size: 8 * ms, Grace: 5 * ms})},
	"suppress-join": {build: func(b *topology.Builder) {
		l, r := foreignTables(b)
		ktable.To(ktable.Join(ktable.Suppress(l, 9*ms, ktable.Buffer{}, kv("held")), r, dash), plain("out"))
	}},
	"suppress-close-tombstone": {build: func(b *topology.Builder) {
		texts := serde.Nullable(serde.String)
		f := aggregate.Fold(zeroOrNull, func(a, v *string) *string {
			if v == nil || strings.HasPrefix(*v, "s") || strings.HasPrefix(*v, "t") {
				return nil
			}
			return new(*a + *v)
		})
		a := kstream.Aggregate(perKey(b, tens), f, windowed("a", tens, texts))
		windowsOut(ktable.SuppressUntilClose(a, ktable.Buffer{}, windowed("held", tens, texts)))
	}},
	"suppress-windowed-time-limit": {build: func(b *topology.Builder) {
		w := window.Tumbling{Size: 10 * ms, Grace: 20 * ms}
		c := kstream.Count(perKey(b, w), windowed("c", w, serde.Int64))
		toWindows(ktable.Suppress(c, 8*ms, ktable.Buffer{}, windowed("held", w, serde.Int64)))
	}},

	"suppress-table": {
		build: func(b *topology.Builder) {
			t := ktable.Materialize(ktable.From(b, plain("in")), kv("t"))
			ktable.To(ktable.Suppress(t, 12*ms, ktable.Buffer{}, kv("held")), plain("out"))
		},
		stores: map[string]rows{"t": of(kv("t"))},
	},
	"suppress-filtered-table": {
		build: func(b *topology.Builder) {
			f := ktable.Filter(ktable.Materialize(ktable.From(b, plain("in")), kv("t")), isEarly)
			ktable.To(ktable.Suppress(f, 6*ms, ktable.Buffer{}, kv("held")), plain("out"))
		},
		stores: map[string]rows{"t": of(kv("t"))},
	},
	"suppress-then-group": {
		build: func(b *topology.Builder) {
			held := ktable.Suppress(ktable.Materialize(ktable.From(b, plain("in")), kv("t")), 8*ms, ktable.Buffer{}, kv("held"))
			ktable.To(ktable.Aggregate(ktable.GroupBy(held, letter, plain("by-first")), plusMinus, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a")), "t": of(kv("t"))},
	},
}

func suppressCount(d time.Duration, buffer ktable.Buffer) func(*topology.Builder) {
	return func(b *topology.Builder) {
		c := kstream.Count(kstream.GroupByKey(kstream.From(b, plain("in"))), counts("c"))
		longs(ktable.Suppress(c, d, buffer, counts("held")))
	}
}

func suppressUntilClose(w window.Windows) func(*topology.Builder) {
	return func(b *topology.Builder) {
		c := kstream.Count(perKey(b, w), windowed("c", w, serde.Int64))
		toWindows(ktable.SuppressUntilClose(c, ktable.Buffer{}, windowed("held", w, serde.Int64)))
	}
}
