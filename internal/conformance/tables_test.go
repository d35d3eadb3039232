package conformance

import (
	"fmt"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

var tables = theme{
	"table": {
		build: func(b *topology.Builder) {
			ktable.To(ktable.Materialize(ktable.From(b, plain("in")), kv("t")), plain("out"))
		},
		stores: map[string]rows{"t": of(kv("t"))},
	},
	"table-out-of-order": {
		build: func(b *topology.Builder) {
			ktable.To(ktable.Materialize(ktable.From(b, plain("in")), kv("t")), plain("out"))
		},
		stores: map[string]rows{"t": of(kv("t"))},
	},
	"table-filter": {build: func(b *topology.Builder) {
		ktable.To(ktable.Filter(ktable.From(b, plain("in")), isEarly), plain("out"))
	}},
	"table-filter-not": {build: func(b *topology.Builder) {
		ktable.To(ktable.Filter(ktable.From(b, plain("in")), func(k, v string) bool { return !isEarly(k, v) }), plain("out"))
	}},
	"table-filter-materialised": {
		build: func(b *topology.Builder) {
			ktable.To(ktable.Materialize(ktable.Filter(ktable.From(b, plain("in")), isEarly), kv("f")), plain("out"))
		},
		stores: map[string]rows{"f": of(kv("f"))},
	},
	"table-map-values": {build: func(b *topology.Builder) {
		ktable.To(ktable.MapValues(ktable.From(b, plain("in")), exclaim), plain("out"))
	}},
	"table-map-values-materialised": {
		build: func(b *topology.Builder) {
			ktable.To(ktable.Materialize(ktable.MapValues(ktable.From(b, plain("in")), exclaim), kv("m")), plain("out"))
		},
		stores: map[string]rows{"m": of(kv("m"))},
	},
	"table-map-to-null": {
		build: func(b *topology.Builder) {
			m := ktable.MapValuesWithKey(ktable.From(b, plain("in")), func(k, v string) *string {
				if isEarly(k, v) {
					return nil
				}
				return new(k + v)
			})
			ktable.To(ktable.Materialize(m, kvNull("m")), keyed("out"))
		},
		stores: map[string]rows{"m": of(kvNull("m"))},
	},
	"table-chain": {build: func(b *topology.Builder) {
		small := ktable.Filter(ktable.From(b, plain("in")), func(_, v string) bool { return v < "t" })
		letter := ktable.MapValues(small, func(v string) string { return v[:1] })
		ktable.To(ktable.Filter(letter, func(_, v string) bool { return v != "q" }), plain("out"))
	}},
	"table-transform-values": {build: transformValues, remembers: true, stores: map[string]rows{"m": of(kvNull("m"))}},
	"table-versioned": {
		build: func(b *topology.Builder) {
			ktable.To(ktable.Materialize(ktable.From(b, plain("in")), versioned("t", 30*ms)), plain("out"))
		},
		stores: map[string]rows{"t": of(versioned("t", 30*ms))},
	},
	"table-versioned-filter": {build: func(b *topology.Builder) {
		t := ktable.Materialize(ktable.From(b, plain("in")), versioned("t", 30*ms))
		ktable.To(ktable.Filter(t, isEarly), plain("out"))
	}},
	"table-to-stream-rekeyed": {
		build: func(b *topology.Builder) {
			t := ktable.Materialize(ktable.From(b, plain("in")), kv("t"))
			kstream.To(kstream.SelectKey(kstream.Changes(t), func(_ string, v *string) *string { return first(v) }), nullable("out"))
		},
		stores: map[string]rows{"t": of(kv("t"))},
	},
	"stream-to-table": {
		build: func(b *topology.Builder) {
			ktable.To(kstream.ToTable(kstream.From(b, keyed("in")), kvNull("t")), keyed("out"))
		},
		stores: map[string]rows{"t": of(kvNull("t"))},
	},
	"stream-to-table-rekeyed": {
		build: func(b *topology.Builder) {
			m := kstream.Map(kstream.From(b, nullable("in")), func(k, v *string) (*string, *string) { return first(v), k })
			ktable.To(kstream.ToTable(kstream.Repartition(m, nullable("by-first")), nullRows("t")), nullable("out"))
		},
		stores: map[string]rows{"t": of(nullRows("t"))},
	},
}

func isEarly(_, v string) bool { return v < "r" }

func exclaim(v string) string { return v + "!" }

// nullRows are rows whose keys can be nil, though none is.
func nullRows(name string) state.Store[*string, *string] {
	return state.Store[*string, *string]{Name: name, Key: serde.Nullable(serde.String), Value: serde.Nullable(serde.String)}
}

// transformValues numbers the updates of a table, deletes too.
func transformValues(b *topology.Builder) {
	numbered := kstream.ProcessValues(kstream.Changes(ktable.From(b, plain("in"))), "number", func(c *topology.Context[string, *string]) (topology.Processor[string, *string], error) {
		n := 0
		return func(r topology.Record[string, *string]) error {
			n++
			if r.Value != nil {
				r.Value = new(fmt.Sprint(r.Key, ":", *r.Value, ":", n))
			}
			return c.Emit(r)
		}, nil
	})
	ktable.To(kstream.ToTable(numbered, kvNull("m")), keyed("out"))
}
