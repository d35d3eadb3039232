package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

const ms = time.Millisecond

// Topics. In those of nullable both keys and values may be null; in keyed ones the value
// may be, and a key that is null is left to the operators; in plain ones neither.

func keyed(name string) topology.Topic[string, *string] { return topology.Nullable(plain(name)) }

func plain(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

func nullKeyed(name string) topology.Topic[*string, string] {
	return topology.Topic[*string, string]{Name: name, Key: serde.Nullable(serde.String), Value: serde.String}
}

// Stores.

func kv(name string) state.Store[string, string] {
	return state.Store[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

func kvNull(name string) state.Store[string, *string] {
	return state.Store[string, *string]{Name: name, Key: serde.String, Value: serde.Nullable(serde.String)}
}

func counts(name string) state.Store[string, int64] {
	return state.Store[string, int64]{Name: name, Key: serde.String, Value: serde.Int64}
}

func windowed[V any](name string, w window.Windows, v serde.Serde[V]) state.Store[window.Key[string], V] {
	return state.Store[window.Key[string], V]{Name: name, Key: window.Keys(serde.String, w), Value: v}
}

func versioned(name string, history time.Duration) state.Store[string, string] {
	return state.Store[string, string]{Name: name, Key: serde.String, Value: serde.String, History: history}
}

func nullVersions(name string, history time.Duration) state.Store[string, *string] {
	s := kvNull(name)
	s.History = history
	return s
}

// Functions that many topologies share. Those of null are for texts.

func early(v *string) bool { return v != nil && *v < "r" }

func first(v *string) *string {
	if v == nil {
		return nil
	}
	return new((*v)[:1])
}

func firstOf(_, v *string) *string { return first(v) }

func or(v *string, null string) string {
	if v == nil {
		return null
	}
	return *v
}

func orNull(v string, ok bool) string {
	if !ok {
		return "null"
	}
	return v
}

func comma(a, v string) string { return a + "," + v }

// longs writes counts as text.
func longs(t ktable.Table[string, int64]) {
	out := kstream.MapValues(kstream.Changes(t), func(n *int64) *string {
		if n == nil {
			return nil
		}
		return new(strconv.FormatInt(*n, 10))
	})
	kstream.To(out, keyed("out"))
}

// toWindows writes a windowed table as text.
func toWindows[V any](t ktable.Table[window.Key[string], V]) {
	out := kstream.Map(kstream.Changes(t), func(k window.Key[string], v *V) (string, *string) {
		if v == nil {
			return At(k), nil
		}
		return At(k), new(text(*v))
	})
	kstream.To(out, keyed("out"))
}

// rows reads a store of a driver, in the order of keys and then of times.
type rows func(*streamstest.Driver) ([]row, error)

// of reads a store of a table or an aggregate, with the times of its rows.
func of[K, V any](s state.Store[K, V]) rows {
	return func(d *streamstest.Driver) ([]row, error) {
		return readRows(d, s, func(r state.Row[K, V]) row {
			return row{Key: text(r.Key), Value: text(r.Value), Time: new(r.Time.UnixMilli())}
		})
	}
}

// handMade reads a store that a processor writes, whose rows' times the vectors leave out.
func handMade[K, V any](s state.Store[K, V]) rows {
	return func(d *streamstest.Driver) ([]row, error) {
		return readRows(d, s, func(r state.Row[K, V]) row { return row{Key: text(r.Key), Value: text(r.Value)} })
	}
}

// ofWindows reads a window store of an aggregate.
func ofWindows[V any](s state.Store[window.Key[string], V]) rows {
	return func(d *streamstest.Driver) ([]row, error) {
		return readRows(d, s, func(r state.Row[window.Key[string], V]) row {
			return row{Key: r.Key.Key, Start: new(r.Key.Start.UnixMilli()), Value: text(r.Value), Time: new(r.Time.UnixMilli())}
		})
	}
}

// handMadeWindows reads a window store that a processor writes.
func handMadeWindows[V any](s state.Store[window.Key[string], V]) rows {
	return func(d *streamstest.Driver) ([]row, error) {
		return readRows(d, s, func(r state.Row[window.Key[string], V]) row {
			return row{Key: r.Key.Key, Start: new(r.Key.Start.UnixMilli()), Value: text(r.Value)}
		})
	}
}

// ofSessions reads a session store.
func ofSessions[V any](s state.Store[window.Key[string], V]) rows {
	return func(d *streamstest.Driver) ([]row, error) {
		return readRows(d, s, func(r state.Row[window.Key[string], V]) row {
			return row{Key: r.Key.Key, Start: new(r.Key.Start.UnixMilli()), End: new(r.Key.End.UnixMilli()), Value: text(r.Value)}
		})
	}
}

func readRows[K, V any](d *streamstest.Driver, s state.Store[K, V], rowOf func(state.Row[K, V]) row) (rows []row, err error) {
	for r, err := range streamstest.Rows(d, s).All() {
		if err != nil {
			return nil, err
		}
		rows = append(rows, rowOf(r))
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), compare(a.Start, b.Start), compare(a.End, b.End))
	})
	return rows, nil
}

func compare(a, b *int64) int {
	if a == nil || b == nil {
		return 0
	}
	return cmp.Compare(*a, *b)
}

// text is a value as the vectors write it.
func text(v any) string {
	switch v := v.(type) {
	case *string:
		return *v
	case []string:
		return strings.Join(v, ",")
	default:
		return fmt.Sprint(v)
	}
}
