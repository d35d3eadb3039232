package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Segments of one minute.
var windowSpec = Spec{Name: "windows", Kind: Window, Retention: 180_000}

func putWindow(t *testing.T, s *Store, key string, start int64) {
	t.Helper()
	dropped, err := s.Put(AppendWindowKey(nil, []byte(key), start), []byte("value"), start)
	require.NoError(t, err)
	require.False(t, dropped)
}

func names(t *testing.T, dir string) (names []string) {
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

func TestSegmentsAreDropped(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	s.engine.(*segments).young = -1 // a database at once
	for i := range int64(3) {
		putWindow(t, s, "a", i*60_000)
	}
	require.NoError(t, s.Commit(1))
	require.Equal(t, []string{"0", "1", "2", ageName, manifestName}, names(t, dir))
	putWindow(t, s, "a", 180_000+59_999) // 0 to 59,999 are out of reach
	require.NoError(t, s.Commit(2))
	require.Equal(t, []string{"1", "2", "3", ageName, manifestName}, names(t, dir))
	putWindow(t, s, "a", 1_000_000)
	require.NoError(t, s.Commit(3))
	require.Equal(t, []string{"16", ageName, manifestName}, names(t, dir))
	require.NoError(t, s.Close())
	require.Equal(t, []string{"16", "16.bloom", ageName, manifestName}, names(t, dir))
}

// A young segment is in memory. It gets a database when it grows or has to be durable, and
// a crash before that is made up for by the changelog, even if other segments are ahead.
func TestYoungSegments(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	putWindow(t, s, "a", 0)
	require.NoError(t, s.Commit(1))
	require.Equal(t, []string{ageName, manifestName}, names(t, dir), "nothing on disk")
	s.engine.(*segments).young = 100
	for i := range int64(10) {
		putWindow(t, s, fmt.Sprint("key", i), 60_000)
		require.NoError(t, s.Commit(2+i))
	}
	require.Equal(t, []string{"1", ageName, manifestName}, names(t, dir), "the one that grew")
	require.NoError(t, s.engine.(*segments).find(1).rows.(*database).flush())

	copied := t.TempDir()
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir))) // as after a crash
	crashed := openTest(t, copied, windowSpec)
	require.EqualValues(t, -1, crashed.Offset(), "the row of segment 0 is lost, and to be restored")
	require.Len(t, collect(t, crashed.Scan(all)), 10)

	require.NoError(t, s.Close())
	require.Equal(t, []string{"0", "0.bloom", "1", "1.bloom", ageName, manifestName}, names(t, dir))
	again := openTest(t, dir, windowSpec)
	require.EqualValues(t, 11, again.Offset())
	require.Len(t, collect(t, again.Scan(all)), 11)
}

// The changelog before the oldest living segment is needed by nobody.
func TestNeeded(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	require.EqualValues(t, -1, s.Needed())
	putWindow(t, s, "a", 0)
	require.NoError(t, s.Commit(10))
	putWindow(t, s, "a", 60_000)
	require.NoError(t, s.Commit(20))
	require.EqualValues(t, -1, s.Needed(), "segment 0 has rows from the beginning")
	putWindow(t, s, "a", 240_000)
	require.NoError(t, s.Commit(30))
	require.EqualValues(t, 10, s.Needed(), "segment 0 is forgotten, segment 1 began after 10")
	require.NoError(t, s.Close())
	require.EqualValues(t, 10, openTest(t, dir, windowSpec).Needed(), "also after a restart")
	require.EqualValues(t, -1, openTest(t, t.TempDir(), Spec{Name: "plain"}).Needed())
}

func TestRowsAreForgottenExactly(t *testing.T) {
	s := openTest(t, t.TempDir(), windowSpec)
	putWindow(t, s, "a", 1000)
	require.NoError(t, s.Commit(1))
	key := AppendWindowKey(nil, []byte("a"), 1000)

	putWindow(t, s, "b", 180_999)
	_, ok, err := s.Get(key)
	require.True(t, ok && err == nil)
	require.Len(t, collect(t, s.Scan(all)), 2)

	s.Mark()
	putWindow(t, s, "b", 181_000)
	_, ok, err = s.Get(key)
	require.True(t, !ok && err == nil, "its segment is there, the row is not")
	require.Len(t, collect(t, s.Scan(all)), 2)
	dropped, err := s.Put(key, []byte("late"), 1)
	require.True(t, dropped && err == nil)

	s.Undo()
	_, ok, err = s.Get(key)
	require.True(t, ok && err == nil)
	dropped, err = s.Put(key, []byte("not late"), 1)
	require.True(t, !dropped && err == nil)
}

func TestTimeIsKeptOverRestarts(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	putWindow(t, s, "a", 500_000)
	_, err := s.Put(AppendWindowKey(nil, []byte("a"), 900_000), nil, 1)
	require.NoError(t, err)
	require.NoError(t, s.Commit(1))
	require.NoError(t, s.Close())
	s = openTest(t, dir, windowSpec)
	dropped, err := s.Put(AppendWindowKey(nil, []byte("a"), 720_000), nil, 1)
	require.True(t, dropped && err == nil)
}

// A drop that was cut short leaves a directory that the manifest does not list.
func TestTrashIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	putWindow(t, s, "a", 1000)
	require.NoError(t, s.Commit(1))
	require.NoError(t, s.Close())
	for _, name := range []string{trashPrefix + "7", "8", "8.bloom", manifestName + ".new"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name, "sub"), 0o700))
	}
	s = openTest(t, dir, windowSpec)
	require.Equal(t, []string{"0", ageName, manifestName}, names(t, dir))
	require.Len(t, collect(t, s.Scan(all)), 1)
}

// crashTest ends a store without a flush and opens it again.
func crashTest(t *testing.T, s *Store) *Store {
	t.Helper()
	require.NoError(t, s.engine.close())
	s.end()
	files, err := filepath.Glob(filepath.Join(s.dir, "*"+bloomSuffix))
	require.NoError(t, err)
	for _, f := range files {
		remove(t, f)
	}
	return openTest(t, s.dir, s.spec)
}

func TestQuietSegmentsDoNotHoldTheStoreBack(t *testing.T) {
	s := openTest(t, t.TempDir(), windowSpec)
	s.engine.(*segments).lag = 10_000
	putWindow(t, s, "quiet", 1000)
	require.NoError(t, s.Commit(1))
	for i := range int64(1000) {
		putWindow(t, s, fmt.Sprint("busy ", i), 61_000)
		require.NoError(t, s.Commit(2+i))
	}
	s = crashTest(t, s)
	// The busy segment never filled its memory, and is complete up to its creation.
	require.EqualValues(t, 1, s.Offset())
	require.Len(t, collect(t, s.Scan(all)), 1)

	s.engine.(*segments).lag = 10_000
	for i := range int64(1000) {
		start := 61_000 + i%3*60_000 // none has half of the rows
		putWindow(t, s, fmt.Sprint("busy ", i), start)
		require.NoError(t, s.Commit(2000+i))
	}
	s = crashTest(t, s)
	require.Greater(t, s.Offset(), int64(2500))
}

func TestNewSegmentDoesNotHoldTheStoreBack(t *testing.T) {
	s := openTest(t, t.TempDir(), windowSpec)
	putWindow(t, s, "a", 1000)
	require.NoError(t, s.Commit(100))
	require.NoError(t, s.Flush())
	putWindow(t, s, "a", 61_000)
	require.NoError(t, s.Commit(110))
	s = crashTest(t, s)
	require.EqualValues(t, 100, s.Offset())
}

// A database that lost what it had when it was flushed must not pass as complete.
func TestLostSegmentIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	putWindow(t, s, "a", 1000)
	putWindow(t, s, "a", 61_000)
	require.NoError(t, s.Commit(100))
	require.NoError(t, s.Close())
	remove(t, filepath.Join(dir, "0"))
	s = openTest(t, dir, windowSpec)
	require.EqualValues(t, -1, s.Offset())
	require.Empty(t, collect(t, s.Scan(all)))
}

func TestBloomIsSavedAndRebuilt(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	for i := range 1000 {
		putWindow(t, s, fmt.Sprint(i), 1000)
	}
	require.NoError(t, s.Commit(1))
	require.NoError(t, s.Close())

	for _, change := range []func(path string){
		func(string) {},
		func(path string) { remove(t, path) },
		func(path string) { require.NoError(t, os.WriteFile(path, []byte("no filter"), 0o600)) },
	} {
		path := filepath.Join(dir, "0"+bloomSuffix)
		require.FileExists(t, path)
		change(path)
		s = openTest(t, dir, windowSpec)
		require.NoFileExists(t, path, "it must be gone before the first write")
		b := s.engine.(*segments).list[0].bloom
		wrong := 0
		for i := range 1000 {
			require.True(t, b.has(appendEscaped([]byte{tagRow}, fmt.Append(nil, i))))
			if b.has(appendEscaped([]byte{tagRow}, fmt.Append(nil, "x", i))) {
				wrong++
			}
		}
		require.Less(t, wrong, 20)
		require.NoError(t, s.Close())
	}
}

func TestCommitDuringScan(t *testing.T) {
	const rows = 200
	s := openTest(t, t.TempDir(), windowSpec)
	value := make([]byte, 1000) // so that the scan has to read on from disk
	for i := range rows {
		_, err := s.Put(AppendWindowKey(nil, fmt.Append(nil, i), 1000), value, 1)
		require.NoError(t, err)
	}
	require.NoError(t, s.Commit(1))
	require.NoError(t, s.Flush())
	n := 0
	for row, err := range s.Scan(all) {
		require.NoError(t, err)
		require.Equal(t, value, row.Value)
		n++
		putWindow(t, s, "late", int64(n)*1_000_000)
		require.NoError(t, s.Commit(int64(n)+1)) // all segments before are out of reach
	}
	require.Equal(t, rows, n)
	putWindow(t, s, "late", 1_000_000_000)
	require.NoError(t, s.Commit(1000))
	require.Len(t, s.engine.(*segments).list, 1)
}

// A segment must not be listed any more when its files begin to disappear.
func TestDropThatFails(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	s.engine.(*segments).young = -1
	putWindow(t, s, "a", 1000)
	require.NoError(t, s.Commit(1))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, trashPrefix+"0", "in the way"), 0o700))
	putWindow(t, s, "a", 1_000_000)
	require.ErrorContains(t, s.Commit(2), "drop segment 0")
	require.NoError(t, s.Close())
	m, err := readManifest(machineDisk{}, dir)
	require.NoError(t, err)
	require.Len(t, m.segments, 1)
	require.EqualValues(t, 16, m.segments[0].id)
	openTest(t, dir, windowSpec)
	require.Equal(t, []string{"16", ageName, manifestName}, names(t, dir))
}

// Of a key that was never seen Nothing is known to be there, without a look at the disk.
func TestNothing(t *testing.T) {
	s := openTest(t, t.TempDir(), windowSpec)
	key := []byte("seen")
	nothing := func(key []byte, start, end int64) bool {
		require.Zero(t, testing.AllocsPerRun(10, func() { s.Nothing(key, start, end) }))
		return s.Nothing(key, start, end)
	}
	require.True(t, nothing(key, 0, 1000))
	_, err := s.Put(AppendWindowKey(nil, key, 500), []byte("v"), 500)
	require.NoError(t, err)
	require.False(t, nothing(key, 0, 1000), "it is uncommitted")
	require.True(t, nothing([]byte("other"), 0, 1000))
	require.NoError(t, s.Commit(1))
	require.False(t, nothing(key, 0, 1000))
	require.True(t, nothing([]byte("other"), 0, 1000))
	require.True(t, nothing(key, 10*minInterval, 20*minInterval), "no segment is of that time")
}
