package kstream_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/conformance"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// record is a record of a law: of what goes in, and of what comes out.
type record = conformance.Record

// driver is what runs its topology.
type driver = streamstest.Driver

// check checks laws: after every record, what an operator has is what all records so far
// give when they are taken together.
func check(t *testing.T, laws map[string]conformance.Law) {
	for name, law := range laws {
		t.Run(name, func(t *testing.T) { law.Check(t) })
	}
}

func TestFoldsAgainstAnOracle(t *testing.T) {
	check(t, map[string]conformance.Law{
		"count": {
			Topics: []string{"in"}, Nulls: true, Late: 10,
			Build: func(b *topology.Builder) {
				r := kstream.Count(kstream.GroupByKey(kstream.From(b, topology.Nullable(text("in")))), sums)
				kstream.To(kstream.MapValues(kstream.Updates(r), func(n int64) string { return strings.Repeat("I", int(n)) }), text("out"))
			},
			Got:  func(_ *driver, out []record) []string { return conformance.Last(out) },
			Want: func(in []record) []string { return folded(in, func(_ string, _ record) string { return "I" }) },
		},
		"reduce": {
			Topics: []string{"in"}, Nulls: true, Late: 10,
			Build: func(b *topology.Builder) {
				r := kstream.Reduce(kstream.GroupByKey(kstream.From(b, text("in"))), comma, kept)
				ktable.To(r, text("out"))
			},
			Got: conformance.Table(kept),
			Want: func(in []record) []string {
				return folded(in, func(before string, r record) string {
					if before == "" {
						return *r.Value
					}
					return "," + *r.Value
				})
			},
		},
		"cogroup": {
			Topics: []string{"left", "right"}, Nulls: true, Late: 10,
			Build: func(b *topology.Builder) {
				side := func(topic string) kstream.Input[string, string] {
					return kstream.Folding(kstream.GroupByKey(kstream.From(b, text(topic))), aggregate.Fold(func() string { return "" }, func(a, v string) string { return a + topic[:1] + v }))
				}
				ktable.To(kstream.Cogroup(kept, side("left"), side("right")), text("out"))
			},
			Got: conformance.Table(kept),
			Want: func(in []record) []string {
				return folded(in, func(_ string, r record) string { return r.Topic[:1] + *r.Value })
			},
		},
	})
}

func TestToTableAgainstAnOracle(t *testing.T) {
	past := kept
	past.History = time.Minute
	build := func(in state.Store[string, string]) func(b *topology.Builder) {
		rows := state.Store[string, *string]{Name: in.Name, Key: in.Key, Value: serde.Nullable(in.Value), History: in.History}
		return func(b *topology.Builder) {
			ktable.To(kstream.ToTable(kstream.From(b, topology.Nullable(text("in"))), rows), topology.Nullable(text("out")))
		}
	}
	check(t, map[string]conformance.Law{
		"to table": {
			Topics: []string{"in"}, Nulls: true, Late: 10, Build: build(kept),
			Got:  conformance.Table(kept),
			Want: func(in []record) []string { return conformance.Last(in) },
		},
		"to table, with history": {
			Topics: []string{"in"}, Nulls: true, Late: 30, Build: build(past),
			Got: func(d *driver, _ []record) []string { return conformance.Rows(d, past) },
			Want: func(in []record) []string { // of equal times the last
				in = slices.Clone(in)
				slices.SortStableFunc(in, func(a, b record) int { return cmp.Compare(a.Time, b.Time) })
				return conformance.Last(in)
			},
		},
	})
}

// folded strings together what each record of a key adds, in their order. Null values add
// nothing.
func folded(in []record, add func(before string, r record) string) []string {
	rows := map[string]record{}
	for _, r := range in {
		if r.Value == nil {
			continue
		}
		row := rows[r.Key]
		before := ""
		if row.Value != nil {
			before = *row.Value
		}
		rows[r.Key] = record{Key: r.Key, Value: new(before + add(before, r)), Time: max(row.Time, r.Time)}
	}
	return sorted(rows)
}

// sorted are the rows of a table as text.
func sorted(rows map[string]record) (out []string) {
	for _, r := range rows {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}
