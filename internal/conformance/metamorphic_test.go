package conformance

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// tell is specs whose stores rightly tell of how they were computed.
type tell map[string]bool

// ofUpdates tell what was done to get there, not only what there is: a group that has no
// row any more counts zero, unless a cache left out that it ever had one.
var ofUpdates = tell{"session-group": true, "suppress-then-group": true, "windowed-table-group": true}

// ofArrival tell the order in which the records of several topics arrive: in a batch they
// come by their times.
var ofArrival = tell{"cogroup": true, "table-table-aggregate": true}

// ofOrder tell the order of the records of several internal topics, and so what is there at
// a commit.
var ofOrder = tell{"cogroup-three": true, "foreign-key-group": true}

// ofStreamTime tell what was late, or is so old that it is gone; and of that every
// partition has its own.
var ofStreamTime = tell{
	"dedup": true, "dedup-no-refresh": true, "processor-api": true, "window-store": true,
	"tumbling-count": true, "tumbling-reduce": true, "tumbling-grace": true, "tumbling-retention": true,
	"tumbling-final-jumps": true, "tumbling-final-default-retention": true, "hopping-count": true,
	"session-reduce": true, "session-merge": true, "session-store": true,
	"windowed-table-group": true, "suppress-then-group": true,
}

// rightly says whether the spec may end otherwise when it runs this way.
func rightly(spec string, o streamstest.Options) bool {
	return ofUpdates[spec] && o.CacheBytes > 0 ||
		ofArrival[spec] && o.Batch > 1 ||
		ofOrder[spec] ||
		ofStreamTime[spec] && o.Partitions > 1
}

// However the topologies of the vectors run - with a record cache, with few commits, with
// many records at once, in many partitions, with crashes - their stores end as Kafka Streams' do. What is sent on the way differs: a
// cache leaves updates out.
func TestStoresDoNotDependOnHowTheyAreComputed(t *testing.T) {
	ways := map[string]streamstest.Options{
		"few-commits":     {CommitEvery: 7},
		"batches":         {Batch: 10},
		"one-batch":       {Batch: 1 << 20},
		"partitions":      {Partitions: 3},
		"one-commit":      {CommitEvery: 1 << 20},
		"cached":          {CommitEvery: 10, CacheBytes: 1 << 20},
		"cached-a-little": {CommitEvery: 50, CacheBytes: 1000},
	}
	for _, f := range vectors(t) {
		s, ok := specs[f.Spec]
		if !ok || s.remembers || len(s.stores) == 0 {
			continue
		}
		for i, c := range f.Cases {
			if again := corrected[f.Spec]; again != nil {
				c = again(c, false)
			}
			for way, o := range ways {
				if rightly(f.Spec, o) {
					continue
				}
				t.Run(f.Spec+"/"+way, func(t *testing.T) { runOf{f, i, c, s}.runIn(t, o) })
			}
		}
	}
}

// runIn runs the case some way, with crashes, and compares what stores hold at the end.
func (r runOf) runIn(t *testing.T, o streamstest.Options) {
	t.Helper()
	b := topology.NewBuilder()
	r.build(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatalf("topology: %s\nBuild: %v", r.Topology, err)
	}
	d, chance := o.New(t, topo), rand.New(rand.NewPCG(uint64(r.number), 0))
	one := len(r.inputs()) == 1 // else what is processed again comes in another order
	for _, step := range r.Steps {
		step.do(d)
		if one && chance.IntN(10) == 0 {
			d.Restart()
		}
	}
	d.Commit()
	r.compareStores(t, d, valuesOf)
}

// valuesOf leaves out the times of rows. That of a join's row tells also of rows of the
// other side that came and went.
func valuesOf(rows []row) []row {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Time = nil
	}
	return rows
}

// inputs are the topics that records are sent to.
func (r runOf) inputs() map[string]bool {
	topics := map[string]bool{}
	for _, c := range r.Cases {
		for _, s := range c.Steps {
			if s.Topic != "" {
				topics[s.Topic] = true
			}
		}
	}
	return topics
}
