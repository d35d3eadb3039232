// Package conformance says what operators should do, in two ways.
//
// Its tests compare whole topologies with what Apache Kafka Streams answered to the same
// inputs. The answers, testdata/<spec>.json, were recorded from Kafka Streams 4.3.1;
// README.md in testdata describes them. To run other files of the same kind:
//
//	CONFORMANCE_VECTORS=DIR go test ./internal/conformance
//
// A [Law] compares a topology with what all records so far should give, computed from
// scratch after each of many random ones. The tests of kstream and ktable have one for each
// operator with state.
package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// Law is what holds of a topology after every record, however its tasks are started again
// in between.
type Law struct {
	Build  func(*topology.Builder)
	Topics []string // of text, that records are written to
	Nulls  bool     // values may be null
	Late   int64    // how much earlier than the latest record one may be, ms
	Tick   int64    // ms by which the wall clock goes on, now and then; 0: it stands still

	// Got says what is there. Out are the records that were sent to the topic out so far.
	Got func(d *streamstest.Driver, out []Record) []string
	// Want says what should be there, from all records so far. Where the wall clock went on is
	// a record of no topic.
	Want func(in []Record) []string
}

// Record is a record of text.
type Record struct {
	Topic, Key string
	Value      *string // nil: a null
	Time       int64   // ms
}

// String is key=value@time.
func (r Record) String() string {
	if r.Value == nil {
		return fmt.Sprintf("%s=null@%d", r.Key, r.Time)
	}
	return fmt.Sprintf("%s=%s@%d", r.Key, *r.Value, r.Time)
}

// event is a record that is sent, a tick of the wall clock, or a restart of all tasks.
type event struct {
	Record
	restart bool
}

func (e event) String() string {
	switch {
	case e.restart:
		return "restart"
	case e.Topic == "":
		return "tick"
	}
	return e.Topic + " " + e.Record.String()
}

// Check sends random records until the law does not hold. Then it leaves out all that it
// can without the law holding again, and fails the test with what is left.
func (l Law) Check(t streamstest.T) {
	t.Helper()
	const seeds, length = 20, 60
	for seed := range uint64(seeds) {
		events := l.random(rand.New(rand.NewPCG(seed, 0)), length)
		if n, _, _ := l.run(t, events); n == 0 {
			continue
		}
		events = l.shrink(t, events)
		_, want, got := l.run(t, events)
		t.Fatalf("seed %d, made short:\n%s\nwant %q\ngot  %q", seed, lines(events), want, got)
		return
	}
}

func lines(events []event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "\t%s\n", e)
	}
	return b.String()
}

// random makes records whose times go on by some milliseconds, and now and then by many.
func (l Law) random(r *rand.Rand, n int) (events []event) {
	now := int64(0)
	for range n {
		if r.IntN(20) == 0 {
			events = append(events, event{restart: true})
			continue
		}
		if l.Tick > 0 && r.IntN(6) == 0 {
			events = append(events, event{})
			continue
		}
		now += r.Int64N(5)
		if r.IntN(25) == 0 {
			now += 40
		}
		e := event{Record: Record{Topic: l.Topics[r.IntN(len(l.Topics))], Key: someLetter(r), Time: max(0, now-r.Int64N(l.Late+1))}}
		if !l.Nulls || r.IntN(5) > 0 {
			e.Value = new(someLetter(r) + fmt.Sprint(r.IntN(3)))
		}
		events = append(events, e)
	}
	return events
}

func someLetter(r *rand.Rand) string { return string(rune('a' + r.IntN(3))) }

// run says after how many events the law does not hold; 0: it holds after all of them.
func (l Law) run(t streamstest.T, events []event) (n int, want, got []string) {
	t.Helper()
	b := topology.NewBuilder()
	l.Build(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	d := streamstest.New(t, topo)
	var in, out []Record
	for i, e := range events {
		switch {
		case e.restart:
			d.Restart()
		case e.Topic == "":
			d.Advance(time.Duration(l.Tick) * time.Millisecond)
			in = append(in, e.Record)
		default:
			streamstest.Send(d, nullableText(e.Topic), topology.Record[string, *string]{Key: e.Key, Value: e.Value, Time: time.UnixMilli(e.Time)})
			in = append(in, e.Record)
		}
		for _, r := range streamstest.Read(d, nullableText("out")) {
			out = append(out, Record{Topic: "out", Key: r.Key, Value: r.Value, Time: r.Time.UnixMilli()})
		}
		if want, got := l.Want(in), l.Got(d, out); !slices.Equal(want, got) {
			return i + 1, want, got
		}
	}
	return 0, nil, nil
}

func nullableText(name string) topology.Topic[string, *string] {
	return topology.Nullable(topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String})
}

// shrink leaves out what the law does without, as long as it does not hold.
func (l Law) shrink(t streamstest.T, events []event) []event {
	t.Helper()
	n, _, _ := l.run(t, events)
	events = events[:n]
	for size := len(events) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(events); {
			fewer := slices.Concat(events[:at], events[at+size:])
			if n, _, _ := l.run(t, fewer); n > 0 {
				events = fewer[:n]
			} else {
				at += size
			}
		}
	}
	return events
}

// At is a windowed key as text.
func At(k window.Key[string]) string {
	return fmt.Sprintf("%s@%d/%d", k.Key, k.Start.UnixMilli(), k.End.UnixMilli())
}

// Rows are the rows of a store as text, key=value@time, in order.
func Rows[K, V any](d *streamstest.Driver, s state.Store[K, V]) (rows []string) {
	for r, err := range streamstest.Rows(d, s).All() {
		if err != nil {
			return []string{err.Error()}
		}
		key := fmt.Sprint(r.Key)
		if w, ok := any(r.Key).(window.Key[string]); ok {
			key = At(w)
		}
		rows = append(rows, fmt.Sprintf("%s=%v@%d", key, r.Value, r.Time.UnixMilli()))
	}
	slices.Sort(rows)
	return rows
}

// Last is the last record of each key that has a value, in order: the table that who reads
// the records has.
func Last(records []Record) (rows []string) {
	last := map[string]Record{}
	for _, r := range records {
		last[r.Key] = r
	}
	for _, r := range last {
		if r.Value != nil {
			rows = append(rows, r.String())
		}
	}
	slices.Sort(rows)
	return rows
}

// Table is what a topology has whose result is a table: its rows in a store. It says so if
// what was sent is another table.
func Table[K, V any](s state.Store[K, V]) func(*streamstest.Driver, []Record) []string {
	return func(d *streamstest.Driver, out []Record) []string {
		rows := Rows(d, s)
		if sent := Last(out); !slices.Equal(rows, sent) {
			rows = append(rows, fmt.Sprint("but what was sent is ", sent))
		}
		return rows
	}
}
