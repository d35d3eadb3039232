package kstream_test

import (
	"cmp"
	"slices"
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

// lasting keeps rows longer than a law goes on.
var lasting = state.Store[string, string]{Name: "lasting", Key: serde.String, Value: serde.String, History: time.Minute}

func TestJoinsWithTablesAgainstAnOracle(t *testing.T) {
	latest := func(b *topology.Builder) ktable.Table[string, string] { return ktable.From(b, text("rows")) }
	past := func(b *topology.Builder) ktable.Table[string, string] { return ktable.Materialize(latest(b), lasting) }
	global := func(_, v string) (string, bool) { return v[:1], true }
	law := func(left bool, row func(in []record, r record) (string, bool), join func(b *topology.Builder, in kstream.Stream[string, string]) kstream.Stream[string, string]) conformance.Law {
		return conformance.Law{
			Topics: []string{"in", "rows"}, Nulls: true, Late: 15,
			Build: func(b *topology.Builder) { kstream.To(join(b, kstream.From(b, text("in"))), text("out")) },
			Got:   func(_ *driver, out []record) []string { return texts(out) },
			Want: func(in []record) (want []string) {
				for i, r := range in {
					if r.Topic != "in" || r.Value == nil {
						continue
					}
					if w, ok := row(in[:i], r); ok || left {
						want = append(want, record{Key: r.Key, Value: new(pairLeft(*r.Value, w, ok)), Time: r.Time}.String())
					}
				}
				return want
			},
		}
	}
	check(t, map[string]conformance.Law{
		"join": law(false, lastRow, func(b *topology.Builder, in kstream.Stream[string, string]) kstream.Stream[string, string] {
			return kstream.Join(in, latest(b), pair)
		}),
		"left join": law(true, lastRow, func(b *topology.Builder, in kstream.Stream[string, string]) kstream.Stream[string, string] {
			return kstream.LeftJoin(in, latest(b), pairLeft)
		}),
		"join as of the record's time": law(false, rowOfTime, func(b *topology.Builder, in kstream.Stream[string, string]) kstream.Stream[string, string] {
			return kstream.Join(in, past(b), pair)
		}),
		"left join as of the record's time": law(true, rowOfTime, func(b *topology.Builder, in kstream.Stream[string, string]) kstream.Stream[string, string] {
			return kstream.LeftJoin(in, past(b), pairLeft)
		}),
		"join of a global table": law(false, rowOfLetter, func(b *topology.Builder, in kstream.Stream[string, string]) kstream.Stream[string, string] {
			return kstream.JoinGlobal(in, ktable.GlobalFrom(b, text("rows")), global, pair)
		}),
		"left join of a global table": law(true, rowOfLetter, func(b *topology.Builder, in kstream.Stream[string, string]) kstream.Stream[string, string] {
			return kstream.LeftJoinGlobal(in, ktable.GlobalFrom(b, text("rows")), global, pairLeft)
		}),
	})
}

// lastRow is the row of a record's key: the last that came.
func lastRow(before []record, r record) (string, bool) {
	for _, o := range slices.Backward(before) {
		if o.Topic == "rows" && o.Key == r.Key {
			return valueOf(o)
		}
	}
	return "", false
}

// rowOfLetter is the row whose key is the first letter of a record's value.
func rowOfLetter(before []record, r record) (string, bool) {
	return lastRow(before, record{Key: (*r.Value)[:1]})
}

// rowOfTime is the row of a record's key as of its time: the last of the latest.
func rowOfTime(before []record, r record) (string, bool) {
	var newest record
	for _, o := range before {
		if o.Topic == "rows" && o.Key == r.Key && o.Time <= r.Time && o.Time >= newest.Time {
			newest = o
		}
	}
	return valueOf(newest)
}

func valueOf(r record) (string, bool) {
	if r.Value == nil {
		return "", false
	}
	return *r.Value, true
}

func TestJoinsOfStreamsAgainstAnOracle(t *testing.T) {
	check(t, map[string]conformance.Law{
		"join":       meeting{}.law(),
		"left join":  meeting{left: true}.law(),
		"outer join": meeting{left: true, right: true}.law(),
	})
}

// meeting is a join of streams: a right record meets a left one from 6 ms before it until
// 10 ms after it. No record comes so late that its partners are forgotten.
type meeting struct{ left, right bool } // which sides keep who meets none

const (
	before, after, joinGrace = 6, 10, 20
	joinLate                 = 15
)

func (j meeting) law() conformance.Law {
	return conformance.Law{
		Topics: []string{"left", "right"}, Late: joinLate, Build: j.build,
		Got:  func(_ *driver, out []record) []string { return texts(out) },
		Want: j.want,
	}
}

func (j meeting) build(b *topology.Builder) {
	left, right := kstream.From(b, text("left")), kstream.From(b, text("right"))
	on := kstream.Joined[string, string, string]{
		Name: "pair", Key: serde.String, Left: serde.String, Right: serde.String,
		Window: window.Join{Before: before * ms, After: after * ms, Grace: joinGrace * ms},
	}
	var out kstream.Stream[string, string]
	switch {
	case j.right:
		out = kstream.OuterJoinStream(left, right, both, on)
	case j.left:
		out = kstream.LeftJoinStream(left, right, pairLeft, on)
	default:
		out = kstream.JoinStream(left, right, pair, on)
	}
	kstream.To(out, text("out"))
}

func both(v string, hasV bool, w string, hasW bool) string {
	if !hasV {
		v = "nothing"
	}
	return pairLeft(v, w, hasW)
}

// want takes the records one after the other. Who has met none is sent at once if its
// window has passed, and else waits.
func (j meeting) want(in []record) (want []string) {
	w := waiting{first: -1}
	now := int64(0)
	for i, r := range in {
		now = max(now, r.Time)
		mine, keeps := int64(before), j.right
		if r.Topic == "left" {
			mine, keeps = after, j.left
		}
		if r.Time == now {
			want = append(want, w.close(now, mine)...)
		}
		partners := partnersOf(r, in[:i])
		for _, p := range partners {
			w.alone = slices.DeleteFunc(w.alone, func(o record) bool { return o.Topic == p.Topic && o.Key == p.Key && o.Time == p.Time })
			want = append(want, of(r, &p).String())
		}
		switch {
		case len(partners) > 0 || !keeps:
		case r.Time+mine < now:
			want = append(want, of(r, nil).String())
		default:
			w.add(r)
		}
	}
	return want
}

// waiting are those who met none so far. As in Kafka Streams, a record that is not late
// itself looks for windows that have passed with their grace; but not as long as its own
// side's windows from the last one that was looked at, or was added since, have not.
type waiting struct {
	alone []record // by time, the right ones of a time first, then by key
	first int64    // -1: nothing was looked for yet
}

func (w *waiting) add(r record) {
	w.alone = append(w.alone, r)
	slices.SortStableFunc(w.alone, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), -cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Key, b.Key))
	})
	if w.first >= 0 {
		w.first = min(w.first, r.Time)
	}
}

func (w *waiting) close(now, mine int64) (sent []string) {
	if w.first >= 0 && w.first+mine+joinGrace >= now {
		return nil
	}
	w.first = 1 << 60
	open, done := map[string]bool{}, false
	w.alone = slices.DeleteFunc(w.alone, func(r record) bool {
		if done {
			return false
		}
		w.first = r.Time
		if done = len(open) == 2; done {
			return false
		}
		until := map[string]int64{"left": after, "right": before}[r.Topic] + joinGrace + r.Time
		if until >= now {
			open[r.Topic] = true
			return false
		}
		sent = append(sent, of(r, nil).String())
		return true
	})
	return sent
}

// partnersOf are the records that one meets, by their times.
func partnersOf(r record, others []record) (partners []record) {
	for _, o := range others {
		apart := o.Time - r.Time // of the right one from the left one
		if r.Topic == "right" {
			apart = -apart
		}
		if o.Topic != r.Topic && o.Key == r.Key && apart >= -before && apart <= after {
			partners = append(partners, o)
		}
	}
	slices.SortStableFunc(partners, func(a, b record) int { return cmp.Compare(a.Time, b.Time) })
	return partners
}

// of is what comes of a record with a partner, or with none.
func of(r record, partner *record) record {
	out := record{Key: r.Key, Time: r.Time}
	side := map[string]string{r.Topic: *r.Value}
	if partner != nil {
		side[partner.Topic] = *partner.Value
		out.Time = max(out.Time, partner.Time)
	}
	v, hasV := side["left"]
	w, hasW := side["right"]
	out.Value = new(both(v, hasV, w, hasW))
	return out
}

// Records are sent by their times, as far as they come no later than others wait for them.
func TestReorderAgainstAnOracle(t *testing.T) {
	const wait = 10
	check(t, map[string]conformance.Law{"reorder": {
		Topics: []string{"in"}, Late: 15,
		Build: func(b *topology.Builder) {
			kstream.To(kstream.Reorder(kstream.From(b, text("in")), wait*ms, kept), text("out"))
		},
		Got: func(_ *driver, out []record) []string { return texts(out) },
		Want: func(in []record) (want []string) {
			var waiting []record
			now := int64(0)
			for _, r := range in {
				now = max(now, r.Time)
				if r.Time < now-wait {
					want = append(want, r.String())
					continue
				}
				waiting = append(waiting, r)
				slices.SortStableFunc(waiting, func(a, b record) int {
					return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Key, b.Key))
				})
				waiting = slices.DeleteFunc(waiting, func(r record) bool {
					if r.Time <= now-wait {
						want = append(want, r.String())
					}
					return r.Time <= now-wait
				})
			}
			return want
		},
	}})
}
