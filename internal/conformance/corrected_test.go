package conformance

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recomputed gives, from the steps of a case alone, what should come out of them and what
// stores should hold: as Kafka Streams has it, with its mistake, or without it.
type recomputed func(c testCase, mistake bool) testCase

// corrected are the specs in which Kafka Streams is plainly wrong; testdata/README.md says
// how. What is wanted of them is recomputed.
var corrected = map[string]recomputed{
	"tumbling-final-jumps":             closingOnce(aligned{size: 10}, countOf, 10),
	"tumbling-final-default-retention": closingOnce(aligned{size: 10, grace: 5}, catOf, 15),
	"sliding-final-jumps":              closingOnce(sliding{size: 8, grace: 2}, countOf, 18),
	"count-of-counts":                  countsOfCounts,
	"windowed-table-group":             groupsOfWindows,
	"suppress-then-group":              groupsOfHeld,
}

// retained are specs in which Kafka Streams loses no window, since its stores keep all.
var retained = map[string]recomputed{
	"tumbling-final":                closingOnce(aligned{size: 10, grace: 5}, catOf, math.MaxInt32),
	"tumbling-final-jumps-retained": closingOnce(aligned{size: 10}, countOf, math.MaxInt32),
	"sliding-final":                 closingOnce(sliding{size: 8, grace: 5}, catOf, math.MaxInt32),
}

// What is recomputed with Kafka Streams' mistake is what Kafka Streams answered. So what is
// wanted instead differs in the mistake and in nothing else.
func TestCorrections(t *testing.T) {
	for _, f := range vectors(t) {
		again, wrong := corrected[f.Spec]
		if !wrong {
			again = retained[f.Spec]
		}
		if again == nil {
			continue
		}
		t.Run(f.Spec, func(t *testing.T) {
			differs := false
			for i, c := range f.Cases {
				require.Equal(t, comparable(c), comparable(again(c, true)), "case %d, with the mistake", i)
				differs = differs || fmt.Sprint(comparable(c)) != fmt.Sprint(comparable(again(c, false)))
			}
			require.Equal(t, wrong, differs, "whether there is anything to correct")
		})
	}
}

// The specs that differ on purpose are those that testdata/README.md tells.
func TestCorrectedSpecsAreTold(t *testing.T) {
	text, err := os.ReadFile("testdata/README.md")
	require.NoError(t, err)
	_, told, ok := strings.Cut(string(text), "## Where this module differs on purpose")
	require.True(t, ok)
	told, _, _ = strings.Cut(told, "\n## ")
	known := map[string]bool{}
	for _, f := range read(t, "testdata") {
		known[f.Spec] = true
	}
	var names []string
	for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(told, -1) {
		if known[m[1]] {
			names = append(names, m[1])
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(corrected)), names)
}

// comparable is what comes out of a case, as text, and at last what its stores hold.
func comparable(c testCase) (out []string) {
	for i, s := range c.Steps {
		out = append(out, fmt.Sprint(i, ": ", s, " gives ", s.answers("out")))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Stores)) {
		out = append(out, fmt.Sprint(name, ": ", texts(c.Stores[name])))
	}
	return out
}

// with is a case with other answers, one list a step.
func (c testCase) with(answers [][]answer) testCase {
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		c.Steps[i].Out = answers[i]
	}
	return c
}

// span is a window of a key; its end is left to its kind.
type span struct {
	key   string
	start int64
}

// taken is a record that was not late as a whole.
type taken struct {
	step
	late int64 // windows that close at or before it had closed when the record came
}

// windowing knows which windows there are, and what is in them.
type windowing interface {
	takes(s step) bool                       // whether the operator looks at a record at all
	end(start int64) int64                   // as it is written
	closes(start int64) int64                // the stream time at which a window takes nothing more
	contents(records []taken) map[span][]int // of every window, by the numbers of records
}

// aligned are tumbling windows.
type aligned struct{ size, grace int64 }

func (aligned) takes(s step) bool          { return s.Key != nil }
func (w aligned) end(start int64) int64    { return start + w.size }
func (w aligned) closes(start int64) int64 { return start + w.size + w.grace }
func (w aligned) contents(records []taken) map[span][]int {
	in := map[span][]int{}
	for i, r := range records {
		k := span{*r.Key, r.Time - r.Time%w.size}
		if w.closes(k.start) > r.late {
			in[k] = append(in[k], i)
		}
	}
	return in
}

// sliding are windows that end at a record, or begin just after one. A record that comes so
// late that it is in none of them is as if it had not come.
type sliding struct{ size, grace int64 }

func (sliding) takes(s step) bool          { return s.Key != nil && s.Value != nil }
func (w sliding) end(start int64) int64    { return start + w.size }
func (w sliding) closes(start int64) int64 { return start + w.size + w.grace + 1 } // the end belongs to the window
func (w sliding) contents(records []taken) map[span][]int {
	in := map[span][]int{}
	known := map[int]bool{} // by the windows that they are in
	for i, r := range records {
		if w.closes(r.Time) <= r.late {
			continue
		}
		for _, start := range w.starts(r, records[:i], known) {
			k := span{*r.Key, start}
			if w.closes(start) <= r.late {
				continue
			}
			if in[k] == nil {
				in[k] = w.within(k, records[:i], known)
			}
			if w.has(k, r) {
				in[k] = append(in[k], i)
				known[i] = true
			}
		}
	}
	return in
}

// starts are those of the windows that may hold a record, and of the one after it.
func (w sliding) starts(r taken, before []taken, known map[int]bool) []int64 {
	starts := []int64{max(0, r.Time-w.size), r.Time + 1}
	for i, o := range before {
		for _, start := range []int64{max(0, o.Time-w.size), o.Time + 1} {
			if k := (span{*o.Key, start}); known[i] && w.has(k, r) {
				starts = append(starts, start)
			}
		}
	}
	slices.Sort(starts)
	return slices.Compact(starts)
}

func (w sliding) has(k span, r taken) bool {
	return *r.Key == k.key && r.Time >= k.start && r.Time <= k.start+w.size
}

// within are the records of a window that are known.
func (w sliding) within(k span, records []taken, known map[int]bool) (in []int) {
	for i, r := range records {
		if known[i] && w.has(k, r) {
			in = append(in, i)
		}
	}
	return in
}

// closingOnce sends each window once, when stream time closes it. With the mistake those
// are lost that a store which keeps them for so long has forgotten by then.
func closingOnce(w windowing, fold func([]taken) string, retention int64) recomputed {
	return func(c testCase, mistake bool) testCase {
		var records []taken
		var now int64
		answers, sent := make([][]answer, len(c.Steps)), map[span]bool{}
		for i, s := range c.Steps {
			if !w.takes(s) {
				continue
			}
			now = max(now, s.Time)
			records = append(records, taken{s, now})
			windows := w.contents(records)
			forgotten := int64(math.MinInt64)
			for k, in := range windows {
				if len(in) > 0 {
					forgotten = max(forgotten, k.start-retention)
				}
			}
			for _, k := range slices.SortedFunc(maps.Keys(windows), bySpan) {
				if len(windows[k]) == 0 || w.closes(k.start) > now || sent[k] {
					continue
				}
				sent[k] = true
				if mistake && k.start < forgotten {
					continue
				}
				answers[i] = append(answers[i], final(k, w.end(k.start), windows[k], records, fold))
			}
		}
		return c.with(answers)
	}
}

func bySpan(a, b span) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.key, b.key)) }

// final is the result of a window.
func final(k span, end int64, in []int, records []taken, fold func([]taken) string) answer {
	a := answer{Topic: "out", Key: new(fmt.Sprintf("%s@%d/%d", k.key, k.start, end))}
	var of []taken
	for _, i := range in {
		of = append(of, records[i])
		a.Time = max(a.Time, records[i].Time)
	}
	a.Value = new(fold(of))
	return a
}

func countOf(records []taken) string { return strconv.Itoa(len(records)) }

// catOf strings the values together.
func catOf(records []taken) string {
	out := "0"
	for _, r := range records {
		out += or(r.Value, "null")
	}
	return out
}

// groups are rows of a table, folded by another key.
type groups struct {
	zero        string
	add, remove func(a, v string) string
	rows        map[string]row
}

// member is a row on its way to its group; nil: there is none.
type member struct{ group, value string }

// move takes an old row out of its group and puts a new one into its own, in one step if
// the group is the same.
func (g *groups) move(from, to *member, ms int64) []answer {
	switch {
	case from != nil && to != nil && from.group == to.group:
		return []answer{g.change(from.group, &from.value, &to.value, ms)}
	case from != nil && to != nil:
		return []answer{g.change(from.group, &from.value, nil, ms), g.change(to.group, nil, &to.value, ms)}
	case from != nil:
		return []answer{g.change(from.group, &from.value, nil, ms)}
	case to != nil:
		return []answer{g.change(to.group, nil, &to.value, ms)}
	}
	return nil
}

// change gives a group's new result. From a group that is not there nothing can be taken,
// and its result is that it is not there.
func (g *groups) change(group string, old, now *string, ms int64) answer {
	r, has := g.rows[group]
	if !has && now == nil {
		return answer{Topic: "out", Key: &group, Time: ms}
	}
	if !has {
		r = row{Key: group, Value: g.zero, Time: &ms}
	} else if old != nil {
		r.Value = g.remove(r.Value, *old)
	}
	if now != nil {
		r.Value = g.add(r.Value, *now)
	}
	r.Time = new(max(*r.Time, ms))
	g.rows[group] = r
	return answer{Topic: "out", Key: &group, Value: new(r.Value), Time: *r.Time}
}

func (g *groups) sorted() []row {
	return slices.SortedFunc(maps.Values(g.rows), func(a, b row) int { return cmp.Compare(a.Key, b.Key) })
}

func addition(n int) func(a, _ string) string {
	return func(a, _ string) string {
		was, _ := strconv.Atoi(a)
		return strconv.Itoa(was + n)
	}
}

func plusMinusGroups() *groups {
	return &groups{zero: plusMinus.Init(), add: plusMinus.Add, remove: plusMinus.Remove, rows: map[string]row{}}
}

// counted is a row of a count.
type counted struct{ n, ms int64 }

// next counts one more. With the mistake the first one also takes a zero out of its group.
func (r *counted) next(ms int64, mistake bool, in func(n int64) member) (from, to *member) {
	if r.n > 0 || mistake {
		from = new(in(r.n))
	}
	r.n, r.ms = r.n+1, max(r.ms, ms)
	return from, new(in(r.n))
}

func countsOfCounts(c testCase, mistake bool) testCase {
	g := &groups{zero: "0", add: addition(1), remove: addition(-1), rows: map[string]row{}}
	counts, answers := map[string]*counted{}, make([][]answer, len(c.Steps))
	for i, s := range c.Steps {
		if s.Key == nil || s.Value == nil {
			continue
		}
		r := counts[*s.Key]
		if r == nil {
			r = &counted{}
			counts[*s.Key] = r
		}
		from, to := r.next(s.Time, mistake, func(n int64) member { return member{fmt.Sprint(n % 10), *s.Key} })
		answers[i] = g.move(from, to, r.ms)
	}
	return c.with(answers)
}

func groupsOfWindows(c testCase, mistake bool) testCase {
	g, w := plusMinusGroups(), aligned{size: 10, grace: 5}
	counts, answers := map[span]*counted{}, make([][]answer, len(c.Steps))
	var now int64
	for i, s := range c.Steps {
		if s.Key == nil {
			continue
		}
		now = max(now, s.Time)
		k := span{*s.Key, s.Time - s.Time%w.size}
		if w.closes(k.start) <= now {
			continue
		}
		r := counts[k]
		if r == nil {
			r = &counted{}
			counts[k] = r
		}
		from, to := r.next(s.Time, mistake, func(n int64) member { return member{fmt.Sprint(k.start), fmt.Sprint(k.key, n)} })
		answers[i] = g.move(from, to, r.ms)
	}
	c.Stores = map[string][]row{"a": g.sorted()}
	return c.with(answers)
}

// holdback is an update of a table that is held back, since the first one of its row.
type holdback struct {
	key       string
	since, ms int64
	old, now  *string
}

// groupsOfHeld holds updates back for 8 ms of stream time and groups them by first letters.
// With the mistake an update that is sent takes out the row that was there before it, and
// without it the one that was sent last.
func groupsOfHeld(c testCase, mistake bool) testCase {
	g, answers := plusMinusGroups(), make([][]answer, len(c.Steps))
	rows, sent, held := map[string]*string{}, map[string]*string{}, map[string]holdback{}
	in := func(v *string) *member {
		if v == nil {
			return nil
		}
		return &member{(*v)[:1], *v}
	}
	var now int64
	for i, s := range c.Steps {
		if s.Key == nil {
			continue
		}
		k := *s.Key
		now = max(now, s.Time)
		h := holdback{key: k, since: s.Time, ms: s.Time, old: rows[k], now: s.Value}
		if before, waits := held[k]; waits {
			h.since = before.since
		}
		rows[k], held[k] = s.Value, h
		for _, h := range slices.SortedFunc(maps.Values(held), bySince) {
			if h.since > now-8 {
				break
			}
			old := sent[h.key]
			if mistake {
				old = h.old
			}
			answers[i] = append(answers[i], g.move(in(old), in(h.now), h.ms)...)
			sent[h.key] = h.now
			delete(held, h.key)
		}
	}
	c.Stores = maps.Clone(c.Stores)
	c.Stores["a"] = g.sorted()
	return c.with(answers)
}

func bySince(a, b holdback) int {
	return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.key, b.key))
}
