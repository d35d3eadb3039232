package sim

import (
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// program is an application: what it does, what it is given, and what must come of that.
type program struct {
	name    string
	sources []string // topics of others that it reads
	build   func(*topology.Builder)
	feed    func(r *rand.Rand, n int) []input
	check   func(*world) error
	deletes func(n int64) bool // says which records of a key are deletes, on either side; nil: none
}

// input is a record of a source topic.
type input struct {
	at kafka.Partition
	kafka.Record
	after bool // it comes when all before it is processed
}

// partitions is how many every topic has.
const partitions = 2

// begin is when a world begins.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func keyed(topic, key, value string, after time.Duration) input {
	return input{
		at:     kafka.Partition{Topic: topic, Index: graph.Partition([]byte(key), partitions)},
		Record: kafka.Record{Key: []byte(key), Value: []byte(value), Time: begin.Add(after).UnixMilli()},
	}
}

var (
	in  = topology.Topic[string, string]{Name: "in", Key: serde.String, Value: serde.String}
	out = topology.Topic[string, int64]{Name: "out", Key: serde.String, Value: serde.Int64}

	minute = window.Tumbling{Size: time.Minute, Grace: 10 * time.Minute}
	sums   = state.Store[window.Key[string], int64]{Name: "table", Key: window.Keys(serde.String, minute), Value: serde.Int64}

	left   = topology.Topic[string, string]{Name: "left", Key: serde.String, Value: serde.String}
	right  = topology.Topic[string, string]{Name: "right", Key: serde.String, Value: serde.String}
	joined = topology.Topic[string, string]{Name: "out", Key: serde.String, Value: serde.String}
)

var programs = []*program{
	{
		name: "count", sources: []string{"in"},
		build: func(b *topology.Builder) {
			ktable.To(kstream.Count(kstream.GroupByKey(kstream.From(b, in)), state.Store[string, int64]{Name: "table", Key: serde.String, Value: serde.Int64}), out)
		},
		feed: feedKeys,
		check: func(w *world) error {
			return checkTotals(w, "in", func(in kafka.Record) (string, int64) { return string(in.Key), 1 })
		},
	},
	{
		name: "windowed sum", sources: []string{"in"},
		build: func(b *topology.Builder) {
			t := kstream.Aggregate(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, in)), minute), aggregate.Sum(number), sums)
			ktable.To(t, topology.Topic[window.Key[string], int64]{Name: "out", Key: sums.Key, Value: serde.Int64})
		},
		feed: func(r *rand.Rand, n int) []input {
			if r.IntN(2) == 0 {
				return feedKeys(r, n)
			}
			return feedWindows(r, n)
		},
		check: func(w *world) error {
			return checkTotals(w, "in", func(in kafka.Record) (string, int64) {
				start := time.UnixMilli(in.Time).Truncate(time.Minute).UTC()
				key, _ := sums.Key.Append(nil, window.Key[string]{Key: string(in.Key), Start: start, End: start.Add(time.Minute)})
				return string(key), number(string(in.Value))
			})
		},
	},
	{
		name: "count by value", sources: []string{"in"},
		build: func(b *topology.Builder) {
			through := topology.Topic[string, string]{Name: "through", Key: serde.String, Value: serde.String}
			g := kstream.GroupBy(kstream.From(b, in), func(_, v string) string { return v }, through)
			ktable.To(kstream.Count(g, state.Store[string, int64]{Name: "table", Key: serde.String, Value: serde.Int64}), out)
		},
		feed: feedKeys,
		check: func(w *world) error {
			return checkTotals(w, "app-through-repartition", func(r kafka.Record) (string, int64) { return string(r.Value), 1 })
		},
	},
	{
		name: "dedup", sources: []string{"in"},
		build: func(b *topology.Builder) {
			once := dedup.By(kstream.From(b, in), func(_, v string) string { return v }, dedup.Seen[string]{Name: "table", Key: serde.String, Within: 24 * time.Hour})
			kstream.To(once, joined)
		},
		feed: func(r *rand.Rand, n int) (all []input) {
			for i := range n {
				id := strconv.Itoa(r.IntN(n/2 + 1))
				all = append(all, keyed("in", id, id, time.Duration(i)*time.Second))
			}
			return all
		},
		check: checkDedup,
	},
	{
		name: "count of what was let through", sources: []string{"in"},
		build: func(b *topology.Builder) {
			once := dedup.By(kstream.From(b, in), func(_, v string) string { return v }, dedup.Seen[string]{Name: "ids", Key: serde.String, Within: 24 * time.Hour})
			ktable.To(kstream.Count(kstream.GroupByKey(once), state.Store[string, int64]{Name: "table", Key: serde.String, Value: serde.Int64}), out)
		},
		feed: func(r *rand.Rand, n int) (all []input) {
			for i := range n {
				id := r.IntN(n/2 + 1)
				all = append(all, keyed("in", string(rune('a'+id%4)), strconv.Itoa(id), time.Duration(i)*time.Second))
			}
			return all
		},
		check: checkCounted,
	},
	{
		name: "join of tables", sources: []string{"left", "right"},
		build: func(b *topology.Builder) {
			t := ktable.Join(ktable.From(b, left), ktable.From(b, right), func(l, r string) string { return l + "," + r })
			ktable.To(ktable.Materialize(t, state.Store[string, string]{Name: "table", Key: serde.String, Value: serde.String}), joined)
		},
		feed:  feedSides,
		check: checkTables,
	},
	{
		name: "join of a stream and a table", sources: []string{"left", "right"},
		build: func(b *topology.Builder) {
			t := ktable.From(b, right)
			kstream.To(kstream.LeftJoin(kstream.From(b, left), t, func(l, r string, ok bool) string { return l + "," + r }), joined)
		},
		feed:  feedSides,
		check: checkStream,
	},
	joinOfStreams, outerJoinOfStreams, foreignKeyJoin, globalJoin, finalSums, heldSums, sessions, innerJoin,
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// feedKeys gives small numbers to a few keys, in windows that come and go.
func feedKeys(r *rand.Rand, n int) (all []input) {
	at := time.Duration(0)
	for range n {
		at += time.Duration(r.IntN(40)) * time.Second
		if r.IntN(10) == 0 {
			at += 10 * time.Minute
		}
		late := min(at, time.Duration(r.IntN(100))*time.Second)
		all = append(all, keyed("in", string(rune('a'+r.IntN(5))), strconv.Itoa(1+r.IntN(9)), at-late))
	}
	return all
}

// feedWindows fills windows that are over all at once, often before their last results are
// committed.
func feedWindows(r *rand.Rand, n int) (all []input) {
	at, often := time.Duration(0), 4+r.IntN(8)
	for range n {
		at += time.Duration(r.IntN(10)) * time.Second
		if r.IntN(often) == 0 {
			at += time.Duration(10+r.IntN(30)) * time.Minute
		}
		all = append(all, keyed("in", string(rune('a'+r.IntN(2))), strconv.Itoa(1+r.IntN(9)), at))
	}
	return all
}

// feedSides gives records to a few keys on each side, which are numbered then.
func feedSides(r *rand.Rand, n int) (all []input) {
	for i := range n {
		all = append(all, keyed(pick(r, "left", "right"), string(rune('a'+r.IntN(4))), "", time.Duration(i)*time.Second))
	}
	return all
}

// output is what a reader of committed records finds in a topic.
func (w *world) output(topic string) (all []kafka.Record) {
	for i := range int32(partitions) {
		all = append(all, w.kafka.partitions[kafka.Partition{Topic: topic, Index: i}].all()...)
	}
	return all
}

// table is what a changelog says.
func (w *world) table(topic string) map[string][]byte {
	rows := map[string][]byte{}
	for _, r := range w.output(topic) {
		if rows[string(r.Key)] = r.Value; r.Value == nil {
			delete(rows, string(r.Key))
		}
	}
	return rows
}

func fold(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// checkTotals compares totals by group: each of a source's records adds to one. Of exactly
// once they are exact, and so is the way to them; of at least once nothing is missing, and
// nothing was added more often than it was read.
func checkTotals(w *world, source string, of func(kafka.Record) (group string, n int64)) error {
	want, most := map[string][]int64{}, map[string]int64{}
	for _, in := range w.inputs {
		g, n := of(in.Record)
		sum := n
		if was := want[g]; len(was) > 0 {
			sum += was[len(was)-1]
		}
		want[g] = append(want[g], sum)
	}
	for _, p := range w.kafka.order {
		if p.at.Topic == source {
			for _, r := range w.delivered[p.at] {
				g, n := of(r.Record)
				most[g] += n * int64(r.times)
			}
		}
	}
	got := map[string][]int64{}
	for _, r := range w.output("out") {
		got[string(r.Key)] = append(got[string(r.Key)], fold(r.Value))
	}
	for g, steps := range sorted(want) {
		total := steps[len(steps)-1]
		switch sent := got[g]; {
		case len(sent) == 0:
			return fmt.Errorf("%q: no result, and it is %d", g, total)
		case !w.exactlyOnce:
			if last := sent[len(sent)-1]; last < total || last > most[g] {
				return fmt.Errorf("%q: the last result is %d, of %v; it is %d, and what was read is %d", g, last, sent, total, most[g])
			}
		case w.cache == 0 && !slices.Equal(sent, steps), w.cache > 0 && !within(sent, steps):
			return fmt.Errorf("%q: the results are %v, not %v", g, sent, steps)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("results of %d groups, not of %d", len(got), len(want))
	}
	return checkTable(w, got)
}

// within says whether some of the steps were sent, in order, and the last.
func within(sent, steps []int64) bool {
	for i, n := range sent {
		at := slices.Index(steps, n)
		if at < 0 || i == len(sent)-1 && n != steps[len(steps)-1] {
			return false
		}
		steps = steps[at+1:]
		if len(steps) == 0 {
			steps = []int64{n}
			if i < len(sent)-1 {
				return false
			}
		}
	}
	return true
}

// checkTable compares the changelog with the last results. A window may be forgotten, and
// its rows have a longer key.
func checkTable(w *world, got map[string][]int64) error {
	rows := w.table("app-table-changelog")
	for g, sent := range sorted(got) {
		row, ok := rows[g]
		if w.topology.name == "windowed sum" {
			row, ok = rows[g+"\x00\x00\x00\x00"]
			if !ok {
				continue
			}
		}
		if last := sent[len(sent)-1]; !ok || fold(row) != last {
			return fmt.Errorf("%q: the table has %x, not %d", g, row, last)
		}
	}
	return nil
}

func checkDedup(w *world) error {
	want, got := map[string]int{}, map[string]int{}
	for _, in := range w.inputs {
		want[string(in.Value)] = 0
	}
	for _, p := range w.kafka.order {
		if p.at.Topic == "in" {
			for _, r := range w.delivered[p.at] {
				want[string(r.Value)] += r.times
			}
		}
	}
	for _, r := range w.output("out") {
		got[string(r.Value)]++
	}
	for id, read := range sorted(want) {
		if n := got[id]; n == 0 || w.exactlyOnce && n != 1 || n > read {
			return fmt.Errorf("%q came out %d times", id, n)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d ids came out, not %d", len(got), len(want))
	}
	return nil
}

// checkCounted: every id counts, and with exactly once no more than once. Ids are those of
// days at most, so nothing is forgotten.
func checkCounted(w *world) error {
	ids, got := map[string]map[string]bool{}, map[string]int64{}
	for _, in := range w.inputs {
		key := string(in.Key)
		if ids[key] == nil {
			ids[key] = map[string]bool{}
		}
		ids[key][string(in.Value)] = true
	}
	for _, r := range w.output("out") {
		got[string(r.Key)] = fold(r.Value)
	}
	for key, all := range sorted(ids) {
		if n := int64(len(all)); got[key] < n || w.exactlyOnce && got[key] > n {
			return fmt.Errorf("%q: the last result is %d, of %d ids", key, got[key], n)
		}
	}
	return nil
}

// pairs are the results of a join by key.
func pairs(w *world) map[string][][2]int64 {
	all := map[string][][2]int64{}
	for _, r := range w.output("out") {
		l, rt, _ := strings.Cut(string(r.Value), ",")
		all[string(r.Key)] = append(all[string(r.Key)], [2]int64{number(l), number(rt)})
	}
	return all
}

// lasts is how many records of a topic each key has.
func (w *world) lasts(topic string) map[string]int64 {
	n := map[string]int64{}
	for _, in := range w.inputs {
		if in.at.Topic == topic {
			n[string(in.Key)]++
		}
	}
	return n
}

// checkTables: every update of a side gives a result, as long as both sides are there, and
// at the end both are at their last.
func checkTables(w *world) error {
	ls, rs, got := w.lasts("left"), w.lasts("right"), pairs(w)
	rows := w.table("app-table-changelog")
	for key := range sorted(ls) {
		if rs[key] == 0 {
			continue
		}
		sent, end := got[key], [2]int64{ls[key], rs[key]}
		if len(sent) == 0 || sent[len(sent)-1] != end {
			return fmt.Errorf("%q: the results are %v, and must end with %v", key, sent, end)
		}
		if row := string(rows[key]); row != fmt.Sprintf("%d,%d", end[0], end[1]) {
			return fmt.Errorf("%q: the table has %q, not %v", key, row, end)
		}
		if !w.exactlyOnce {
			continue
		}
		if w.cache == 0 && sent[0][0] != 1 && sent[0][1] != 1 {
			return fmt.Errorf("%q: the results %v begin too late", key, sent)
		}
		for i, p := range sent[1:] {
			l, r := p[0]-sent[i][0], p[1]-sent[i][1]
			if l < 0 || r < 0 || l+r == 0 || w.cache == 0 && l+r > 1 {
				return fmt.Errorf("%q: the results %v do not follow from each other", key, sent)
			}
		}
	}
	return nil
}

// checkStream: every record of the stream gives one result, in order, with a row of the
// table that is no older than that of the record before.
func checkStream(w *world) error {
	ls, rs, got := w.lasts("left"), w.lasts("right"), pairs(w)
	for key, n := range sorted(ls) {
		seen := map[int64]bool{}
		for i, p := range got[key] {
			seen[p[0]] = true
			if p[1] > rs[key] || w.exactlyOnce && (p[0] != int64(i+1) || i > 0 && p[1] < got[key][i-1][1]) {
				return fmt.Errorf("%q: the results are %v", key, got[key])
			}
		}
		if int64(len(seen)) != n {
			return fmt.Errorf("%q: the results are %v, of %d", key, got[key], n)
		}
	}
	return nil
}

// sorted ranges over a map in order, so that the same is found first each time.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
