package streamstest_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

var seed = flag.Uint64("seed", 1, "first seed of the random inputs")

// However a topology runs - with a record cache, with few commits, in many partitions, with
// many records at once, with restarts in the middle - its tables end the same.
func TestTablesDoNotDependOnHowTheyAreComputed(t *testing.T) {
	runs := map[string]streamstest.Options{
		"cached":          {CacheBytes: 1 << 20, CommitEvery: 10},
		"cached a little": {CacheBytes: 1000, CommitEvery: 50},
		"few commits":     {CommitEvery: 25},
		"partitions":      {Partitions: 3},
		"batches":         {Batch: 10},
		"one batch":       {Batch: 1000},
		"all of it":       {Partitions: 4, CommitEvery: 7, CacheBytes: 2000, Batch: 5},
	}
	for name, build := range metamorphic {
		t.Run(name, func(t *testing.T) {
			for s := *seed; s < *seed+8; s++ {
				want := compute(t, build, streamstest.Options{}, s, false)
				require.NotEmpty(t, want)
				for how, o := range runs {
					require.Equal(t, want, compute(t, build, o, s, false), "seed %d: %s", s, how)
					require.Equal(t, want, compute(t, build, o, s, true), "seed %d: %s, with restarts", s, how)
				}
			}
		})
	}
}

var (
	left  = topology.Topic[string, string]{Name: "left", Key: serde.String, Value: serde.String}
	right = topology.Topic[string, string]{Name: "right", Key: serde.String, Value: serde.String}
	hour  = window.Hopping{Size: 40 * time.Millisecond, Every: 20 * time.Millisecond, Grace: time.Hour}
	slide = window.Sliding{Size: 10 * time.Millisecond, Grace: time.Hour}
	gap   = window.Session{Gap: 15 * time.Millisecond, Grace: time.Hour}
)

// outcome reads a table that is the topology's result.
type outcome func(d *streamstest.Driver) map[string]string

func rows[K, V any](s state.Store[K, V]) outcome {
	return func(d *streamstest.Driver) map[string]string {
		out := map[string]string{}
		for row, err := range streamstest.Rows(d, s).All() {
			if err != nil {
				panic(err)
			}
			out[fmt.Sprint(row.Key)] = fmt.Sprint(row.Value)
		}
		return out
	}
}

func text(name string) state.Store[string, string] {
	return state.Store[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

func counts(name string) state.Store[string, int64] {
	return state.Store[string, int64]{Name: name, Key: serde.String, Value: serde.Int64}
}

func windowed(name string, w window.Windows) state.Store[window.Key[string], int64] {
	return state.Store[window.Key[string], int64]{Name: name, Key: window.Keys(serde.String, w), Value: serde.Int64}
}

func length(v string) int64 { return int64(len(v)) }

var metamorphic = map[string]func(b *topology.Builder) outcome{
	"count": func(b *topology.Builder) outcome {
		kstream.Count(kstream.GroupByKey(kstream.From(b, left)), counts("n"))
		return rows(counts("n"))
	},
	"count of another key": func(b *topology.Builder) outcome {
		g := kstream.GroupBy(kstream.From(b, left), func(_, v string) string { return v[:1] },
			topology.Topic[string, string]{Name: "by-letter", Key: serde.String, Value: serde.String})
		kstream.Count(g, counts("n"))
		return rows(counts("n"))
	},
	"windowed sum": func(b *topology.Builder) outcome {
		g := kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, left)), hour)
		kstream.Aggregate(g, aggregate.Sum(length), windowed("sum", hour))
		return rows(windowed("sum", hour))
	},
	"sessions": func(b *topology.Builder) outcome {
		g := kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, left)), gap)
		kstream.Aggregate(g, aggregate.Sum(length), windowed("sum", gap))
		return rows(windowed("sum", gap))
	},
	"count of counts": func(b *topology.Builder) outcome {
		n := kstream.Count(kstream.GroupByKey(kstream.From(b, left)), counts("n"))
		g := ktable.GroupBy(n, func(_ string, n int64) (string, int64) { return fmt.Sprint(n % 3), n },
			topology.Topic[string, int64]{Name: "by-count", Key: serde.String, Value: serde.Int64})
		ktable.Aggregate(g, aggregate.Sum(func(n int64) int64 { return n }), counts("sums"))
		return rows(counts("sums"))
	},
	"table join": func(b *topology.Builder) outcome {
		l, r := ktable.From(b, left), ktable.From(b, right)
		j := ktable.OuterJoin(l, r, func(v string, _ bool, w string, _ bool) string { return v + "-" + w })
		ktable.Materialize(j, text("joined"))
		return rows(text("joined"))
	},
	"foreign key": func(b *topology.Builder) outcome {
		l, r := ktable.Materialize(ktable.From(b, left), text("l")), ktable.Materialize(ktable.From(b, right), text("r"))
		j := ktable.JoinForeignKey(l, r, func(_, v string) (string, bool) { return v[:1], true },
			func(v, w string) string { return v + "-" + w }, "fk")
		ktable.Materialize(j, text("joined"))
		return rows(text("joined"))
	},
	"reduced": func(b *topology.Builder) outcome {
		kstream.Reduce(kstream.GroupByKey(kstream.From(b, left)), func(a, v string) string { return a + v }, text("all"))
		return rows(text("all"))
	},
	"two streams in one fold": func(b *topology.Builder) outcome {
		n := aggregate.Sum(length)
		kstream.Cogroup(counts("n"), kstream.Folding(kstream.GroupByKey(kstream.From(b, left)), n), kstream.Folding(kstream.GroupByKey(kstream.From(b, right)), n))
		return rows(counts("n"))
	},
	"sliding windows": func(b *topology.Builder) outcome {
		g := kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, left)), slide)
		kstream.Count(g, windowed("n", slide))
		return rows(windowed("n", slide))
	},
	"the last of a key": func(b *topology.Builder) outcome {
		kstream.ToTable(kstream.From(b, left), text("last"))
		return rows(text("last"))
	},
	"the latest of a key": func(b *topology.Builder) outcome {
		past := text("latest")
		past.History = time.Hour
		kstream.ToTable(kstream.From(b, left), past)
		return rows(past)
	},
	"without repeats": func(b *topology.Builder) outcome {
		id := func(k, v string) string { return k + v }
		once := dedup.By(kstream.From(b, left), id, dedup.Seen[string]{Name: "seen", Key: serde.String, Within: time.Hour})
		kstream.Reduce(kstream.GroupByKey(once), func(a, v string) string { return a + v }, text("once"))
		return rows(text("once"))
	},
	"groups of a table": func(b *topology.Builder) outcome {
		g := ktable.GroupBy(ktable.From(b, left), func(k, v string) (string, int64) { return v[:1], length(v + k) },
			topology.Topic[string, int64]{Name: "by-letter", Key: serde.String, Value: serde.Int64})
		n := ktable.Reduce(g, func(a, n int64) int64 { return a + n }, func(a, n int64) int64 { return a - n }, counts("sums"))
		ktable.Materialize(ktable.Filter(n, func(_ string, n int64) bool { return n != 0 }), counts("some")) // a group that is empty stays
		return rows(counts("some"))
	},
	"left foreign key": func(b *topology.Builder) outcome {
		l, r := ktable.Materialize(ktable.From(b, left), text("l")), ktable.Materialize(ktable.From(b, right), text("r"))
		j := ktable.LeftJoinForeignKey(l, r, func(_, v string) (string, bool) { return v[:1], v[1:] != "2" },
			func(v, w string, ok bool) string { return fmt.Sprint(v, "-", w, ok) }, "fk")
		ktable.Materialize(j, text("joined"))
		return rows(text("joined"))
	},
	"pairs of streams": func(b *topology.Builder) outcome {
		pairs := kstream.JoinStream(kstream.From(b, left), kstream.From(b, right), func(v, w string) string { return v + "-" + w },
			kstream.Joined[string, string, string]{Name: "pair", Key: serde.String, Left: serde.String, Right: serde.String,
				Window: window.Join{Before: 20 * time.Millisecond, After: 20 * time.Millisecond, Grace: time.Hour}})
		kstream.Count(kstream.GroupByKey(pairs), counts("pairs"))
		return rows(counts("pairs"))
	},
}

// compute runs a topology over the inputs of a seed and gives its table.
func compute(t *testing.T, build func(*topology.Builder) outcome, o streamstest.Options, seed uint64, restarts bool) map[string]string {
	t.Helper()
	b := topology.NewBuilder()
	read := build(b)
	topo, err := b.Build()
	require.NoError(t, err)
	d := o.New(t, topo)
	r := rand.New(rand.NewPCG(seed, 0))
	chance := rand.New(rand.NewPCG(seed, 1))
	both := reads(topo, right.Name)
	for i := range 120 {
		at := time.UnixMilli(int64(i*2 + r.IntN(30)))
		value := string(rune('a'+r.IntN(4))) + fmt.Sprint(r.IntN(3))
		if key := string(rune('a' + r.IntN(4))); r.IntN(2) == 0 || !both {
			streamstest.Send(d, left, topology.Record[string, string]{Key: key, Value: value, Time: at})
		} else {
			streamstest.Send(d, right, topology.Record[string, string]{Key: key, Value: value, Time: at})
		}
		if restarts && chance.IntN(15) == 0 {
			d.Restart()
		}
	}
	d.Commit()
	return read(d)
}

// reads says whether a topology has a source of the topic.
func reads(topo *topology.Topology, topic string) bool {
	for _, s := range topo.Subtopologies {
		for _, src := range s.Sources {
			if src.Name == topic {
				return true
			}
		}
	}
	return false
}
