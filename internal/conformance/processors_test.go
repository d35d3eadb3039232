package conformance

import (
	"fmt"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

var processors = theme{
	"processor-api":        {build: processorAPI, stores: map[string]rows{"n": handMade(counts("n"))}},
	"process-children":     {build: processChildren, stores: map[string]rows{"n": handMade(counts("n"))}},
	"process-shared-store": {build: processSharedStore, stores: map[string]rows{"last": handMade(kv("last"))}},
	"process-table-store":  {build: processTableStore, stores: map[string]rows{"t": of(kv("t"))}},
	"process-values-state": {build: processValuesState, stores: map[string]rows{"prev": handMade(kv("prev"))}},
	"dedup":                {build: deduplicate(true), stores: map[string]rows{"seen": handMadeWindows(seen)}},
	"dedup-no-refresh":     {build: deduplicate(false), stores: map[string]rows{"seen": handMadeWindows(seen)}},
}

// withKey is the topic, without records whose key is null.
func withKey(b *topology.Builder, topic string) kstream.Stream[*string, *string] {
	return kstream.Filter(kstream.From(b, nullable(topic)), func(k, _ *string) bool { return k != nil })
}

// tagged is a value for one of several children, or for every one if to is empty.
type tagged struct{ to, value string }

func isFor(child string) func(string, tagged) bool {
	return func(_ string, t tagged) bool { return t.to == "" || t.to == child }
}

// processorAPI is written without kstream and ktable.
func processorAPI(b *topology.Builder) {
	n := counts("n")
	split := topology.Process(topology.Source(b, nullable("in")), "split", func(c *topology.Context[string, tagged]) (topology.Processor[*string, *string], error) {
		return func(r topology.Record[*string, *string]) error {
			if r.Value == nil {
				return nil
			}
			if early(r.Value) {
				if err := c.Emit(topology.Record[string, tagged]{Key: or(r.Key, ""), NoKey: r.NoKey, Value: tagged{"a", *r.Value}}); err != nil {
					return err
				}
			}
			return c.Emit(topology.Record[string, tagged]{Key: *first(r.Value), Value: tagged{"count", or(r.Key, "null")}})
		}, nil
	})
	a := topology.ProcessValues(split, "a", func(c *topology.Context[string, string]) (topology.Processor[string, tagged], error) {
		return func(r topology.Record[string, tagged]) error {
			if r.Value.to != "a" {
				return nil
			}
			return c.Emit(topology.Record[string, string]{Value: r.Value.value})
		}, nil
	})
	topology.Sink(a, plain("out-a"))
	count := topology.ProcessValues(split, "count", func(c *topology.Context[string, string]) (topology.Processor[string, tagged], error) {
		store, err := topology.Open(c, n)
		return func(r topology.Record[string, tagged]) error {
			if r.Value.to != "count" {
				return nil
			}
			n, err := increment(store, r.Key)
			if err != nil {
				return err
			}
			return c.Emit(topology.Record[string, string]{Value: fmt.Sprint(r.Value.value, n)})
		}, err
	}, n)
	topology.Sink(count, plain("out-b"))
}

func increment(store state.KeyValue[string, int64], k string) (int64, error) {
	n, _, err := store.Get(k)
	if err != nil {
		return 0, err
	}
	return n + 1, store.Put(k, n+1)
}

func processChildren(b *topology.Builder) {
	n := counts("n")
	all := kstream.Process(withKey(b, "in"), "count", func(c *topology.Context[string, tagged]) (topology.Processor[*string, *string], error) {
		store, err := topology.Open(c, n)
		return func(r topology.Record[*string, *string]) error {
			n, err := increment(store, *r.Key)
			if err != nil {
				return err
			}
			emit := func(to, value string) error {
				return c.Emit(topology.Record[string, tagged]{Key: *r.Key, Value: tagged{to, value}})
			}
			switch {
			case n%2 == 1:
				return emit("", fmt.Sprint(or(r.Value, "null"), "#", n))
			case n%4 == 0:
				if err := emit("two", "four"); err != nil {
					return err
				}
				return emit("one", "again")
			}
			return nil
		}, err
	}, n)
	value := func(prefix string) func(tagged) string { return func(t tagged) string { return prefix + t.value } }
	one := kstream.MapValues(kstream.Filter(all, isFor("one")), value("1"))
	kstream.To(one, plain("out-one"))
	kstream.To(one, plain("out-all"))
	two := kstream.MapValues(kstream.Filter(all, isFor("two")), value("2"))
	kstream.To(two, plain("out-two"))
	kstream.To(two, plain("out-all"))
	kstream.To(kstream.MapValues(kstream.Filter(all, isFor("three")), value("")), plain("out-three"))
}

func processSharedStore(b *topology.Builder) {
	last := kv("last")
	type none = struct{}
	kstream.Process(withKey(b, "in1"), "write", func(c *topology.Context[none, none]) (topology.Processor[*string, *string], error) {
		store, err := topology.Open(c, last)
		return func(r topology.Record[*string, *string]) error {
			if r.Value == nil {
				return store.Delete(*r.Key)
			}
			return store.Put(*r.Key, *r.Value)
		}, err
	}, last)
	out := kstream.ProcessValues(withKey(b, "in2"), "read", func(c *topology.Context[*string, string]) (topology.Processor[*string, *string], error) {
		store, err := topology.View(c, last)
		return func(r topology.Record[*string, *string]) error {
			v, ok, err := store.Get(*r.Key)
			if err != nil {
				return err
			}
			return c.Emit(topology.Record[*string, string]{Value: or(r.Value, "null") + "/" + orNull(v, ok)})
		}, err
	}, last)
	kstream.To(out, nullKeyed("out"))
}

func processTableStore(b *topology.Builder) {
	t := kv("t")
	ktable.Materialize(ktable.From(b, plain("in1")), t)
	out := kstream.ProcessValues(withKey(b, "in2"), "read", func(c *topology.Context[*string, string]) (topology.Processor[*string, *string], error) {
		rows, err := topology.View(c, t)
		return func(r topology.Record[*string, *string]) error {
			row, ok, err := rows.Row(*r.Key)
			if err != nil {
				return err
			}
			have := "none"
			if ok {
				have = fmt.Sprint(row.Value, "@", row.Time.UnixMilli())
			}
			return c.Emit(topology.Record[*string, string]{Value: or(r.Value, "null") + "/" + have})
		}, err
	}, t)
	kstream.To(out, nullKeyed("out"))
}

func processValuesState(b *topology.Builder) {
	prev := kv("prev")
	says(b, prev, func(_ *topology.Context[*string, string], store state.KeyValue[string, string], k string, r topology.Record[*string, *string]) (string, error) {
		old, ok, err := store.Get(k)
		if err != nil {
			return "", err
		}
		if r.Value == nil {
			err = store.Delete(k)
		} else {
			err = store.Put(k, *r.Value)
		}
		return orNull(old, ok) + ">" + or(r.Value, "null"), err
	})
}

// seen is what dedup remembers of ids: when they came.
var seen = state.Store[window.Key[string], int64]{Name: "seen", Key: window.Keys(serde.String, window.Tumbling{Size: ms}), Value: serde.Int64, Retention: 40 * ms}

// deduplicate drops what came near a record with the same id, as users of Kafka Streams
// write it. Where it refreshes, what it drops prolongs the memory of the id.
func deduplicate(refresh bool) func(*topology.Builder) {
	return func(b *topology.Builder) {
		out := kstream.ProcessValues(kstream.From(b, nullable("in")), "dedup", func(c *topology.Context[*string, *string]) (topology.Processor[*string, *string], error) {
			store, err := topology.Open(c, seen)
			return func(r topology.Record[*string, *string]) error {
				id := first(r.Value)
				if id == nil {
					return c.Emit(r)
				}
				duplicate := false
				for _, err := range state.Windows(store, *id, r.Time.Add(-20*ms), r.Time.Add(20*ms)) {
					if err != nil {
						return err
					}
					duplicate = true
				}
				if duplicate && !refresh {
					return nil
				}
				if err := store.Put(window.Key[string]{Key: *id, Start: r.Time}, r.Time.UnixMilli()); err != nil || duplicate {
					return err
				}
				return c.Emit(r)
			}, err
		}, seen)
		kstream.To(out, nullable("out"))
	}
}
