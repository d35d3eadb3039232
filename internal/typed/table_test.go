package typed_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// open opens a store in memory. Now is the time of what is written without one.
func open[K, V any](t *testing.T, d state.Store[K, V], now *int64) *typed.Table[K, V] {
	t.Helper()
	spec := d.Spec()
	require.NoError(t, spec.Err)
	spec.InMemory = true
	s, err := store.Open("", spec.Spec, "", store.NewResources(store.ResourceLimits{WriteBuffers: 1 << 20}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Destroy()) })
	return typed.New(d, s, func() int64 { return *now })
}

// list is rows as text: "key=value@time".
func list[K, V any](t *testing.T, rows iter.Seq2[state.Row[K, V], error]) (out []string) {
	t.Helper()
	for r, err := range rows {
		require.NoError(t, err)
		out = append(out, fmt.Sprintf("%v=%v@%d", r.Key, r.Value, r.Time.UnixMilli()))
	}
	return out
}

var numbers = state.Store[string, int64]{Name: "numbers", Key: serde.String, Value: serde.Int64}

func TestTable(t *testing.T) {
	now := int64(7)
	s := open(t, numbers, &now)
	_, ok, err := s.Get("a")
	require.NoError(t, err)
	require.False(t, ok)

	require.NoError(t, s.Put("a", 1))
	now = 8
	require.NoError(t, s.PutAt("b", 2, time.UnixMilli(3)))
	row, ok, err := s.Row("a")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, state.Row[string, int64]{Key: "a", Value: 1, Time: time.UnixMilli(7).UTC()}, row)

	old, loaded, err := s.PutIfAbsent("a", 10)
	require.NoError(t, err)
	require.True(t, loaded)
	require.Equal(t, int64(1), old)
	_, loaded, err = s.PutIfAbsent("c", 3)
	require.NoError(t, err)
	require.False(t, loaded)
	require.Equal(t, []string{"a=1@7", "b=2@3", "c=3@8"}, list(t, s.All()))

	require.NoError(t, s.Delete("b"))
	require.NoError(t, s.Delete("nobody"))
	require.Equal(t, []string{"a=1@7", "c=3@8"}, list(t, s.All()))
}

func TestRanges(t *testing.T) {
	now := int64(0)
	s := open(t, numbers, &now)
	for i, k := range []string{"a", "b", "ba", "c", ""} {
		require.NoError(t, s.Put(k, int64(i)))
	}
	require.Equal(t, []string{"b=1@0", "ba=2@0", "c=3@0"}, list(t, s.Range(new("b"), new("c"))), "both ends belong to it")
	require.Equal(t, []string{"c=3@0", "ba=2@0", "b=1@0"}, list(t, s.Backward(new("b"), new("c"))))
	require.Equal(t, []string{"=4@0", "a=0@0", "b=1@0"}, list(t, s.Range(nil, new("b"))))
	require.Equal(t, []string{"ba=2@0", "c=3@0"}, list(t, s.Range(new("b\x00"), nil)))
	require.Empty(t, list(t, s.Range(new("c"), new("a"))))
	for range s.All() {
		break // a loop may end early
	}
}

// A range sees the rows as they were when it began.
func TestWritesDuringARange(t *testing.T) {
	now := int64(0)
	s := open(t, numbers, &now)
	require.NoError(t, s.Put("a", 1))
	require.NoError(t, s.Put("c", 3))
	var seen []string
	for r, err := range s.All() {
		require.NoError(t, err)
		seen = append(seen, r.Key)
		require.NoError(t, s.Put("b", 2))
		require.NoError(t, s.Delete("c"))
	}
	require.Equal(t, []string{"a", "c"}, seen)
	require.Equal(t, []string{"a=1@0", "b=2@0"}, list(t, s.All()))
}

// Nil deletes where V has a nil; a nil key is a mistake.
func TestNilInTables(t *testing.T) {
	now := int64(0)
	s := open(t, state.Store[*string, *string]{Name: "nils", Key: serde.Nullable(serde.String), Value: serde.Nullable(serde.String)}, &now)
	k := new("k")
	require.NoError(t, s.Put(k, new("")))
	v, ok, err := s.Get(k)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "", *v, "an empty value is one")
	require.NoError(t, s.Put(k, nil))
	_, ok, err = s.Get(k)
	require.NoError(t, err)
	require.False(t, ok)

	require.EqualError(t, s.Put(nil, v), `store "nils": a nil key`)
	_, _, err = s.Get(nil)
	require.EqualError(t, err, `store "nils": a nil key`)
}

// Serdes that fail name the store.
func TestSerdesThatFail(t *testing.T) {
	now := int64(0)
	fails := serde.Func(func([]byte, string) ([]byte, error) { return nil, errors.New("no") }, func([]byte) (string, error) { return "", errors.New("no") })
	require.EqualError(t, open(t, state.Store[string, string]{Name: "keys", Key: fails, Value: serde.String}, &now).Put("k", "v"), `store "keys": encode a key: no`)
	require.EqualError(t, open(t, state.Store[string, string]{Name: "values", Key: serde.String, Value: fails}, &now).Put("k", "v"), `store "values": encode a value: no`)

	unread := serde.Func(serde.String.Append, func([]byte) (string, error) { return "", errors.New("no") })
	s := open(t, state.Store[string, string]{Name: "unread", Key: serde.String, Value: unread}, &now)
	require.NoError(t, s.Put("k", "v"))
	_, _, err := s.Get("k")
	require.EqualError(t, err, `store "unread": decode a value: no`)
	failures := 0
	for _, err := range s.All() {
		require.EqualError(t, err, `store "unread": decode a value: no`)
		failures++
	}
	require.Equal(t, 1, failures, "a failure comes once, last")
}

func TestWindowsOfATable(t *testing.T) {
	now := int64(0)
	tens := window.Tumbling{Size: 10 * ms}
	d := state.Store[window.Key[string], int64]{Name: "windows", Key: window.Keys(serde.String, tens), Value: serde.Int64, Retention: time.Second}
	s := open(t, d, &now)
	for i, k := range []window.Key[string]{{Key: "a", Start: time.UnixMilli(0)}, {Key: "b", Start: time.UnixMilli(10)}, {Key: "a", Start: time.UnixMilli(10)}, {Key: "a", Start: time.UnixMilli(30)}} {
		require.NoError(t, s.Put(k, int64(i)))
	}
	starts := func(rows iter.Seq2[state.Row[window.Key[string], int64], error]) (out []string) {
		for r, err := range rows {
			require.NoError(t, err)
			require.Equal(t, 10*ms, r.Key.End.Sub(r.Key.Start))
			out = append(out, fmt.Sprintf("%s%d", r.Key.Key, r.Key.Start.UnixMilli()))
		}
		return out
	}
	at := time.UnixMilli
	require.Equal(t, []string{"a0", "a10", "a30"}, starts(state.Windows(s, "a", time.Time{}, time.Time{})))
	require.Equal(t, []string{"a0", "a10"}, starts(state.Windows(s, "a", at(9), at(10))), "those that hold an instant of it")
	require.Equal(t, []string{"a0"}, starts(state.Windows(s, "a", at(9), at(9))))
	require.Empty(t, starts(state.Windows(s, "a", at(20), at(29))))
	require.Equal(t, []string{"a10", "b10", "a30"}, starts(state.AllWindows(s, at(10), time.Time{})), "by start, and then by key")
}

func TestSessionsOfATable(t *testing.T) {
	now := int64(0)
	d := state.Store[window.Key[string], int64]{Name: "sessions", Key: window.Keys(serde.String, window.Session{Gap: ms}), Value: serde.Int64, Retention: time.Second}
	s := open(t, d, &now)
	session := func(start, end int64) window.Key[string] {
		return window.Key[string]{Key: "a", Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(end).UTC()}
	}
	require.NoError(t, s.Put(session(0, 5), 1))
	require.NoError(t, s.Put(session(10, 10), 2))
	require.NoError(t, s.Put(session(20, 30), 3))
	values := func(from, to time.Time) (out []int64) {
		for r, err := range state.Windows(s, "a", from, to) {
			require.NoError(t, err)
			out = append(out, r.Value)
		}
		return out
	}
	require.Equal(t, []int64{1, 2, 3}, values(time.Time{}, time.Time{}))
	require.Equal(t, []int64{1, 2}, values(time.UnixMilli(5), time.UnixMilli(10)))
	require.Equal(t, []int64{3}, values(time.UnixMilli(25), time.UnixMilli(25)))
	require.Empty(t, values(time.UnixMilli(6), time.UnixMilli(9)))
	v, ok, err := s.Get(session(20, 30))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, int64(3), v)
}

func TestVersionsOfATable(t *testing.T) {
	now := int64(0)
	d := numbers
	d.History = 100 * ms
	s := open(t, d, &now)
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
	require.NoError(t, s.PutAt("a", 1, at(10)))
	require.NoError(t, s.PutAt("a", 3, at(30)))
	require.NoError(t, s.PutAt("a", 2, at(20))) // late
	require.NoError(t, s.DeleteAt("a", at(40)))

	row, ok, err := state.GetAt(s, "a", at(25))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, state.Row[string, int64]{Key: "a", Value: 2, Time: at(20), Until: at(30)}, row)
	_, ok, err = state.GetAt(s, "a", at(40))
	require.NoError(t, err)
	require.False(t, ok, "it is deleted")
	_, ok, err = s.Get("a")
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, []string{"a=1@10", "a=2@20", "a=3@30"}, list(t, state.Versions(s, "a", time.Time{}, time.Time{})))
	require.Equal(t, []string{"a=2@20", "a=3@30"}, list(t, state.Versions(s, "a", at(25), at(30))))
}

// What a store cannot do it says.
func TestWhatAStoreCannotDo(t *testing.T) {
	now := int64(0)
	s := open(t, numbers, &now)
	_, _, err := state.GetAt(s, "a", time.UnixMilli(1))
	require.EqualError(t, err, `store "numbers": GetAt of a store without History`)
	for _, err := range state.Versions(s, "a", time.Time{}, time.Time{}) {
		require.EqualError(t, err, `store "numbers": Versions of a store without History`)
	}
}
