package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// Many stores that were all busy once take no more memory together than they were given.
func TestManyStoresShareMemory(t *testing.T) {
	const stores, mib = 50, 1 << 20
	limits := ResourceLimits{BlockCache: 4 * mib, WriteBuffers: 8 * mib, MinBuffer: 16 << 10, RowCaches: 8 * mib, Restores: 8 * mib, Uncommitted: 8 * mib, Filters: 4 * mib}
	res := NewResources(limits)
	res.Expect(stores)
	before := heap()
	var all []*Store
	for i := range stores {
		all = append(all, openWith(t, t.TempDir(), Spec{Name: fmt.Sprint("store ", i)}, res))
	}
	for _, s := range all {
		for r := range 4 { // a burst of 4 MB, restored, read and committed
			burst(t, s, int64(r))
		}
	}
	used := heap() - before
	t.Logf("%d MiB for %d stores", used/mib, stores)
	require.Less(t, used, 50*mib, "buffers and caches of 40 MiB, and what each store has to have")
	runtime.KeepAlive(all)
}

func openWith(t *testing.T, dir string, spec Spec, res *Resources) *Store {
	s, err := Open(dir, spec, "origin", res)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// burst restores a thousand rows of a kilobyte, reads them, and changes them.
func burst(t *testing.T, s *Store, round int64) {
	value := bytes.Repeat([]byte{byte(round)}, 1000)
	var log []kafka.Record
	for i := range int64(1000) {
		log = append(log, kafka.Record{Key: fmt.Append(nil, "key", i), Value: value, Time: i, Offset: round*2000 + i})
	}
	require.NoError(t, s.Restore(log, round*2000+1000))
	require.NoError(t, s.FinishRestore())
	for _, r := range log {
		_, ok, err := s.Get(r.Key)
		require.True(t, ok && err == nil)
		_, err = s.Put(r.Key, value, 1)
		require.NoError(t, err)
	}
	require.NoError(t, s.Commit(round*2000+2000))
}

func heap() int {
	runtime.GC()
	runtime.GC() // what the first one found to be finalised
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A restore writes earlier when others are under way.
func TestRestoresShareMemory(t *testing.T) {
	res := NewResources(ResourceLimits{Restores: 2 << 20})
	value := make([]byte, 1000)
	var most int
	var all []*Store
	for i := range 4 {
		all = append(all, openWith(t, t.TempDir(), Spec{Name: fmt.Sprint("store ", i)}, res))
	}
	for at := range int64(2000) {
		sum := 0
		for _, s := range all {
			require.NoError(t, s.Restore([]kafka.Record{{Key: fmt.Append(nil, at), Value: value, Offset: at}}, at+1))
			sum += s.Dirty()
		}
		if at > 0 { // all have begun
			most = max(most, sum)
		}
	}
	require.Less(t, most, 2<<20+4*2000)
	require.Greater(t, most, 1<<20)
	for _, s := range all {
		require.NoError(t, s.FinishRestore())
		_, ok, err := s.Get([]byte("1999"))
		require.True(t, ok && err == nil)
	}
	require.Zero(t, res.restores.users.Load())
}

// Without room for filters a store is slower, and right.
func TestFiltersWithoutRoom(t *testing.T) {
	var logged bytes.Buffer
	limit := filterSize(0) + filterSize(1) // not for a third
	res := NewResources(ResourceLimits{Filters: limit, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	dir := t.TempDir()
	s := openWith(t, dir, windowSpec, res)
	keys := (capacity(0) + capacity(1)) * 11 / 10
	for i := range keys {
		putWindow(t, s, fmt.Sprint(i), 1000)
	}
	require.NoError(t, s.Commit(1))
	require.LessOrEqual(t, int(res.filters.used.Load()), limit)
	require.Contains(t, logged.String(), "filters")
	look := func(s *Store) {
		for i := 0; i < keys+100; i += 1000 {
			_, ok, err := s.Get(AppendWindowKey(nil, fmt.Append(nil, i), 1000))
			require.NoError(t, err)
			require.Equal(t, i < keys, ok, i)
		}
	}
	look(s)
	require.NoError(t, s.Close())
	require.Zero(t, res.filters.used.Load())
	s = openWith(t, dir, windowSpec, res)
	look(s)
	require.NoError(t, s.Close())
	require.Zero(t, res.filters.used.Load())
	require.Zero(t, res.rows.users.Load())
	require.Zero(t, res.kept.users.Load())
}

// The write buffers of databases that are yet to come are left to them.
func TestExpectedDatabases(t *testing.T) {
	r := NewResources(ResourceLimits{})
	r.Expect(64)
	require.Equal(t, 1<<20, r.writeBuffer())
}
