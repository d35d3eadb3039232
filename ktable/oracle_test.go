package ktable_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/conformance"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// record is a record of a law: of what goes in, and of what comes out.
type record = conformance.Record

// check checks laws: after every record, a table is what all records so far give when
// they are taken together.
func check(t *testing.T, laws map[string]conformance.Law) {
	for name, law := range laws {
		t.Run(name, func(t *testing.T) { law.Check(t) })
	}
}

func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

func rowsIn(name string) state.Store[string, string] {
	return state.Store[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// table is a table as it should be: its values by key.
type table map[string]string

// rows are those of a topic, the newest record of each key.
func rows(in []record, topic string) table {
	t := table{}
	for _, r := range in {
		switch {
		case r.Topic != topic:
		case r.Value == nil:
			delete(t, r.Key)
		default:
			t[r.Key] = *r.Value
		}
	}
	return t
}

// text is key=value of every row, in order.
func (t table) text() (rows []string) {
	for _, k := range slices.Sorted(maps.Keys(t)) {
		rows = append(rows, k+"="+t[k])
	}
	return rows
}

// sent is the table that who reads the topic out has.
func sent(_ *streamstest.Driver, out []record) []string { return rows(out, "out").text() }

// law is that of a table which is sent to the topic out.
func law(build func(*topology.Builder) ktable.Table[string, string], want func(in []record) table, topics ...string) conformance.Law {
	return conformance.Law{
		Topics: topics, Nulls: true, Late: 10, Got: sent,
		Build: func(b *topology.Builder) { ktable.To(build(b), text("out")) },
		Want:  func(in []record) []string { return want(in).text() },
	}
}

func TestJoinsAgainstAnOracle(t *testing.T) {
	from := func(b *topology.Builder) (l, r ktable.Table[string, string]) {
		return ktable.From(b, text("left")), ktable.From(b, text("right"))
	}
	kept := func(b *topology.Builder) (l, r ktable.Table[string, string]) {
		l, r = from(b)
		return ktable.Materialize(l, rowsIn("left")), ktable.Materialize(r, rowsIn("right"))
	}
	pair := func(v, w string) string { return v + "-" + w }
	left := func(v, w string, ok bool) string { return pair(v, or(w, ok)) }
	outer := func(v string, hasV bool, w string, hasW bool) string { return pair(or(v, hasV), or(w, hasW)) }
	letter := func(_, v string) (string, bool) { return v[:1], v[1:] != "2" }

	check(t, map[string]conformance.Law{
		"join": law(func(b *topology.Builder) ktable.Table[string, string] {
			l, r := from(b)
			return ktable.Join(l, r, pair)
		}, joined(false, false), "left", "right"),
		"left join": law(func(b *topology.Builder) ktable.Table[string, string] {
			l, r := from(b)
			return ktable.LeftJoin(l, r, left)
		}, joined(true, false), "left", "right"),
		"outer join": law(func(b *topology.Builder) ktable.Table[string, string] {
			l, r := from(b)
			return ktable.OuterJoin(l, r, outer)
		}, joined(true, true), "left", "right"),
		"join by foreign key": law(func(b *topology.Builder) ktable.Table[string, string] {
			l, r := kept(b)
			return ktable.JoinForeignKey(l, r, letter, pair, "by-letter")
		}, named(letter, false), "left", "right"),
		"left join by foreign key": law(func(b *topology.Builder) ktable.Table[string, string] {
			l, r := kept(b)
			return ktable.LeftJoinForeignKey(l, r, letter, left, "by-letter")
		}, named(letter, true), "left", "right"),
	})
}

func or(v string, ok bool) string {
	if !ok {
		return "none"
	}
	return v
}

// joined pairs the rows of one key, and those that are alone on a side that keeps them.
func joined(left, right bool) func(in []record) table {
	return func(in []record) table {
		l, r, t := rows(in, "left"), rows(in, "right"), table{}
		for _, k := range []string{"a", "b", "c"} {
			v, hasV := l[k]
			w, hasW := r[k]
			if hasV && hasW || hasV && left || hasW && right {
				t[k] = or(v, hasV) + "-" + or(w, hasW)
			}
		}
		return t
	}
}

// named pairs the rows of the left side with those that they name.
func named(of func(k, v string) (string, bool), left bool) func(in []record) table {
	return func(in []record) table {
		r, t := rows(in, "right"), table{}
		for k, v := range rows(in, "left") {
			name, ok := of(k, v)
			w, hasW := r[name]
			if hasW = hasW && ok; hasW || left {
				t[k] = v + "-" + or(w, hasW)
			}
		}
		return t
	}
}

func TestGroupsAgainstAnOracle(t *testing.T) {
	letters := func(b *topology.Builder) ktable.Grouped[string, string] {
		return ktable.GroupBy(ktable.From(b, text("in")), func(_, v string) (string, string) { return v[:1], v }, text("by-letter"))
	}
	number := func(v string) int64 { n, _ := strconv.ParseInt(v[1:], 10, 64); return n + 1 }
	numbers := func(b *topology.Builder) ktable.Grouped[string, int64] {
		through := topology.Topic[string, int64]{Name: "by-letter", Key: serde.String, Value: serde.Int64}
		return ktable.GroupBy(ktable.From(b, text("in")), func(_, v string) (string, int64) { return v[:1], number(v) }, through)
	}
	kept := state.Store[string, int64]{Name: "kept", Key: serde.String, Value: serde.Int64}
	folds := func(fold func(*topology.Builder) ktable.Table[string, int64], of func(v string) int64) conformance.Law {
		return law(func(b *topology.Builder) ktable.Table[string, string] {
			some := ktable.Filter(fold(b), func(_ string, n int64) bool { return n != 0 }) // a group that is empty stays
			return ktable.MapValues(some, func(n int64) string { return fmt.Sprint(n) })
		}, func(in []record) table {
			sums, t := map[string]int64{}, table{}
			for _, v := range rows(in, "in") {
				sums[v[:1]] += of(v)
				t[v[:1]] = fmt.Sprint(sums[v[:1]])
			}
			return t
		}, "in")
	}
	check(t, map[string]conformance.Law{
		"count": folds(func(b *topology.Builder) ktable.Table[string, int64] { return ktable.Count(letters(b), kept) },
			func(string) int64 { return 1 }),
		"reduce": folds(func(b *topology.Builder) ktable.Table[string, int64] {
			return ktable.Reduce(numbers(b), func(a, n int64) int64 { return a + n }, func(a, n int64) int64 { return a - n }, kept)
		}, number),
		"aggregate": folds(func(b *topology.Builder) ktable.Table[string, int64] {
			return ktable.Aggregate(letters(b), aggregate.Sum(number), kept)
		}, number),
	})
}

func TestKeptTablesAgainstAnOracle(t *testing.T) {
	past := rowsIn("past")
	past.History = time.Second
	check(t, map[string]conformance.Law{
		"of a topic": law(func(b *topology.Builder) ktable.Table[string, string] {
			return ktable.Materialize(ktable.From(b, text("in")), rowsIn("in"))
		}, func(in []record) table { return rows(in, "in") }, "in"),
		"computed": {
			Topics: []string{"in"}, Nulls: true, Late: 10,
			Build: func(b *topology.Builder) {
				early := ktable.Filter(ktable.From(b, text("in")), func(_, v string) bool { return v < "b" })
				ktable.To(ktable.Materialize(ktable.MapValues(early, func(v string) string { return v + "!" }), rowsIn("kept")), text("out"))
			},
			Got: conformance.Table(rowsIn("kept")),
			Want: func(in []record) (want []string) {
				last := map[string]record{}
				for _, r := range in {
					last[r.Key] = r
				}
				for _, k := range slices.Sorted(maps.Keys(last)) {
					if r := last[k]; r.Value != nil && *r.Value < "b" {
						want = append(want, record{Key: k, Value: new(*r.Value + "!"), Time: r.Time}.String())
					}
				}
				return want
			},
		},
		"with history": {
			Topics: []string{"in"}, Nulls: true, Late: 30,
			Build: func(b *topology.Builder) { ktable.Materialize(ktable.From(b, text("in")), past) },
			Got:   func(d *streamstest.Driver, _ []record) []string { return versions(d, past) },
			Want:  versionsOf,
		},
	})
}

// times are those at which tables with history are looked at.
func times(yield func(at int64) bool) {
	for at := int64(0); at < 400 && yield(at); at += 7 {
	}
}

// versions are the rows of a store at all times.
func versions(d *streamstest.Driver, s state.Store[string, string]) (all []string) {
	read := streamstest.Rows(d, s)
	for _, k := range []string{"a", "b", "c"} {
		for at := range times {
			row, ok, err := state.GetAt(read, k, time.UnixMilli(at))
			if err != nil {
				return []string{err.Error()}
			}
			if ok {
				all = append(all, fmt.Sprintf("at %d %s=%s@%d", at, k, row.Value, row.Time.UnixMilli()))
			}
		}
	}
	return all
}

// versionsOf are the rows at all times: of a key the record with the greatest time up to
// then, and of those with one time the last.
func versionsOf(in []record) (all []string) {
	for _, k := range []string{"a", "b", "c"} {
		for at := range times {
			var newest *record
			for i, r := range in {
				if r.Key == k && r.Time <= at && (newest == nil || r.Time >= newest.Time) {
					newest = &in[i]
				}
			}
			if newest != nil && newest.Value != nil {
				all = append(all, fmt.Sprintf("at %d %s", at, newest))
			}
		}
	}
	return all
}

// Updates of a row wait since the first of them, for so long as is said, or until there are
// too many rows; then the last is sent. The oldest come first.
func TestSuppressAgainstAnOracle(t *testing.T) {
	const wait = 12
	suppressed := func(rows int) conformance.Law {
		return conformance.Law{
			Topics: []string{"in"}, Nulls: true, Late: 10,
			Build: func(b *topology.Builder) {
				ktable.To(ktable.Suppress(ktable.From(b, text("in")), wait*time.Millisecond, ktable.Buffer{MaxRecords: rows}, rowsIn("waiting")), text("out"))
			},
			Got: func(_ *streamstest.Driver, out []record) (all []string) {
				for _, r := range out {
					all = append(all, r.String())
				}
				return all
			},
			Want: func(in []record) (all []string) {
				type update struct {
					since int64
					last  record
				}
				var waiting []update // the oldest first
				now := int64(0)
				for _, r := range in {
					now = max(now, r.Time)
					u := update{r.Time, r}
					if i := slices.IndexFunc(waiting, func(u update) bool { return u.last.Key == r.Key }); i >= 0 {
						u.since = waiting[i].since
						waiting = slices.Delete(waiting, i, i+1)
					}
					waiting = append(waiting, u)
					slices.SortFunc(waiting, func(a, b update) int {
						return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.last.Key, b.last.Key))
					})
					for len(waiting) > 0 && (waiting[0].since <= now-wait || rows > 0 && len(waiting) > rows) {
						all = append(all, waiting[0].last.String())
						waiting = waiting[1:]
					}
				}
				return all
			},
		}
	}
	check(t, map[string]conformance.Law{"suppress": suppressed(0), "suppress, at most two rows": suppressed(2)})
}
