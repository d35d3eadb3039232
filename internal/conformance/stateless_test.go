package conformance

import (
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/topology"
)

var stateless = theme{
	"filter": {build: func(b *topology.Builder) {
		kstream.To(kstream.Filter(kstream.From(b, nullable("in")), func(_, v *string) bool { return early(v) }), nullable("out"))
	}},
	"filter-not": {build: func(b *topology.Builder) {
		kstream.To(kstream.Filter(kstream.From(b, nullable("in")), func(_, v *string) bool { return !early(v) }), nullable("out"))
	}},
	"map": {build: func(b *topology.Builder) {
		m := kstream.Map(kstream.From(b, nullable("in")), func(k, v *string) (*string, string) { return v, or(k, "null") + "!" })
		kstream.To(m, nullKeyed("out"))
	}},
	"map-values": {build: func(b *topology.Builder) {
		m := kstream.MapValues(kstream.From(b, nullable("in")), func(v *string) string {
			if v == nil {
				return "none"
			}
			return *v + "!"
		})
		kstream.To(m, nullKeyed("out"))
	}},
	"map-values-with-key": {build: func(b *topology.Builder) {
		m := kstream.MapValuesWithKey(kstream.From(b, nullable("in")), func(k, v *string) string { return or(k, "null") + "=" + or(v, "null") })
		kstream.To(m, nullKeyed("out"))
	}},
	"flat-map": {build: func(b *topology.Builder) {
		m := kstream.FlatMap(kstream.From(b, nullable("in")), func(k, v *string, emit func(_, _ *string)) {
			if v == nil {
				return
			}
			emit(k, v)
			if early(v) {
				emit(v, k)
			}
		})
		kstream.To(m, nullable("out"))
	}},
	"flat-map-values": {build: func(b *topology.Builder) {
		m := kstream.FlatMapValues(kstream.From(b, nullable("in")), func(v *string) []string {
			if v == nil {
				return nil
			}
			return []string{*v, *v + *v}
		})
		kstream.To(m, nullKeyed("out"))
	}},
	"select-key": {build: func(b *topology.Builder) {
		kstream.To(kstream.SelectKey(kstream.From(b, nullable("in")), firstOf), nullable("out"))
	}},
	"split": {build: func(b *topology.Builder) {
		null, rest := kstream.Split(kstream.From(b, nullable("in")), func(_, v *string) bool { return v == nil })
		early, rest := kstream.Split(rest, func(_, v *string) bool { return early(v) })
		kstream.To(null, nullable("out-null"))
		kstream.To(early, nullable("out-early"))
		kstream.To(rest, nullable("out-rest"))
	}},
	"split-no-default": {build: func(b *topology.Builder) {
		low, rest := kstream.Split(kstream.From(b, nullable("in")), func(_, v *string) bool { return v != nil && *v < "s" })
		high, _ := kstream.Split(rest, func(_, v *string) bool { return v != nil && *v < "t" })
		kstream.To(low, nullable("out-low"))
		kstream.To(high, nullable("out-high"))
	}},
	"merge": {build: func(b *topology.Builder) {
		kstream.To(kstream.From(b, nullable("in1"), nullable("in2")), nullable("out"))
	}},
	"merge-three": {build: func(b *topology.Builder) {
		one := kstream.MapValues(kstream.From(b, nullable("in1")), func(v *string) *string { return new(or(v, "null") + "1") })
		two := kstream.Filter(kstream.From(b, nullable("in2")), func(_, v *string) bool { return early(v) })
		kstream.To(kstream.Merge(one, two, kstream.From(b, nullable("in3"))), nullable("out"))
	}},
	"fan-out": {build: func(b *topology.Builder) {
		in := kstream.From(b, nullable("in"))
		one := kstream.MapValues(in, func(v *string) string { return or(v, "null") + "1" })
		kstream.To(kstream.FlatMapValues(one, func(v string) []string { return []string{v, v + "f"} }), nullKeyed("out"))
		kstream.To(kstream.MapValues(in, func(v *string) string { return or(v, "null") + "2" }), nullKeyed("out"))
	}},
	"dynamic-topic": {build: func(b *topology.Builder) {
		kstream.ToEach(withKey(b, "in"), func(r topology.Record[*string, *string]) string { return "out-" + *r.Key }, nullable(""))
	}},
	"repartition": {build: func(b *topology.Builder) {
		kstream.To(kstream.KeyBy(kstream.From(b, nullable("in")), firstOf, nullable("by-first")), nullable("out"))
	}},
	"partition-merge-order": {build: partitionMergeOrder},
}

// partitionMergeOrder sends four copies of each record through two topics, at other times
// than their order says.
func partitionMergeOrder(b *topology.Builder) {
	type copied struct{ to, value string }
	copies := []struct {
		to, suffix string
		after      time.Duration
	}{{"x", "x1", 6}, {"x", "x2", 2}, {"y", "y1", 4}, {"y", "y2", 8}}
	all := kstream.ProcessValues(kstream.From(b, nullable("in")), "copy", func(c *topology.Context[*string, copied]) (topology.Processor[*string, *string], error) {
		return func(r topology.Record[*string, *string]) error {
			for _, x := range copies {
				out := topology.Record[*string, copied]{Value: copied{x.to, or(r.Value, "null") + x.suffix}, Time: r.Time.Add(x.after * ms)}
				if err := c.Emit(out); err != nil {
					return err
				}
			}
			return nil
		}, nil
	})
	x, y := kstream.Split(all, func(_ *string, c copied) bool { return c.to == "x" })
	value := func(c copied) string { return c.value }
	throughX := kstream.Repartition(kstream.MapValues(x, value), nullKeyed("x"))
	throughY := kstream.Repartition(kstream.MapValues(y, value), nullKeyed("y"))
	kstream.To(kstream.Merge(throughX, throughY), nullKeyed("out"))
}
