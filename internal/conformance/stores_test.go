package conformance

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// stores are processors that say what their stores hold.
var stores = theme{
	"store-scan":              {build: storeScan, stores: map[string]rows{"s": handMade(kv("s"))}},
	"store-put-if-absent":     {build: storePutIfAbsent, stores: map[string]rows{"s": handMade(kv("s"))}},
	"window-store":            {build: windowStore, stores: map[string]rows{"w": handMadeWindows(points)}},
	"window-store-duplicates": {build: windowStoreDuplicates, stores: map[string]rows{"w": duplicates}},
	"session-store":           {build: sessionStore, stores: map[string]rows{"s": ofSessions(visits)}},
	"versioned-store":         {build: versionedStore, stores: map[string]rows{"v": of(versioned("v", 30*ms))}},
}

// says writes what a function of each record and a store says. Records without a key are
// left out.
func says[K, V any](b *topology.Builder, s state.Store[K, V], f func(c *topology.Context[*string, string], store state.KeyValue[K, V], k string, r topology.Record[*string, *string]) (string, error)) {
	out := kstream.ProcessValues(withKey(b, "in"), "answer", func(c *topology.Context[*string, string]) (topology.Processor[*string, *string], error) {
		store, err := topology.Open(c, s)
		return func(r topology.Record[*string, *string]) error {
			v, err := f(c, store, *r.Key, r)
			if err != nil {
				return err
			}
			return c.Emit(topology.Record[*string, string]{Value: v})
		}, err
	}, s)
	kstream.To(out, nullKeyed("out"))
}

// list writes rows by a function, separated by commas.
func list[K, V any](seq iter.Seq2[state.Row[K, V], error], write func(state.Row[K, V]) string) (string, error) {
	var all []string
	for r, err := range seq {
		if err != nil {
			return "", err
		}
		if s := write(r); s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, ","), nil
}

// bars joins what lists gave, unless one failed.
type bars struct {
	parts []string
	err   error
}

func (b *bars) add(s string, err error) {
	b.parts = append(b.parts, s)
	if b.err == nil {
		b.err = err
	}
}

func (b *bars) result() (string, error) { return strings.Join(b.parts, "|"), b.err }

func storeScan(b *topology.Builder) {
	write := func(r state.Row[string, string]) string { return r.Key + "=" + r.Value }
	says(b, kv("s"), func(_ *topology.Context[*string, string], st state.KeyValue[string, string], k string, r topology.Record[*string, *string]) (string, error) {
		var err error
		if r.Value == nil {
			err = st.Delete(k + "q")
		} else {
			err = st.Put(k+*first(r.Value), *r.Value)
		}
		all := bars{err: err}
		all.add(list(st.Range(new(k+"q"), new("c")), write))
		all.add(list(st.Backward(new(k+"q"), new("c")), write))
		all.add(list(st.Range(&k, new(k+"\xff")), write))
		all.add(list(st.Backward(nil, nil), write))
		return all.result()
	})
}

func storePutIfAbsent(b *topology.Builder) {
	says(b, kv("s"), func(_ *topology.Context[*string, string], st state.KeyValue[string, string], k string, r topology.Record[*string, *string]) (string, error) {
		switch {
		case early(r.Value):
			old, loaded, err := st.PutIfAbsent(k, *r.Value)
			return "absent:" + orNull(old, loaded), err
		case r.Value != nil:
			return "put", st.Put(k, *r.Value)
		}
		old, ok, err := st.Get(k)
		if err != nil {
			return "", err
		}
		return "deleted:" + orNull(old, ok), st.Delete(k)
	})
}

// points hold values by the millisecond.
var points = state.Store[window.Key[string], string]{Name: "w", Key: window.Keys(serde.String, window.Tumbling{Size: ms}), Value: serde.String, Retention: 30 * ms}

// before is a time some milliseconds before another, and not before 1970.
func before(t time.Time, d time.Duration) time.Time {
	return time.UnixMilli(max(0, t.Add(-d).UnixMilli()))
}

func windowStore(b *topology.Builder) {
	write := func(r state.Row[window.Key[string], string]) string {
		return fmt.Sprint(r.Key.Start.UnixMilli(), "=", r.Value)
	}
	says(b, points, func(_ *topology.Context[*string, string], st state.KeyValue[window.Key[string], string], k string, r topology.Record[*string, *string]) (string, error) {
		at := window.Key[string]{Key: k, Start: r.Time}
		var all bars
		if r.Value == nil {
			all.err = st.Delete(at)
		} else {
			all.err = st.Put(at, *r.Value)
		}
		near, err := list(state.Windows(st, k, before(r.Time, 15*ms), r.Time.Add(15*ms)), write)
		all.add(near, err)
		backward := strings.Split(near, ",")
		slices.Reverse(backward)
		all.add(strings.Join(backward, ","), nil)
		v, ok, err := st.Get(window.Key[string]{Key: k, Start: before(r.Time, 5*ms)})
		all.add(orNull(v, ok), err)
		all.add(list(state.Windows(st, k, time.UnixMilli(0), time.UnixMilli(1000)), write))
		return all.result()
	})
}

// pointLists hold several values by the millisecond.
var pointLists = state.Store[window.Key[string], []string]{Name: "w", Key: window.Keys(serde.String, window.Tumbling{Size: ms}), Value: serde.JSON[[]string](), Retention: 30 * ms}

func windowStoreDuplicates(b *topology.Builder) {
	write := func(r state.Row[window.Key[string], []string]) string {
		var all []string
		for _, v := range r.Value {
			all = append(all, fmt.Sprint(r.Key.Start.UnixMilli(), "=", v))
		}
		return strings.Join(all, ",")
	}
	says(b, pointLists, func(_ *topology.Context[*string, string], st state.KeyValue[window.Key[string], []string], k string, r topology.Record[*string, *string]) (string, error) {
		at := window.Key[string]{Key: k, Start: r.Time}
		if r.Value != nil {
			have, _, err := st.Get(at)
			if err != nil {
				return "", err
			}
			if err := st.Put(at, append(have, *r.Value)); err != nil {
				return "", err
			}
		}
		return list(state.Windows(st, k, before(r.Time, 5*ms), r.Time.Add(5*ms)), write)
	})
}

// duplicates is a row for each value.
func duplicates(d *streamstest.Driver) (all []row, err error) {
	lists, err := handMadeWindows(pointLists)(d)
	for _, l := range lists {
		for v := range strings.SplitSeq(l.Value, ",") {
			all = append(all, row{Key: l.Key, Start: l.Start, Value: v})
		}
	}
	return all, err
}

// visits hold a value for each session.
var visits = state.Store[window.Key[string], string]{Name: "s", Key: window.Keys(serde.String, window.Session{Gap: ms}), Value: serde.String, Retention: 40 * ms}

func sessionStore(b *topology.Builder) {
	write := func(r state.Row[window.Key[string], string]) string {
		return fmt.Sprintf("%d/%d=%s", r.Key.Start.UnixMilli(), r.Key.End.UnixMilli(), r.Value)
	}
	says(b, visits, func(_ *topology.Context[*string, string], st state.KeyValue[window.Key[string], string], k string, r topology.Record[*string, *string]) (string, error) {
		visit := window.Key[string]{Key: k, Start: r.Time.Truncate(10 * ms), End: r.Time}
		var all bars
		if r.Value == nil {
			all.err = st.Delete(visit)
		} else {
			all.err = st.Put(visit, *r.Value)
		}
		all.add(list(state.Windows(st, k, before(r.Time, 12*ms), r.Time.Add(6*ms)), write))
		all.add(list(state.Windows(st, k, time.Time{}, time.Time{}), write))
		return all.result()
	})
}

func versionedStore(b *topology.Builder) {
	version := func(r state.Row[string, string], ok bool) string {
		if !ok {
			return "none"
		}
		return fmt.Sprint(r.Value, "@", r.Time.UnixMilli())
	}
	says(b, versioned("v", 30*ms), func(_ *topology.Context[*string, string], st state.KeyValue[string, string], k string, r topology.Record[*string, *string]) (string, error) {
		var all bars
		if r.Value == nil {
			old, ok, err := state.GetAt(st, k, r.Time)
			if err == nil {
				err = st.DeleteAt(k, r.Time)
			}
			all.add("deleted:"+version(old, ok), err)
		} else {
			all.add(putVersion(st, k, *r.Value, r.Time))
		}
		newest, ok, err := st.Row(k)
		all.add(version(newest, ok), err)
		for _, t := range []time.Time{before(r.Time, 10*ms), r.Time.Add(10 * ms)} {
			row, ok, err := state.GetAt(st, k, t)
			all.add(version(row, ok), err)
		}
		return all.result()
	})
}

// putVersion puts a version, and says when it ends.
func putVersion(st state.KeyValue[string, string], k, v string, at time.Time) (string, error) {
	if err := st.PutAt(k, v, at); err != nil {
		return "", err
	}
	row, ok, err := state.GetAt(st, k, at)
	switch {
	case !ok || !row.Time.Equal(at) || row.Value != v:
		return "put:dropped", err
	case row.Until.IsZero():
		return "put:open", err
	}
	return fmt.Sprint("put:", row.Until.UnixMilli()), err
}
