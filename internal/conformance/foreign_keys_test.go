package conformance

import (
	"strings"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/topology"
)

// foreignKeys are joins of tables whose keys differ.
var foreignKeys = theme{
	"foreign-key-inner":     {build: foreignInner(firstLetter)},
	"foreign-key-null":      {build: foreignInner(lowLetter)},
	"foreign-key-left":      {build: foreignLeft(firstLetter)},
	"foreign-key-left-null": {build: foreignLeft(lowLetter)},
	"headers-foreign-key":   {build: foreignLeft(firstLetter)},

	"foreign-key-inner-changes": {
		build: func(b *topology.Builder) {
			l, r := foreignTables(b)
			ktable.To(ktable.Materialize(ktable.JoinForeignKey(l, r, firstLetter, dash, "fk"), kv("j")), plain("out"))
		},
		stores: map[string]rows{"j": of(kv("j")), "l": of(kv("l")), "r": of(kv("r"))},
	},
	"foreign-key-left-changes": {
		build: func(b *topology.Builder) {
			l, r := foreignTables(b)
			ktable.To(ktable.Materialize(ktable.LeftJoinForeignKey(l, r, firstLetter, dashLeft, "fk"), kv("j")), plain("out"))
		},
		stores: map[string]rows{"j": of(kv("j")), "l": of(kv("l")), "r": of(kv("r"))},
	},
	"foreign-key-group": {
		build: func(b *topology.Builder) {
			l, r := foreignTables(b)
			// Who groups a table needs its old rows, and so they are kept.
			j := ktable.Materialize(ktable.JoinForeignKey(l, r, firstLetter, dash, "fk"), kv("joined"))
			byLast := ktable.GroupBy(j, func(_, v string) (string, string) { return v[len(v)-1:], v }, plain("by-last"))
			ktable.To(ktable.Aggregate(byLast, plusMinus, kv("a")), plain("out"))
		},
		stores: map[string]rows{"a": of(kv("a")), "l": of(kv("l")), "r": of(kv("r"))},
	},
	"foreign-key-filtered": {build: func(b *topology.Builder) {
		l := ktable.Materialize(ktable.From(b, plain("left")), kv("l"))
		r := ktable.Materialize(ktable.Filter(ktable.From(b, plain("right")), isEarly), kv("r"))
		ktable.To(ktable.LeftJoinForeignKey(l, r, firstLetter, dashLeft, "fk"), plain("out"))
	}},
	"foreign-key-versioned": {build: func(b *topology.Builder) {
		l := ktable.Materialize(ktable.From(b, plain("left")), versioned("l", 30*ms))
		r := ktable.Materialize(ktable.From(b, plain("right")), versioned("r", 30*ms))
		ktable.To(ktable.JoinForeignKey(l, r, firstLetter, dash, "fk"), plain("out"))
	}},
	"foreign-key-of-key-and-value": {
		build:  foreignKeyAndValue,
		stores: map[string]rows{"l": of(kv("l")), "r": of(kvNull("r")), "t": of(kv("t"))},
	},
}

func firstLetter(_, v string) (string, bool) { return v[:1], true }

// lowLetter has no foreign key for values that begin with s or t.
func lowLetter(_, v string) (string, bool) {
	return v[:1], !strings.HasPrefix(v, "s") && !strings.HasPrefix(v, "t")
}

func foreignTables(b *topology.Builder) (left, right ktable.Table[string, string]) {
	return ktable.Materialize(ktable.From(b, plain("left")), kv("l")), ktable.Materialize(ktable.From(b, plain("right")), kv("r"))
}

func foreignInner(of func(k, v string) (string, bool)) func(*topology.Builder) {
	return func(b *topology.Builder) {
		l, r := foreignTables(b)
		ktable.To(ktable.JoinForeignKey(l, r, of, dash, "fk"), plain("out"))
	}
}

func foreignLeft(of func(k, v string) (string, bool)) func(*topology.Builder) {
	return func(b *topology.Builder) {
		l, r := foreignTables(b)
		ktable.To(ktable.LeftJoinForeignKey(l, r, of, dashLeft, "fk"), plain("out"))
	}
}

func foreignKeyAndValue(b *topology.Builder) {
	l := ktable.Materialize(ktable.From(b, plain("left")), kv("l"))
	t := ktable.Materialize(ktable.From(b, plain("right")), kv("t"))
	renamed := kstream.Map(kstream.Changes(t), func(k string, v *string) (string, *string) { return k + "p", v })
	r := kstream.ToTable(kstream.Repartition(renamed, keyed("renamed")), kvNull("r"))
	of := func(k, v string) (string, bool) { return k + v[:1], true }
	ktable.To(ktable.JoinForeignKey(l, r, of, func(l string, r *string) string { return dash(l, *r) }, "fk"), plain("out"))
}
