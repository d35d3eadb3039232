package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// In joins the order of the sides is not that of the inputs: a task takes what it has at
// hand. What is compared here is therefore the same in every order.

// joinOfStreams keeps records for longer than a world lasts: who meets whom is a matter of
// times alone.
var joinOfStreams = &program{
	name: "join of streams", sources: []string{"left", "right"},
	build: func(b *topology.Builder) {
		on := pairing(window.Join{Before: 5 * time.Second, After: 9 * time.Second, Grace: 24 * time.Hour})
		kstream.To(kstream.JoinStream(kstream.From(b, left), kstream.From(b, right), func(l, r string) string { return l + "," + r }, on), joined)
	},
	feed: func(r *rand.Rand, n int) []input {
		all := feedSides(r, n)
		for i := range all { // some are late
			all[i].Time -= min(all[i].Time-begin.UnixMilli(), r.Int64N(10_000))
		}
		return all
	},
	check: func(w *world) error { return checkPairs(w, pairsOf(w, 5*time.Second, 9*time.Second)) },
}

// outerJoinOfStreams also sends who met none, when that is sure: once.
var outerJoinOfStreams = &program{
	name: "outer join of streams", sources: []string{"left", "right"},
	build: func(b *topology.Builder) {
		f := func(l string, _ bool, r string, _ bool) string { return l + "," + r }
		kstream.To(kstream.OuterJoinStream(kstream.From(b, left), kstream.From(b, right), f, pairing(rounds)), joined)
	},
	feed:  feedRounds,
	check: checkOuter,
}

func pairing(w window.Join) kstream.Joined[string, string, string] {
	return kstream.Joined[string, string, string]{Name: "pair", Key: serde.String, Left: serde.String, Right: serde.String, Window: w}
}

// A round is so short that all of its records meet. When the next one begins, their windows
// have closed, and all of them have been processed.
var rounds = window.Join{Before: 10 * time.Minute, After: 10 * time.Minute, Grace: 20 * time.Minute}

const nextRound = 35 * time.Minute

// feedRounds feeds rounds, of which each task sees the beginning.
func feedRounds(r *rand.Rand, n int) (all []input) {
	at := nextRound
	for len(all) < n {
		for i, topic := range slices.Repeat([]string{"left", "right"}, 1+r.IntN(2)) {
			in := keyed(topic, keyOn(int32(i%partitions)), "", at)
			in.after = i == 0
			all = append(all, in)
		}
		for range r.IntN(10) {
			all = append(all, keyed(pick(r, "left", "right"), string(rune('a'+r.IntN(6))), "", at+time.Duration(r.IntN(300))*time.Second))
		}
		at += nextRound
	}
	for i := range int32(partitions) {
		in := keyed("left", keyOn(i), "", at)
		in.after = true
		all = append(all, in)
	}
	return all
}

// keyOn is a key that lies on a partition.
func keyOn(p int32) string {
	for k := 'a'; ; k++ {
		if keyed("", string(k), "", 0).at.Index == p {
			return string(k)
		}
	}
}

// foreignKeyJoin joins a left row with the right one that its number leads to.
var foreignKeyJoin = &program{
	name: "foreign-key join", sources: []string{"left", "right"}, deletes: isDelete,
	build: func(b *topology.Builder) {
		of := func(_, l string) (string, bool) { return foreign(number(l)) }
		t := ktable.LeftJoinForeignKey(ktable.From(b, left), ktable.From(b, right), of, func(l, r string, _ bool) string { return l + "," + r }, "foreign")
		ktable.To(ktable.Materialize(t, state.Store[string, string]{Name: "table", Key: serde.String, Value: serde.String}), joined)
	},
	feed:  feedSides,
	check: checkForeign,
}

// foreign is the foreign key of a left row. There are rows without one, and ones of which
// there is no right row.
func foreign(n int64) (key string, ok bool) { return string(rune('a' + n*3%5)), n%7 != 0 }

// innerJoin joins tables of which rows are deleted: a pair that met goes with either row. When
// records come again they are taken in the order of their times, which was not that in which
// they came.
var innerJoin = &program{
	name: "join of tables with deletes", sources: []string{"left", "right"}, deletes: isSecond,
	build: func(b *topology.Builder) {
		t := ktable.Join(ktable.From(b, left), ktable.From(b, right), func(l, r string) string { return l + "," + r })
		ktable.To(t, joined)
	},
	feed: func(r *rand.Rand, n int) (all []input) { // to many keys, so that some have no more after a crash
		for i := range n {
			late := min(time.Duration(i), time.Duration(r.IntN(10))) * time.Second
			all = append(all, keyed(pick(r, "left", "right"), string(rune('a'+r.IntN(12))), "", time.Duration(i)*time.Second-late))
		}
		return all
	},
	check: checkInner,
}

func isSecond(n int64) bool { return n%2 == 0 }

// globalJoin joins with a table that every instance has, whatever tasks it has.
var globalJoin = &program{
	name: "join with a global table", sources: []string{"left", "right"},
	build: func(b *topology.Builder) {
		t := ktable.GlobalFrom(b, right)
		of := func(_, l string) (string, bool) { return foreign(number(l)) }
		kstream.To(kstream.LeftJoinGlobal(kstream.From(b, left), t, of, func(l, r string, _ bool) string { return l + "," + r }), joined)
	},
	feed:  feedSides,
	check: checkGlobal,
}

// pairsOf are the pairs by key that are close enough: a right record may be so much before
// a left one, or after it.
func pairsOf(w *world, before, after time.Duration) map[string][][2]int64 {
	all := map[string][][2]int64{}
	for _, l := range w.inputs {
		for _, r := range w.inputs {
			if d := time.Duration(r.Time-l.Time) * time.Millisecond; l.at.Topic == "left" && r.at.Topic == "right" && string(l.Key) == string(r.Key) && -before <= d && d <= after {
				all[string(l.Key)] = append(all[string(l.Key)], [2]int64{number(string(l.Value)), number(string(r.Value))})
			}
		}
	}
	return all
}

// checkPairs compares what was joined, by key and in any order.
func checkPairs(w *world, want map[string][][2]int64) error {
	got := pairs(w)
	for key, all := range sorted(got) {
		slices.SortFunc(all, func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
		if !w.exactlyOnce {
			got[key] = slices.Compact(all)
		}
	}
	for key, all := range sorted(want) {
		slices.SortFunc(all, func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
		if !slices.Equal(got[key], all) {
			return fmt.Errorf("%q: the results are %v, not %v", key, got[key], all)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("results of %d keys, not of %d", len(got), len(want))
	}
	return nil
}

// checkOuter: whoever is in no pair was sent alone, if its task has seen a later round. The
// others wait.
func checkOuter(w *world) error {
	want := pairsOf(w, rounds.Before, rounds.After)
	met, last, waiting := map[string]bool{}, map[int32]int64{}, 0
	side := func(topic string, n int64, key string) string { return fmt.Sprint(topic, n, key) }
	for key, all := range want {
		for _, p := range all {
			met[side("left", p[0], key)], met[side("right", p[1], key)] = true, true
		}
	}
	for _, in := range w.inputs {
		last[in.at.Index] = max(last[in.at.Index], in.Time)
	}
	for _, in := range w.inputs {
		key, n := string(in.Key), number(string(in.Value))
		switch closes := in.Time + (rounds.After + rounds.Grace).Milliseconds(); {
		case met[side(in.at.Topic, n, key)]:
		case closes >= last[in.at.Index]:
			waiting++
		case in.at.Topic == "left":
			want[key] = append(want[key], [2]int64{n, 0})
		default:
			want[key] = append(want[key], [2]int64{0, n})
		}
	}
	if err := checkPairs(w, want); err != nil {
		return err
	}
	if rows := w.table("app-pair-unmatched-changelog"); len(rows) != waiting {
		return fmt.Errorf("%d records wait for partners, not %d: %q", len(rows), waiting, slices.Sorted(maps.Keys(rows)))
	}
	return nil
}

// checkForeign compares the table, and what was sent of each row last. With exactly once,
// what was sent on the way follows the versions of the left row, and for each of them those
// of the right one.
func checkForeign(w *world) error {
	ls, rs, rows, got := w.lasts("left"), w.lasts("right"), w.table("app-table-changelog"), map[string][]kafka.Record{}
	for _, r := range w.output("out") {
		got[string(r.Key)] = append(got[string(r.Key)], r)
	}
	for key, n := range sorted(ls) {
		want := ""
		if !isDelete(n) {
			want = fmt.Sprint(n, ",")
			if fk, ok := foreign(n); ok && rs[fk] > 0 && !isDelete(rs[fk]) {
				want += fmt.Sprint(rs[fk])
			}
		}
		sent := got[key]
		if row := string(rows[key]); row != want {
			return fmt.Errorf("%q: the table has %q, not %q", key, row, want)
		}
		if want == "" && len(sent) == 0 {
			continue // it came and went in one commit
		}
		if len(sent) == 0 || string(sent[len(sent)-1].Value) != want {
			return fmt.Errorf("%q: the results are %q, and must end with %q", key, values(sent), want)
		}
		if w.exactlyOnce && !follows(sent) {
			return fmt.Errorf("%q: the results %q do not follow from each other", key, values(sent))
		}
	}
	if len(rows) > len(ls) {
		return fmt.Errorf("the table has %d rows, of %d keys", len(rows), len(ls))
	}
	return nil
}

// checkInner compares what was sent of each key last: the last rows of both sides, or a delete
// if one of them is.
func checkInner(w *world) error {
	ls, rs, got := w.lasts("left"), w.lasts("right"), map[string][]kafka.Record{}
	for _, r := range w.output("out") {
		got[string(r.Key)] = append(got[string(r.Key)], r)
	}
	there := func(n int64) bool { return n > 0 && !w.topology.deletes(n) }
	for key, n := range sorted(ls) {
		want, last := "", ""
		if there(n) && there(rs[key]) {
			want = fmt.Sprint(n, ",", rs[key])
		}
		if sent := got[key]; len(sent) > 0 {
			last = string(sent[len(sent)-1].Value)
		}
		if last != want {
			return fmt.Errorf("%q: the results are %q, and must end with %q", key, values(got[key]), want)
		}
		if w.exactlyOnce && !follows(got[key]) {
			return fmt.Errorf("%q: the results %q do not follow from each other", key, values(got[key]))
		}
	}
	return nil
}

// follows says whether no version of a row comes after a later one.
func follows(sent []kafka.Record) bool {
	var n, m int64
	for _, r := range sent {
		l, rt, _ := strings.Cut(string(r.Value), ",")
		if r.Value == nil {
			continue
		}
		if number(l) < n || number(l) == n && rt != "" && number(rt) < m {
			return false
		}
		if number(l) > n {
			m = 0
		}
		n, m = number(l), max(m, number(rt))
	}
	return true
}

func values(rs []kafka.Record) (vs []string) {
	for _, r := range rs {
		vs = append(vs, string(r.Value))
	}
	return vs
}

// checkGlobal: every record gives one result, in order, with a row that there was. An
// instance has all rows that there are before it begins: records that came after all
// instances had stopped meet no row that is older than that.
func checkGlobal(w *world) error {
	rs, got := w.lasts("right"), pairs(w)
	least, began := map[string]int64{}, map[string]int64{}
	for _, in := range w.inputs[:w.second] {
		if in.at.Topic == "right" {
			least[string(in.Key)]++
		} else {
			began[string(in.Key)]++
		}
	}
	for key, n := range sorted(w.lasts("left")) {
		seen := map[int64]bool{}
		for i, p := range got[key] {
			seen[p[0]] = true
			fk, ok := foreign(p[0])
			switch {
			case w.exactlyOnce && p[0] != int64(i+1), !ok && p[1] != 0, p[1] > rs[fk]:
				return fmt.Errorf("%q: the results are %v", key, got[key])
			case ok && p[0] > began[key] && p[1] < least[fk]:
				return fmt.Errorf("%q: the results are %v, and %v has a row that is older than the instance", key, got[key], p)
			}
		}
		if int64(len(seen)) != n {
			return fmt.Errorf("%q: the results are %v, of %d", key, got[key], n)
		}
	}
	return nil
}
