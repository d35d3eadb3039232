package conformance

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// tellTale are specs whose folds tell not only what there is, but also what was done to get
// there, and in which order: a group that has no row any more counts zero, unless a cache
// left out that it ever had one.
var tellTale = map[string]bool{
	"session-group": true, "suppress-then-group": true, "windowed-table-group": true, "table-filter-group": true,
	"table-group-aggregate": true, "table-group-count": true, "table-group-null-key": true, "table-group-reduce": true,
	"table-group-same-key": true, "table-group-to-null": true, "table-table-aggregate": true,
}

// ofSeveralTopics are specs whose folds tell the order of the records of several internal
// topics, where they come by their times, and so by what is there at a commit.
var ofSeveralTopics = map[string]bool{"cogroup-three": true, "foreign-key-group": true}

// However the topologies of the vectors run - with a record cache, with few commits, with
// crashes - their stores end as Kafka Streams' do. What is sent on the way differs: a
// cache leaves updates out.
func TestStoresDoNotDependOnHowTheyAreComputed(t *testing.T) {
	ways := map[string]streamstest.Options{
		"few-commits":     {CommitEvery: 7},
		"one-commit":      {CommitEvery: 1 << 20},
		"cached":          {CommitEvery: 10, CacheBytes: 1 << 20},
		"cached-a-little": {CommitEvery: 50, CacheBytes: 1000},
	}
	for _, f := range vectors(t) {
		s, ok := specs[f.Spec]
		if !ok || s.remembers || len(s.stores) == 0 || ofSeveralTopics[f.Spec] {
			continue
		}
		for i, c := range f.Cases {
			if again := corrected[f.Spec]; again != nil {
				c = again(c, false)
			}
			for way, o := range ways {
				if tellTale[f.Spec] && o.CacheBytes > 0 {
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
