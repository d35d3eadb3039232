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
	"headers-stream-stream":          {build: outer(around(6*ms, 3*ms))},

	"self-join": {build: func(b *topology.Builder) {
		in := kstream.From(b, plain("in"))
		kstream.To(kstream.JoinStream(in, in, dash, on(around(6*ms, 4*ms))), plain("out"))
	}},
	"stream-stream-with-key": {build: func(b *topology.Builder) {
		type pair struct{ left, right string }
		pairs := kstream.JoinStream(kstream.From(b, plain("left")), kstream.From(b, plain("right")), func(l, r string) pair { return pair{l, r} }, on(window.Within(10*ms)))
		kstream.To(kstream.MapValuesWithKey(pairs, func(k string, p pair) string { return k + ":" + dash(p.left, p.right) }), plain("out"))
	}},
	"stream-stream-chain": {build: func(b *topology.Builder) {
		pairs := kstream.JoinStream(kstream.From(b, plain("one")), kstream.From(b, plain("two")), dash, on(around(10*ms, 10*ms)))
		again := on(around(6*ms, 10*ms))
		again.Name = "again"
		kstream.To(kstream.LeftJoinStream(pairs, kstream.From(b, plain("three")), dashLeft, again), plain("out"))
	}},
	"stream-stream-rekeyed": {build: func(b *topology.Builder) {
		byLetter := func(topic string) kstream.Stream[string, string] {
			return kstream.KeyBy(kstream.From(b, plain(topic)), func(_, v string) string { return v[:1] }, plain(topic+"-by-letter"))
		}
		kstream.To(kstream.JoinStream(byLetter("left"), byLetter("right"), dash, on(around(10*ms, 8*ms))), plain("out"))
	}},
	"stream-stream-left-rekeyed": {build: leftRekeyed},
}

// threeToNine meets what comes from 3 ms before to 9 ms after.
var threeToNine = window.Join{Before: 3 * ms, After: 9 * ms, Grace: 4 * ms}

// around meets what is no further than d.
func around(d, grace time.Duration) window.Join {
	return window.Join{Before: d, After: d, Grace: grace}
}

func on(w window.Join) kstream.Joined[string, string, string] {
	return kstream.Joined[string, string, string]{Name: "join", Key: serde.String, Left: serde.String, Right: serde.String, Window: w}
}

func inner(w window.Join) func(*topology.Builder) {
	return func(b *topology.Builder) {
		kstream.To(kstream.JoinStream(kstream.From(b, plain("left")), kstream.From(b, plain("right")), dash, on(w)), plain("out"))
	}
}

func left(w window.Join) func(*topology.Builder) {
	return func(b *topology.Builder) {
		kstream.To(kstream.LeftJoinStream(kstream.From(b, plain("left")), kstream.From(b, plain("right")), dashLeft, on(w)), plain("out"))
	}
}

func outer(w window.Join) func(*topology.Builder) {
	return func(b *topology.Builder) {
		kstream.To(kstream.OuterJoinStream(kstream.From(b, plain("left")), kstream.From(b, plain("right")), dashOuter, on(w)), plain("out"))
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
