package dedup_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/internal/conformance"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// A record passes unless one of its id passed within so much time, before or after it. It
// is known of all that are not later than that.
func TestByAgainstAnOracle(t *testing.T) {
	const within = 2 // few, so that records lie at its ends
	conformance.Law{
		Topics: []string{"in"}, Late: within,
		Build: func(b *topology.Builder) {
			seen := dedup.Seen[string]{Name: "seen", Key: serde.String, Within: within * time.Millisecond}
			kstream.To(dedup.By(kstream.From(b, text("in")), func(_, v string) string { return v[:1] }, seen), text("out"))
		},
		Got: func(_ *streamstest.Driver, out []conformance.Record) []string { return texts(out) },
		Want: func(in []conformance.Record) []string {
			var passed []conformance.Record
			for _, r := range in {
				same := func(p conformance.Record) bool {
					return (*p.Value)[:1] == (*r.Value)[:1] && p.Time >= r.Time-within && p.Time <= r.Time+within
				}
				if !slices.ContainsFunc(passed, same) {
					passed = append(passed, r)
				}
			}
			return texts(passed)
		},
	}.Check(t)
}

func texts(records []conformance.Record) (out []string) {
	for _, r := range records {
		out = append(out, r.String())
	}
	return out
}
