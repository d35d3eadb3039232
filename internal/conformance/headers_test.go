package conformance

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// headers show whose headers a result has.
var headers = theme{
	"headers-stateless": {build: func(b *topology.Builder) {
		some := kstream.Filter(kstream.From(b, nullable("in")), func(_, v *string) bool { return v != nil })
		m := kstream.Map(some, func(_, v *string) (string, string) { return *first(v), *v })
		kstream.To(kstream.FlatMapValues(m, func(v string) []string { return []string{v, v + v} }), plain("out"))
	}},
	"headers-repartition": {build: func(b *topology.Builder) {
		kstream.To(kstream.KeyBy(kstream.From(b, nullable("in")), firstOf, nullable("by-first")), nullable("out"))
	}},
	"headers-aggregate": {
		build: func(b *topology.Builder) {
			cat := aggregate.Fold(zero, func(a, v string) string { return a + v })
			ktable.To(kstream.Aggregate(kstream.GroupByKey(kstream.From(b, plain("in"))), cat, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a"))},
	},
	"headers-tumbling": {build: func(b *topology.Builder) { countWindows(b, tens) }},
	"headers-sliding":  {build: func(b *topology.Builder) { countWindows(b, window.Sliding{Size: 6 * ms, Grace: 5 * ms}) }},
	"headers-session":  {build: func(b *topology.Builder) { countWindows(b, window.Session{Gap: 5 * ms, Grace: 5 * ms}) }},
	"headers-final":    {build: func(b *topology.Builder) { countAtClose(b, tensAtClose, forever) }},

	"headers-stream-table": {build: leftJoin},
	"headers-table-table": {build: func(b *topology.Builder) {
		ktable.To(ktable.OuterJoin(ktable.From(b, plain("left")), ktable.From(b, plain("right")), dashOuter), plain("out"))
	}},
	"headers-table-group": {build: func(b *topology.Builder) {
		longs(ktable.Count(ktable.GroupBy(ktable.From(b, plain("in")), letter, plain("by-first")), counts("c")))
	}},
	"headers-process": {build: headersProcess, remembers: true},
}

// headersProcess adds a header, replaces all, and sends records that have none.
func headersProcess(b *topology.Builder) {
	out := kstream.Process(kstream.From(b, nullable("in")), "headers", func(c *topology.Context[*string, *string]) (topology.Processor[*string, *string], error) {
		c.Schedule(10*ms, topology.StreamTime, func(now time.Time) error {
			return c.Emit(topology.Record[*string, *string]{Key: new("tick"), Value: new(fmt.Sprint(now.UnixMilli()))})
		})
		n := 0
		return func(r topology.Record[*string, *string]) error {
			n++
			r.Headers = append(slices.Clip(r.Headers), topology.Header{Key: "n", Value: fmt.Append(nil, n)})
			if err := c.Emit(r); err != nil {
				return err
			}
			r.Headers = []topology.Header{{Key: "only", Value: []byte("x")}}
			return c.Emit(r)
		}, nil
	})
	kstream.To(out, nullable("out"))
}
