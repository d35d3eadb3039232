package conformance

import (
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// streamJoins are joins of streams.
var streamJoins = theme{
	"stream-stream-inner":          {build: inner(window.Within(10 * ms))},
	"stream-stream-inner-grace":    {build: inner(around(10*ms, 8*ms))},
	"stream-stream-inner-null-key": {build: inner(around(10*ms, 4*ms))},
	"stream-stream-duplicates":     {build: inner(around(3*ms, 5*ms))},
	"stream-stream-asymmetric":     {build: inner(threeToNine)},

	"stream-stream-left":          {build: left(around(10*ms, 8*ms))},
	"stream-stream-left-no-grace": {build: left(window.Within(10 * ms))},
	"stream-stream-left-null-key": {build: left(around(10*ms, 4*ms))},
	"stream-stream-after-only":    {build: left(window.Join{After: 12 * ms})},

	"stream-stream-outer":            {build: outer(around(10*ms, 8*ms))},
	"stream-stream-outer-null-key":   {build: outer(around(10*ms, 4*ms))},
	"stream-stream-outer-duplicates": {build: outer(around(2*ms, 1*ms))},
	"stream-stream-outer-jumps":      {build: outer(around(10*ms, 5*ms))},
	"stream-stream-asymmetric-outer": {build: outer(threeToNine)},
	"stream-stream-outer-negative":   {build: outer(window.Join{Before: 9 * ms, After: -3 * ms, Grace: 4 * ms})},
	"headers-stream-stream":          {build: outer(around(6*ms, 3*ms))},

	"self-join": {build: func(b *topology.Builder) {
		in := kstream.From(b, keyed("in"))
		kstream.To(kstream.JoinStream(in, in, dashed, on(around(6*ms, 4*ms))), keyed("out"))
	}},
	"stream-stream-with-key": {build: func(b *topology.Builder) {
		l, r := sides(b)
		pairs := kstream.JoinStream(l, r, dashed, on(window.Within(10*ms)))
		kstream.To(kstream.MapValuesWithKey(pairs, func(k string, p *string) string { return k + ":" + *p }), plain("out"))
	}},
	"stream-stream-chain": {build: func(b *topology.Builder) {
		pairs := kstream.JoinStream(kstream.From(b, keyed("one")), kstream.From(b, keyed("two")), dashed, on(around(10*ms, 10*ms)))
		again := on(around(6*ms, 10*ms))
		again.Name = "again"
		three := kstream.From(b, keyed("three"))
		kstream.To(kstream.LeftJoinStream(pairs, three, func(p, r *string, _ bool) *string { return dashed(p, r) }, again), keyed("out"))
	}},
	"stream-stream-rekeyed": {build: func(b *topology.Builder) {
		byFirst := func(topic string) kstream.Stream[string, *string] {
			some := kstream.Filter(kstream.From(b, keyed(topic)), func(_ string, v *string) bool { return v != nil })
			return kstream.KeyBy(some, func(_ string, v *string) string { return *first(v) }, keyed(topic+"-by-first"))
		}
		kstream.To(kstream.JoinStream(byFirst("left"), byFirst("right"), dashed, on(around(10*ms, 8*ms))), keyed("out"))
	}},
	"stream-stream-left-rekeyed": {build: leftRekeyed},
}

// threeToNine meets what comes from 3 ms before to 9 ms after.
var threeToNine = window.Join{Before: 3 * ms, After: 9 * ms, Grace: 4 * ms}

// around meets what is no further than d.
func around(d, grace time.Duration) window.Join {
	return window.Join{Before: d, After: d, Grace: grace}
}

func on(w window.Join) kstream.Joined[string, *string, *string] {
	texts := serde.Nullable(serde.String)
	return kstream.Joined[string, *string, *string]{Name: "join", Key: serde.String, Left: texts, Right: texts, Window: w}
}

// sides are the topics left and right. Their null values join nothing, and make time go on.
func sides(b *topology.Builder) (left, right kstream.Stream[string, *string]) {
	return kstream.From(b, keyed("left")), kstream.From(b, keyed("right"))
}

// dashed is dash for values that may be missing, and so nil.
func dashed(l, r *string) *string { return new(or(l, "null") + "-" + or(r, "null")) }

func inner(w window.Join) func(*topology.Builder) {
	return func(b *topology.Builder) {
		l, r := sides(b)
		kstream.To(kstream.JoinStream(l, r, dashed, on(w)), keyed("out"))
	}
}

func left(w window.Join) func(*topology.Builder) {
	return func(b *topology.Builder) {
		l, r := sides(b)
		kstream.To(kstream.LeftJoinStream(l, r, func(l, r *string, _ bool) *string { return dashed(l, r) }, on(w)), keyed("out"))
	}
}

func outer(w window.Join) func(*topology.Builder) {
	return func(b *topology.Builder) {
		l, r := sides(b)
		kstream.To(kstream.OuterJoinStream(l, r, func(l *string, _ bool, r *string, _ bool) *string { return dashed(l, r) }, on(w)), keyed("out"))
	}
}

// leftRekeyed has null keys on the left side, which are kept.
func leftRekeyed(b *topology.Builder) {
	m := kstream.Map(kstream.From(b, nullable("left")), func(_, v *string) (*string, string) { return first(v), or(v, "none") })
	left := kstream.Repartition(m, nullKeyed("left-by-first"))
	right := kstream.Repartition(kstream.SelectKey(kstream.From(b, nullable("right")), firstOf), nullable("right-by-first"))
	on := kstream.Joined[*string, string, *string]{
		Name: "join", Key: serde.Nullable(serde.String), Left: serde.String, Right: serde.Nullable(serde.String), Window: around(8*ms, 4*ms),
	}
	kstream.To(kstream.LeftJoinStream(left, right, func(l string, r *string, _ bool) string { return l + "-" + or(r, "null") }, on), nullKeyed("out"))
}
