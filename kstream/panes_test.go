package kstream_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/conformance"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

// Windows that are put together from panes give the same as windows that each fold every
// record: the same results in the same order, with the same times.
func TestPanesGiveWhatWindowsGive(t *testing.T) {
	laws := map[string]conformance.Law{}
	for _, w := range []window.Hopping{
		{Size: 12 * ms, Every: 4 * ms},
		{Size: 12 * ms, Every: 5 * ms, Grace: 6 * ms},
		{Size: 9 * ms, Every: 8 * ms, Grace: 3 * ms},
		{Size: 40 * ms, Every: 1 * ms, Grace: 20 * ms},
		{Size: 100 * ms, Every: 30 * ms},
	} {
		w.Emit = window.OnClose()
		laws[fmt.Sprint("max in ", w)] = paned[string]{w, aggregate.Max(itself), serde.String}.law()
		laws[fmt.Sprint("min in ", w)] = paned[string]{w, aggregate.Min(itself), serde.String}.law()
		laws[fmt.Sprint("sum in ", w)] = paned[int64]{w, aggregate.Sum(digits), serde.Int64}.law()
	}
	check(t, laws)
}

func itself(v string) string { return v }

func digits(v string) int64 {
	n, _ := strconv.ParseInt(v[1:], 10, 64)
	return n + 1
}

// paned is a fold in windows that overlap.
type paned[A any] struct {
	windows window.Hopping
	f       aggregate.Aggregator[string, A]
	value   serde.Serde[A]
}

func (p paned[A]) store() state.Store[window.Key[string], A] {
	return state.Store[window.Key[string], A]{Name: "kept", Key: window.Keys(serde.String, p.windows), Value: p.value}
}

func (p paned[A]) build(b *topology.Builder) {
	r := kstream.Aggregate(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), p.windows), p.f, p.store())
	kstream.To(kstream.Map(kstream.Updates(r), func(k window.Key[string], a A) (string, string) {
		return conformance.At(k), fmt.Sprint(a)
	}), text("out"))
}

// one is the same fold, of which nothing is known.
func (p paned[A]) one() paned[A] {
	p.f = aggregate.Aggregator[string, A]{Init: p.f.Init, First: p.f.First, Add: p.f.Add}
	return p
}

// law is that results are those of one, and that the windows which were sent are kept.
func (p paned[A]) law() conformance.Law {
	results := following(p.one().build)
	return conformance.Law{
		Topics: []string{"in"}, Late: 25, Build: p.build,
		Got: func(d *driver, out []record) []string { return append(texts(out), conformance.Rows(d, p.store())...) },
		Want: func(in []record) []string {
			sent := results(in)
			return append(texts(sent), p.kept(sent)...)
		},
	}
}

// kept are the rows of the results that are not too old to be kept.
func (p paned[A]) kept(sent []record) (rows []string) {
	start := func(r record) int64 {
		at, _, _ := strings.Cut(r.Key[strings.Index(r.Key, "@")+1:], "/")
		n, _ := strconv.ParseInt(at, 10, 64)
		return n
	}
	newest := int64(0)
	for _, r := range sent {
		newest = max(newest, start(r))
	}
	for _, r := range sent {
		if start(r) > newest-window.Keep(p.windows)-1 {
			rows = append(rows, r.String())
		}
	}
	slices.Sort(rows)
	return rows
}

// following gives what a topology sends to the topic out for some records, again and again
// for one record more.
func following(build func(*topology.Builder)) func(in []record) (out []record) {
	var d *driver
	var seen, out []record
	return func(in []record) []record {
		if d == nil || len(in) < len(seen) || !slices.Equal(in[:len(seen)], seen) {
			b := topology.NewBuilder()
			build(b)
			topo, err := b.Build()
			if err != nil {
				panic(err)
			}
			d, seen, out = streamstest.New(streamstest.InExample, topo), nil, nil
		}
		for _, r := range in[len(seen):] {
			streamstest.Send(d, text("in"), topology.Record[string, string]{Key: r.Key, Value: *r.Value, Time: time.UnixMilli(r.Time)})
		}
		for _, r := range streamstest.Read(d, text("out")) {
			out = append(out, record{Topic: "out", Key: r.Key, Value: &r.Value, Time: r.Time.UnixMilli()})
		}
		seen = slices.Clone(in)
		return out
	}
}

// Panes are for folds that are known to be put together so, in windows that overlap and
// are sent when they close: all others fold every record in every window.
func TestWhenPanesAreShared(t *testing.T) {
	hopping := window.Hopping{Size: 12 * ms, Every: 4 * ms, Emit: window.OnClose()}
	on := func(change func(*window.Hopping)) window.Hopping {
		w := hopping
		change(&w)
		return w
	}
	own := aggregate.Sum(digits)
	own.Merge = func(a, b int64) int64 { return a + b }
	rounded := aggregate.Sum(func(v string) float64 { return float64(digits(v)) })
	for name, c := range map[string]struct {
		build  func(*topology.Builder)
		shared bool
	}{
		"sum":           {paned[int64]{hopping, aggregate.Sum(digits), serde.Int64}.build, true},
		"greatest text": {paned[string]{hopping, aggregate.Max(itself), serde.String}.build, true},
		"count": {func(b *topology.Builder) {
			in := paned[int64]{windows: hopping, value: serde.Int64}.store()
			kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), hopping), in)
		}, true},
		"a Merge of the program": {paned[int64]{hopping, own, serde.Int64}.build, false},
		"sums that are rounded":  {paned[float64]{hopping, rounded, serde.Float64}.build, false},
		"windows side by side":   {paned[int64]{on(func(w *window.Hopping) { w.Every = w.Size }), aggregate.Sum(digits), serde.Int64}.build, false},
		"every update is sent":   {paned[int64]{on(func(w *window.Hopping) { w.Emit = window.Emit{} }), aggregate.Sum(digits), serde.Int64}.build, false},
		"sent from time to time": {paned[int64]{on(func(w *window.Hopping) { w.Emit = window.Every(time.Second) }), aggregate.Sum(digits), serde.Int64}.build, false},
		"an input of a Cogroup": {func(b *topology.Builder) {
			in := kstream.Folding(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), hopping), aggregate.Sum(digits))
			kstream.Cogroup(paned[int64]{windows: hopping, value: serde.Int64}.store(), in)
		}, false},
	} {
		b := topology.NewBuilder()
		c.build(b)
		topo, err := b.Build()
		require.NoError(t, err)
		require.Equal(t, c.shared, strings.Contains(topo.Describe(), "kept-panes"), name)
	}
}

// A store that two folds of one windowed stream keep apart gets its own results.
func TestTwoFoldsOfOneWindowedStream(t *testing.T) {
	for _, w := range []window.Windows{
		window.Tumbling{Size: 10 * ms, Emit: window.OnClose()},
		window.Hopping{Size: 10 * ms, Every: 5 * ms, Emit: window.OnClose()},
		window.Sliding{Size: 10 * ms, Emit: window.OnClose()},
		window.Session{Gap: 10 * ms, Emit: window.OnClose()},
	} {
		d := start(t, func(b *topology.Builder) {
			g := kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), w)
			for _, name := range []string{"one", "two"} {
				n := kstream.Count(g, state.Store[window.Key[string], int64]{Name: name, Key: window.Keys(serde.String, w), Value: serde.Int64})
				kstream.To(kstream.Map(kstream.Updates(n), func(k window.Key[string], n int64) (string, string) { return k.Key, fmt.Sprint(n) }), text(name))
			}
		})
		put(t, d, "in", "x@1", "x@2", "x@100")
		one := got(d, "one")
		require.NotEmpty(t, one, "%v", w)
		require.Equal(t, one, got(d, "two"), "%v", w)
	}
}
