package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

func TestMain(m *testing.M) {
	// This one ends by itself, a second after the database is closed.
	const drain = "github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(drain))
}

func openTest(t testing.TB, dir string, spec Spec) *Store {
	t.Helper()
	s, err := Open(dir, spec, "origin", NewResources(ResourceLimits{WriteBuffers: 1}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// collect returns copies of the rows of a scan.
func collect(t testing.TB, rows iter.Seq2[Row, error]) []Row {
	t.Helper()
	var all []Row
	for r, err := range rows {
		require.NoError(t, err)
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		all = append(all, r)
	}
	return all
}

func put(t testing.TB, s *Store, key, value string) {
	t.Helper()
	dropped, err := s.Put([]byte(key), []byte(value), 7)
	require.NoError(t, err)
	require.False(t, dropped)
}

func remove(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(path))
}

func TestOpenWipes(t *testing.T) {
	spec := Spec{Name: "rows"}
	for _, c := range []struct {
		name   string
		origin string
		change func(t *testing.T, dir string)
		wiped  bool
	}{
		{"nothing changed", "origin", func(*testing.T, string) {}, false},
		{"another origin", "other", func(*testing.T, string) {}, true},
		{"another format", "origin", func(t *testing.T, dir string) {
			path := filepath.Join(dir, manifestName)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, bytes.Replace(b, []byte(manifestMagic), []byte("streams store 0\n"), 1), 0o600))
		}, true},
		{"no manifest", "origin", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, manifestName)) }, true},
		{"a manifest half written", "origin", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, manifestName+".new"), nil, 0o600))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "task", "rows")
			s := openTest(t, dir, spec)
			info, err := os.Stat(dir)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
			put(t, s, "key", "value")
			require.NoError(t, s.Commit(5))
			require.NoError(t, s.Close())
			c.change(t, dir)

			var logged bytes.Buffer
			s, err = Open(dir, spec, c.origin, NewResources(ResourceLimits{Logger: slog.New(slog.NewTextHandler(&logged, nil))}))
			require.NoError(t, err)
			defer s.Close()
			_, ok, err := s.Get([]byte("key"))
			require.NoError(t, err)
			require.Equal(t, !c.wiped, ok)
			require.Equal(t, c.wiped, s.Offset() == -1)
			require.Equal(t, c.wiped, bytes.Contains(logged.Bytes(), []byte("store=rows")), logged.String())
		})
	}
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Spec{Name: "rows"})
	put(t, s, "key", "value")
	require.NoError(t, s.Commit(1))
	_, err := Open(dir, Spec{Name: "rows"}, "origin", NewResources(ResourceLimits{}))
	require.ErrorContains(t, err, `store: open "rows" in`)
	_, ok, err := s.Get([]byte("key"))
	require.True(t, ok && err == nil, "the open store is as it was")
}

// Another retention means other buckets, where rows would not be found.
func TestOpenWithAnotherSpec(t *testing.T) {
	dir := t.TempDir()
	for _, spec := range []Spec{
		{Name: "x"},
		{Name: "x", Kind: Window, Retention: 180_000},
		{Name: "x", Kind: Window, Retention: 1_800_000},
		{Name: "x", Kind: Session, Retention: 1_800_000},
		{Name: "x", Kind: Versioned, History: 5},
		{Name: "x"},
	} {
		s := openTest(t, dir, spec)
		require.EqualValues(t, -1, s.Offset(), "%+v", spec)
		require.Empty(t, collect(t, s.Scan(all)))
		require.NoError(t, s.Commit(5))
		require.NoError(t, s.Close())
		s = openTest(t, dir, spec)
		require.EqualValues(t, 5, s.Offset(), "%+v", spec)
		require.NoError(t, s.Close())
	}
}

func TestAbortEndsARestore(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "rows"})
	require.NoError(t, s.Restore([]kafka.Record{{Key: []byte("a"), Value: []byte("1")}}, 5))
	s.Abort()
	require.NoError(t, s.FinishRestore())
	require.EqualValues(t, -1, s.Offset())
	require.Empty(t, collect(t, s.Scan(all)))
}

func TestSpecIsChecked(t *testing.T) {
	for want, s := range map[string]Spec{
		"needs a name":      {},
		"unknown kind":      {Name: "x", Kind: 9},
		"needs a retention": {Name: "x", Kind: Window},
		"needs a history":   {Name: "x", Kind: Versioned},
	} {
		_, err := Open(t.TempDir(), s, "origin", NewResources(ResourceLimits{}))
		require.ErrorContains(t, err, want)
	}
}

func TestMisuse(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "rows"})
	_, _, err := s.PutVersion([]byte("key"), nil, 1)
	require.ErrorContains(t, err, `store: "rows" is a key-value store and keeps no versions`)
	_, _, err = s.GetAt([]byte("key"), 1)
	require.ErrorContains(t, err, "keeps no versions")

	put(t, s, "key", "value")
	require.ErrorContains(t, s.Restore(nil, 1), "there are uncommitted rows")
	s.Abort()
	err = s.Restore([]kafka.Record{{Value: []byte("x"), Offset: 3}}, 4)
	require.ErrorContains(t, err, "record at offset 3: it has no key")

	w := openTest(t, t.TempDir(), Spec{Name: "windows", Kind: Window, Retention: 1})
	_, err = w.Put([]byte("key"), nil, 1)
	require.ErrorContains(t, err, "make it with AppendWindowKey")
	err = w.Restore([]kafka.Record{{Key: []byte("short")}}, 1)
	require.ErrorContains(t, err, "too short")

	v := openTest(t, t.TempDir(), Spec{Name: "versions", Kind: Versioned, History: 1})
	_, err = v.Put([]byte("key"), nil, 1)
	require.ErrorContains(t, err, "use PutVersion")
}

func TestRestoreRefusesDuplicatesOfJavaStores(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "windows", Kind: Window, Retention: 1})
	key := appendChangelogWindowKey(nil, []byte("key"), 5, 0)
	key[len(key)-1] = 1
	require.ErrorContains(t, s.Restore([]kafka.Record{{Key: key}}, 1), "keeps duplicates")
}

func TestClosed(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "rows"})
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "again")
	_, _, err := s.Get([]byte("key"))
	require.ErrorIs(t, err, errClosed)
	_, err = s.Put([]byte("key"), nil, 1)
	require.ErrorIs(t, err, errClosed)
	for _, err := range s.Scan(all) {
		require.ErrorIs(t, err, errClosed)
	}
	require.ErrorIs(t, s.Commit(1), errClosed)
	require.ErrorIs(t, s.Flush(), errClosed)
	require.ErrorIs(t, s.Restore(nil, 1), errClosed)
	require.ErrorIs(t, s.FinishRestore(), errClosed)
	require.ErrorIs(t, s.Changelog(nil), errClosed)
	s.Abort()
	s.Mark()
	s.Undo()
	require.Zero(t, s.Dirty())
}

func TestDestroy(t *testing.T) {
	for _, spec := range modelSpecs() {
		dir := filepath.Join(t.TempDir(), "store")
		s := openTest(t, dir, spec)
		require.NoError(t, s.Destroy())
		require.NoDirExists(t, dir)
	}
}

func TestChangelogBytes(t *testing.T) {
	emitted := func(s *Store) (out []string) {
		require.NoError(t, s.Changelog(func(key, value []byte, time int64) error {
			out = append(out, fmt.Sprintf("%q %q %v %d", key, value, value == nil, time))
			return nil
		}))
		return out
	}
	s := openTest(t, t.TempDir(), Spec{Name: "rows"})
	put(t, s, "b", "1")
	put(t, s, "a", "1")
	put(t, s, "b", "")
	_, err := s.Put([]byte("a"), nil, 9)
	require.NoError(t, err)
	require.Equal(t, []string{`"b" "" false 7`, `"a" "" true 9`}, emitted(s))
	require.Empty(t, emitted(s), "each change is emitted once")
	put(t, s, "a", "2")
	s.Undo()
	require.Empty(t, emitted(s), "what was undone is no change")
	require.Len(t, collect(t, s.Scan(all)), 1, "what was emitted is not undone")
	put(t, s, "a", "3")
	require.Equal(t, []string{`"a" "3" false 7`}, emitted(s))
	_, err = s.Put([]byte("b"), nil, 9)
	require.NoError(t, err)
	put(t, s, "c", "of b")
	require.Equal(t, []string{`"c" "of b" false 7`, `"b" "" true 9`}, emitted(s), "a delete comes after what took its row over")

	w := openTest(t, t.TempDir(), Spec{Name: "windows", Kind: Window, Retention: 1000})
	put(t, w, string(AppendWindowKey(nil, []byte("a\x00"), 258)), "1")
	require.Equal(t, []string{`"a\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00" "1" false 7`}, emitted(w))

	v := openTest(t, t.TempDir(), Spec{Name: "versions", Kind: Versioned, History: 1000})
	for _, at := range []int64{5, 3, 5} {
		_, _, err := v.PutVersion([]byte("a"), []byte{'0' + byte(at)}, at)
		require.NoError(t, err)
	}
	_, _, err = v.PutVersion([]byte("a"), nil, 6)
	require.NoError(t, err)
	require.Equal(t, []string{`"a" "5" false 5`, `"a" "3" false 3`, `"a" "" true 6`}, emitted(v))
}

func TestChangelogStops(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "rows"})
	put(t, s, "a", "1")
	full := errors.New("full")
	require.ErrorIs(t, s.Changelog(func(_, _ []byte, _ int64) error { return full }), full)
	n := 0
	require.NoError(t, s.Changelog(func(_, _ []byte, _ int64) error { n++; return nil }))
	require.Equal(t, 1, n, "what was refused is emitted again")
}

// The slices of Changelog are kept by the producer until the commit.
func TestChangelogSlicesStay(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "windows", Kind: Window, Retention: 1 << 40})
	var keys, values [][]byte
	for round := range 3 {
		for i := range 1000 {
			put(t, s, string(AppendWindowKey(nil, fmt.Append(nil, round), int64(i))), fmt.Sprint(round, " ", i))
		}
		require.NoError(t, s.Changelog(func(k, v []byte, _ int64) error {
			keys, values = append(keys, k), append(values, v)
			return nil
		}))
	}
	require.Len(t, keys, 3000)
	for n, k := range keys {
		key, start, _, err := splitChangelogWindowKey(k)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(n/1000), string(key))
		require.EqualValues(t, n%1000, start)
		require.Equal(t, fmt.Sprint(n/1000, " ", n%1000), string(values[n]))
	}
}

func TestCommitWithoutOffset(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Spec{Name: "rows"})
	put(t, s, "a", "1")
	require.NoError(t, s.Commit(-1))
	require.EqualValues(t, -1, s.Offset())
	require.NoError(t, s.Commit(4))
	put(t, s, "b", "1")
	require.NoError(t, s.Commit(-1))
	require.NoError(t, s.Close())
	s = openTest(t, dir, Spec{Name: "rows"})
	require.EqualValues(t, 4, s.Offset())
	require.Len(t, collect(t, s.Scan(all)), 2)
}

func TestLen(t *testing.T) {
	for _, spec := range modelSpecs() {
		s := openTest(t, t.TempDir(), spec)
		add := func(from, to int) {
			for i := from; i < to; i++ {
				key := id(nil, uint64(i))
				var err error
				switch spec.Kind {
				case Versioned:
					_, _, err = s.PutVersion(key, key, 1)
				case Window:
					_, err = s.Put(AppendWindowKey(nil, key, 1), key, 1)
				case Session:
					_, err = s.Put(AppendSessionKey(nil, key, 1, 1), key, 1)
				case List:
					_, err = s.Put(AppendListKey(nil, key, 1, 0), key, 1)
				default:
					_, err = s.Put(key, key, 1)
				}
				require.NoError(t, err)
			}
			require.NoError(t, s.Commit(int64(to)))
		}
		add(0, 100)
		n, err := s.Len()
		require.NoError(t, err)
		require.EqualValues(t, 100, n)
		add(100, 30_000)
		for range 2 { // in memory and on disk
			n, err = s.Len()
			require.NoError(t, err)
			require.InEpsilon(t, 30_000, n, 0.5, "%+v", spec)
			require.NoError(t, s.Flush())
		}
	}
}

// The steady state of a task's loop allocates nothing.
func TestNoAllocations(t *testing.T) {
	for _, spec := range []Spec{{Name: "rows"}, {Name: "windows", Kind: Window, Retention: 1 << 40}} {
		s := openTest(t, t.TempDir(), spec)
		keys := make([][]byte, 2000)
		for i := range keys {
			keys[i] = id(nil, uint64(i))
			if spec.Kind == Window {
				keys[i] = AppendWindowKey(nil, keys[i], int64(i))
			}
		}
		n := 0
		step := func() {
			for range keys {
				key := keys[n%len(keys)]
				n++
				s.Mark()
				row, ok, err := s.Get(key)
				if err != nil || ok && len(row.Value) != len(key) {
					t.Fatal(row, err)
				}
				if _, err := s.Put(key, key, int64(n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 3 { // fill the cache and grow the buffers
			step()
			step()
			require.NoError(t, s.Commit(int64(n)))
		}
		least := 1.0
		for range 5 { // goleveldb may work in the background, but hardly each time
			least = min(least, testing.AllocsPerRun(1, step))
			require.NoError(t, s.Commit(int64(n)))
		}
		require.Zero(t, least, "%v", spec.Kind)
	}
}

func TestBigRows(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Spec{Name: "rows"})
	big := bytes.Repeat([]byte("0123456789"), 300_000) // more than the write buffer
	for i := range 3 {
		put(t, s, fmt.Sprint(i), string(big))
	}
	require.NoError(t, s.Commit(3))
	for range 2 {
		for i := range 3 {
			row, ok, err := s.Get(fmt.Append(nil, i))
			require.NoError(t, err)
			require.True(t, ok)
			require.True(t, bytes.Equal(big, row.Value))
		}
		require.NoError(t, s.Close())
		s = openTest(t, dir, Spec{Name: "rows"})
	}
}

func TestTooMuchUncommitted(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "rows"})
	s.dirty.limit = 100
	put(t, s, "a", "1")
	_, err := s.Put([]byte("b"), make([]byte, 100), 1)
	require.ErrorIs(t, err, errTooMuch)
	require.Len(t, collect(t, s.Scan(all)), 1)
	require.NoError(t, s.Commit(1))
	put(t, s, "b", "1")
}

func TestWindowTimesAtTheLimits(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "windows", Kind: Window, Retention: math.MaxInt64})
	starts := []int64{math.MinInt64 + 1, -1, 0, 1, math.MaxInt64}
	for _, start := range starts[:4] {
		put(t, s, string(AppendWindowKey(nil, []byte("a"), start)), "1")
	}
	require.NoError(t, s.Commit(1))
	put(t, s, string(AppendWindowKey(nil, []byte("a"), starts[4])), "1")
	for _, q := range []Query{all, {Key: []byte("a"), Start: all.Start, End: all.End}, {ByTime: true, Start: all.Start, End: all.End}} {
		var got []int64
		for row, err := range s.Scan(q) {
			require.NoError(t, err)
			_, start := SplitWindowKey(row.Key)
			got = append(got, start)
		}
		require.Equal(t, starts[3:], got, "%+v", q)
	}
}
