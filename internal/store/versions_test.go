package store

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

var versionSpec = Spec{Name: "versions", Kind: Versioned, History: 100}

// putAt writes a version whose value is its time; "" deletes.
func putAt(t *testing.T, s *Store, key, value string, at int64) {
	t.Helper()
	v := []byte(value)
	if value == "" {
		v = nil
	}
	_, dropped, err := s.PutVersion([]byte(key), v, at)
	require.NoError(t, err)
	require.False(t, dropped)
}

// history prints the versions of key.
func history(t *testing.T, s *Store, key string) string {
	t.Helper()
	out := ""
	for _, r := range collect(t, s.Versions([]byte(key), math.MinInt64, math.MaxInt64)) {
		out += fmt.Sprintf("%s %d-%d ", r.Value, r.Time, r.Until)
	}
	return out
}

// engineRows counts the rows of a tag in the engine.
func engineRows(t *testing.T, s *Store, tag byte) (n int) {
	t.Helper()
	cursors, err := s.engine.scan(span{lo: []byte{tag}, hi: []byte{tag + 1}})
	require.NoError(t, err)
	defer cursors[0].close()
	for {
		ok, err := cursors[0].next()
		require.NoError(t, err)
		if !ok {
			return n
		}
		n++
	}
}

func TestVersions(t *testing.T) {
	s := openTest(t, t.TempDir(), versionSpec)
	putAt(t, s, "k", "a", 10)
	putAt(t, s, "k", "c", 30)
	putAt(t, s, "k", "b", 20)
	putAt(t, s, "k", "", 40)
	putAt(t, s, "k", "e", 50)
	require.NoError(t, s.Commit(1))
	putAt(t, s, "k", "f", 60)
	const end = "9223372036854775807 "
	require.Equal(t, "a 10-20 b 20-30 c 30-40 e 50-60 f 60-"+end, history(t, s, "k"))

	for at, want := range map[int64]string{9: "", 10: "a", 29: "b", 30: "c", 45: "", 59: "e", 1000: "f"} {
		row, ok, err := s.GetAt([]byte("k"), at)
		require.NoError(t, err)
		require.Equal(t, want != "", ok, at)
		require.Equal(t, want, string(row.Value), at)
	}
	s.Mark()
	latest, dropped, err := s.PutVersion([]byte("other"), nil, 135)
	require.True(t, latest && !dropped && err == nil)
	require.Equal(t, "c 30-40 e 50-60 f 60-"+end, history(t, s, "k"), "35 and later are within reach")
	_, dropped, err = s.PutVersion([]byte("k"), nil, 34)
	require.True(t, dropped && err == nil)
	row, ok, err := s.GetAt([]byte("k"), 34)
	require.True(t, !ok && err == nil, "out of reach, got %v", row)

	s.Undo()
	require.Equal(t, "a 10-20 b 20-30 c 30-40 e 50-60 f 60-"+end, history(t, s, "k"))
}

func TestVersionsAreSwept(t *testing.T) {
	s := openTest(t, t.TempDir(), versionSpec)
	for i := range int64(200) {
		key := fmt.Sprint("k", i%7)
		value := "v"
		if i%3 == 0 || i > 190 {
			value = "" // the last ones end all keys
		}
		putAt(t, s, key, value, 1000+i)
		putAt(t, s, key, "old", 1000+i-50)
	}
	require.NoError(t, s.Commit(1))
	require.Greater(t, engineRows(t, s, tagVersion), 100)
	putAt(t, s, "k0", "", 2000)
	putAt(t, s, "last", "v", 3000)
	require.NoError(t, s.Commit(2))
	require.NoError(t, s.Commit(3))
	require.Zero(t, engineRows(t, s, tagVersion))
	require.Zero(t, engineRows(t, s, tagExpiry))
	require.Equal(t, 1, engineRows(t, s, tagRow), "deletes go too")
	_, ok, err := s.Get([]byte("k0"))
	require.True(t, !ok && err == nil)

	// A restore may bring versions that ended before those that are gone.
	require.NoError(t, s.Restore([]kafka.Record{
		{Key: []byte("k"), Value: []byte("v"), Time: 100},
		{Key: []byte("k"), Value: []byte("v"), Time: 200},
	}, 5))
	require.NoError(t, s.FinishRestore())
	require.NoError(t, s.Commit(6))
	require.Zero(t, engineRows(t, s, tagVersion))
	require.Zero(t, engineRows(t, s, tagExpiry))
}

// A delete that is replaced at its own time must not take the value that did it along
// when the delete would have gone.
func TestDeleteReplacedAtItsTime(t *testing.T) {
	s := openTest(t, t.TempDir(), versionSpec)
	putAt(t, s, "k", "", 10)
	putAt(t, s, "k", "a", 10)
	putAt(t, s, "k", "b", 100)
	require.NoError(t, s.Commit(1))
	putAt(t, s, "other", "v", 150) // 50 and later are within reach
	require.NoError(t, s.Commit(2))
	require.Equal(t, "a 10-100 b 100-9223372036854775807 ", history(t, s, "k"))
}

// A version that was found is found again without the disk, unless the history was
// changed behind the newest version.
func TestFoundVersionIsKept(t *testing.T) {
	s := openTest(t, t.TempDir(), versionSpec)
	for _, at := range []int64{10, 30, 50} {
		putAt(t, s, "k", fmt.Sprint(at), at)
	}
	require.NoError(t, s.Commit(1))
	found := func(at int64, want string) {
		t.Helper()
		row, ok, err := s.GetAt([]byte("k"), at)
		require.True(t, ok && err == nil)
		require.Equal(t, want, fmt.Sprintf("%s %d-%d", row.Value, row.Time, row.Until))
	}
	found(30, "30 30-50")
	k := []byte("k")
	require.Zero(t, testing.AllocsPerRun(10, func() { _, _, _ = s.GetAt(k, 49) }))
	found(29, "10 10-30")
	putAt(t, s, "k", "60", 60)
	found(29, "10 10-30")
	found(59, "50 50-60")

	s.Mark()
	putAt(t, s, "k", "20", 20)
	found(29, "20 20-30")
	s.Undo()
	found(29, "10 10-30")
	putAt(t, s, "k", "25", 25)
	found(29, "25 25-30")
	found(24, "10 10-25")
	s.Abort()
	found(24, "10 10-30")
	found(59, "50 50-9223372036854775807")
}
