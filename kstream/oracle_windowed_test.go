package kstream_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/conformance"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

func TestWindowsAgainstAnOracle(t *testing.T) {
	const long = time.Minute
	close, second := window.OnClose(), window.Every(time.Second)
	check(t, map[string]conformance.Law{
		"tumbling": folds{window.Tumbling{Size: 10 * ms, Grace: 4 * ms}, long, aligned(10, 10, 4)}.all(20),
		"hopping":  folds{window.Hopping{Size: 12 * ms, Every: 5 * ms, Grace: 6 * ms}, long, aligned(12, 5, 6)}.all(20),
		"sliding":  folds{window.Sliding{Size: 8 * ms, Grace: 30 * ms}, long, atRecords(8)}.all(30),
		"session":  folds{window.Session{Gap: 4 * ms, Grace: 2 * ms}, long, sessions(4, 2, false)}.all(20),

		"tumbling, as long as it is kept": folds{window.Tumbling{Size: 10 * ms, Grace: 4 * ms}, 0, aligned(10, 10, 4)}.keptFor(14, 20),
		"hopping, as long as it is kept":  folds{window.Hopping{Size: 12 * ms, Every: 5 * ms}, 25 * ms, aligned(12, 5, 0)}.keptFor(25, 20),
		"sliding, as long as it is kept":  folds{window.Sliding{Size: 8 * ms, Grace: 4 * ms}, 0, atRecords(8)}.keptFor(20, 4),

		"tumbling, when it closes": folds{window.Tumbling{Size: 10 * ms, Grace: 4 * ms, Emit: close}, 0, aligned(10, 10, 4)}.once(4, 15),
		"hopping, when it closes":  folds{window.Hopping{Size: 12 * ms, Every: 5 * ms, Emit: close}, 0, aligned(12, 5, 0)}.once(0, 15),
		"sliding, when it closes":  folds{window.Sliding{Size: 8 * ms, Grace: 30 * ms, Emit: close}, 0, atRecords(8)}.once(31, 30),
		"session, when it closes":  folds{window.Session{Gap: 4 * ms, Grace: 2 * ms, Emit: close}, 0, sessions(4, 2, true)}.once(7, 15),

		"tumbling, every second":                        folds{window.Tumbling{Size: 10 * ms, Grace: 4 * ms, Emit: second}, long, aligned(10, 10, 4)}.every(20),
		"hopping, every second":                         folds{window.Hopping{Size: 12 * ms, Every: 5 * ms, Grace: 6 * ms, Emit: second}, long, aligned(12, 5, 6)}.every(20),
		"sliding, every second":                         folds{window.Sliding{Size: 8 * ms, Grace: 30 * ms, Emit: second}, long, atRecords(8)}.every(30),
		"session, every second":                         folds{window.Session{Gap: 4 * ms, Grace: 2 * ms, Emit: second}, long, sessions(4, 2, false)}.every(20),
		"tumbling, every second, as long as it is kept": folds{window.Tumbling{Size: 10 * ms, Grace: 4 * ms, Emit: second}, 0, aligned(10, 10, 4)}.every(20),

		"tumbling, suppressed until it closes": folds{window.Tumbling{Size: 10 * ms, Grace: 4 * ms}, 0, aligned(10, 10, 4)}.suppressed(4, 15),
		"hopping, suppressed until it closes":  folds{window.Hopping{Size: 12 * ms, Every: 5 * ms}, 0, aligned(12, 5, 0)}.suppressed(0, 15),
		"sliding, suppressed until it closes":  folds{window.Sliding{Size: 8 * ms, Grace: 20 * ms}, 0, atRecords(8)}.suppressed(20, 15),
		"session, suppressed until it closes":  folds{window.Session{Gap: 4 * ms, Grace: 20 * ms}, 0, sessions(4, 20, false)}.suppressed(24, 15),
	})
}

// folds is a fold in windows: for each window, the values of its records in order.
type folds struct {
	windows   window.Windows
	retention time.Duration
	in        func([]record) []cell
}

// cell is a window and what is in it.
type cell struct {
	key        string
	start, end int64
	records    []record
}

// row is the cell's result.
func (c cell) row() record {
	r := record{Key: fmt.Sprintf("%s@%d/%d", c.key, c.start, c.end)}
	value := ""
	for _, o := range c.records {
		value = bag(value, *o.Value)
		r.Time = max(r.Time, o.Time)
	}
	r.Value = &value
	return r
}

// bag puts values together so that their order, and that of merges, does not show.
func bag(a, v string) string {
	all := strings.Fields(a + " " + v)
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (f folds) store() state.Store[window.Key[string], string] {
	return state.Store[window.Key[string], string]{Name: "kept", Key: window.Keys(serde.String, f.windows), Value: serde.String, Retention: f.retention}
}

func (f folds) table(b *topology.Builder) ktable.Table[window.Key[string], string] {
	return kstream.Reduce(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), f.windows), bag, f.store())
}

func (f folds) build(b *topology.Builder) { sendChanges(f.table(b)) }

// sendChanges sends the changes of a table of windows to the topic out.
func sendChanges(r ktable.Table[window.Key[string], string]) {
	byText := kstream.SelectKey(kstream.Changes(r), func(k window.Key[string], _ *string) string { return conformance.At(k) })
	kstream.To(byText, topology.Nullable(text("out")))
}

// all is the law of a store that keeps all windows.
func (f folds) all(late int64) conformance.Law {
	return conformance.Law{
		Topics: []string{"in"}, Late: late, Build: f.build, Got: conformance.Table(f.store()),
		Want: func(in []record) (rows []string) {
			for _, c := range f.in(in) {
				rows = append(rows, c.row().String())
			}
			slices.Sort(rows)
			return rows
		},
	}
}

// keptFor is the law of a store that forgets the windows that are so much older than the
// newest, in ms.
func (f folds) keptFor(keep, late int64) conformance.Law {
	return conformance.Law{
		Topics: []string{"in"}, Late: late, Build: f.build,
		Got: func(d *driver, _ []record) []string { return conformance.Rows(d, f.store()) },
		Want: func(in []record) (rows []string) {
			cells, newest := f.in(in), int64(0)
			for _, c := range cells {
				newest = max(newest, c.start)
			}
			for _, c := range cells {
				if c.start > newest-keep {
					rows = append(rows, c.row().String())
				}
			}
			slices.Sort(rows)
			return rows
		},
	}
}

// once is the law of results that are sent when windows close, which they do so many
// milliseconds after their end: each comes once, by the step that closes it, then by end,
// start and key.
func (f folds) once(after, late int64) conformance.Law {
	return conformance.Law{
		Topics: []string{"in"}, Late: late, Build: f.build,
		Got: func(_ *driver, out []record) []string { return texts(out) },
		Want: func(in []record) []string {
			return texts(f.closed(in, after, func(a, b cell) int {
				return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.start, b.start), cmp.Compare(a.key, b.key))
			}))
		},
	}
}

// closed are the results of the windows that have closed, so long after their end, by the
// step that closes them, and then in order.
func (f folds) closed(in []record, after int64, order func(a, b cell) int) (rows []record) {
	times := streamTimes(in)
	step := func(c cell) int { n, _ := slices.BinarySearch(times, c.end+after); return n }
	cells := slices.DeleteFunc(f.in(in), func(c cell) bool { return step(c) == len(times) })
	slices.SortFunc(cells, func(a, b cell) int { return cmp.Or(cmp.Compare(step(a), step(b)), order(a, b)) })
	for _, c := range cells {
		rows = append(rows, c.row())
	}
	return rows
}

// suppressed is the law of results that are held back until their windows are over, so long
// after their end: each comes once, by the step that ends it, then by end, key and start.
// Records are never so late that a window is still updated when it was sent.
func (f folds) suppressed(after, late int64) conformance.Law {
	return conformance.Law{
		Topics: []string{"in"}, Late: late,
		Build: func(b *topology.Builder) {
			waiting := f.store()
			waiting.Name = "waiting"
			sendChanges(ktable.SuppressUntilClose(f.table(b), ktable.Buffer{}, waiting))
		},
		Got: func(_ *driver, out []record) []string { return texts(out) },
		Want: func(in []record) []string {
			return texts(f.closed(in, after, func(a, b cell) int {
				return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.key, b.key), cmp.Compare(a.start, b.start))
			}))
		},
	}
}

// every is the law of results that are sent once a second: the windows that changed since
// the last time, as they are now, by key, end and start. A session that was merged into
// another is a delete, even if it was never sent.
func (f folds) every(late int64) conformance.Law {
	return conformance.Law{
		Topics: []string{"in"}, Late: late, Tick: 1000, Build: f.build,
		Got: func(_ *driver, out []record) []string { return texts(out) },
		Want: func(in []record) (rows []string) {
			var records []record
			before, changed := map[bounds]record{}, map[bounds]record{}
			for _, r := range in {
				if r.Topic == "" {
					for _, b := range slices.SortedFunc(maps.Keys(changed), bounds.compare) {
						rows = append(rows, changed[b].String())
					}
					clear(changed)
					continue
				}
				records = append(records, r)
				now := map[bounds]record{}
				for _, c := range f.in(records) {
					b, row := bounds{c.key, c.end, c.start}, c.row()
					if now[b] = row; before[b].Value == nil || *before[b].Value != *row.Value {
						changed[b] = row
					}
				}
				for b, row := range before {
					if now[b].Value == nil {
						changed[b] = record{Key: row.Key, Time: b.end}
					}
				}
				before = now
			}
			return rows
		},
	}
}

// bounds are a window's.
type bounds struct {
	key        string
	end, start int64
}

func (a bounds) compare(b bounds) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.end, b.end), cmp.Compare(a.start, b.start))
}

// texts are records as text.
func texts(records []record) (out []string) {
	for _, r := range records {
		out = append(out, r.String())
	}
	return out
}

// streamTimes is the stream time at each record.
func streamTimes(in []record) (times []int64) {
	now := int64(0)
	for _, r := range in {
		now = max(now, r.Time)
		times = append(times, now)
	}
	return times
}

// aligned are tumbling and hopping windows.
func aligned(size, every, grace int64) func([]record) []cell {
	return func(in []record) (cells []cell) {
		times := streamTimes(in)
		for i, r := range in {
			for start := r.Time / every * every; start > r.Time-size && start >= 0; start -= every {
				if start+size > times[i]-grace {
					cells = into(cells, r.Key, start, start+size, r)
				}
			}
		}
		return cells
	}
}

// into puts records into the cell of a key and a start.
func into(cells []cell, key string, start, end int64, r record) []cell {
	for i := range cells {
		if c := &cells[i]; c.key == key && c.start == start {
			c.records = append(c.records, r)
			return cells
		}
	}
	return append(cells, cell{key, start, end, []record{r}})
}

// atRecords are sliding windows: they end at a record or begin just after one, if there is
// any in them. No record is late.
func atRecords(size int64) func([]record) []cell {
	return func(in []record) (cells []cell) {
		seen := map[string]bool{}
		for _, r := range in {
			for _, start := range []int64{max(0, r.Time-size), r.Time + 1} {
				c := cell{key: r.Key, start: start, end: start + size}
				for _, o := range in {
					if o.Key == c.key && o.Time >= start && o.Time <= c.end {
						c.records = append(c.records, o)
					}
				}
				if id := fmt.Sprint(c.key, start); len(c.records) > 0 && !seen[id] {
					seen[id] = true
					cells = append(cells, c)
				}
			}
		}
		return cells
	}
}

// sessions are session windows. A record is late if its session ended more than gap and
// grace ago even with it. Where sessions close, they take nothing more after that. When one
// ended so long ago it takes nothing either: as in Kafka Streams, its store has forgotten it,
// and a new one with the same bounds takes its place.
func sessions(gap, grace int64, close bool) func([]record) []cell {
	return func(in []record) []cell {
		var open, closed []cell
		forgotten := int64(-1)
		for i, now := range streamTimes(in) {
			r := in[i]
			mine := cell{r.Key, r.Time, r.Time, []record{r}}
			var others []cell
			for _, c := range open {
				switch {
				case close && c.end < now-gap-grace:
					closed = append(closed, c)
				case c.key == r.Key && c.start-gap <= r.Time && r.Time <= c.end+gap && c.end > forgotten:
					mine = cell{r.Key, min(mine.start, c.start), max(mine.end, c.end), append(mine.records, c.records...)}
				default:
					others = append(others, c)
				}
			}
			if close {
				forgotten = now - gap - grace
			}
			switch {
			case mine.end >= now-gap-grace:
				others = slices.DeleteFunc(others, func(c cell) bool { return c.key == mine.key && c.start == mine.start && c.end == mine.end })
				open = append(others, mine)
			case close:
				open = slices.DeleteFunc(open, func(c cell) bool { return c.end < now-gap-grace })
			}
		}
		return append(closed, open...)
	}
}
