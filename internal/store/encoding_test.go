package store

import (
	"bytes"
	"cmp"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzWindowKey(f *testing.F) {
	f.Add([]byte("a"), int64(1), []byte("a\x00"), int64(-1))
	f.Add([]byte{}, int64(math.MinInt64), []byte{0}, int64(math.MaxInt64))
	f.Add([]byte{0, 0xFF}, int64(0), []byte{0, 1}, int64(0))
	f.Fuzz(func(t *testing.T, a []byte, s int64, b []byte, u int64) {
		x, y := AppendWindowKey(nil, a, s), AppendWindowKey(nil, b, u)
		key, start := SplitWindowKey(x)
		require.True(t, bytes.Equal(a, key) && s == start, "%x %d became %x %d", a, s, key, start)

		want := bytes.Compare(a, b)
		if want == 0 && s != u {
			want = 1
			if s < u {
				want = -1
			}
		}
		require.Equal(t, want, bytes.Compare(x, y), "%x %d against %x %d", a, s, b, u)
		require.Equal(t, bytes.Equal(a, b), bytes.Equal(Window.inner(x), Window.inner(y)))

		c := appendChangelogWindowKey(nil, a, s, 0)
		key, start, _, err := splitChangelogWindowKey(c)
		require.NoError(t, err)
		require.True(t, bytes.Equal(a, key) && s == start)
	})
}

// FuzzVersionKeys checks that the versions of a key lie together, newest first, whatever
// other keys there are, and that they expire in the order of the ends of their validity.
func FuzzVersionKeys(f *testing.F) {
	f.Add([]byte("a"), int64(1), int64(3), []byte("a\x00"), int64(2), int64(3))
	f.Add([]byte{}, int64(math.MinInt64), int64(-1), []byte{0}, int64(0), int64(math.MaxInt64))
	f.Add([]byte{0, 0xFF}, int64(0), int64(1), []byte{0, 1}, int64(-1), int64(0))
	f.Fuzz(func(t *testing.T, a []byte, at, until int64, b []byte, at2, until2 int64) {
		escA, escB := appendEscaped(nil, a), appendEscaped(nil, b)
		x, y := versionKey(escA, at), versionKey(escB, at2)
		require.Equal(t, at, versionTime(x))
		require.Equal(t, cmp.Or(bytes.Compare(a, b), cmp.Compare(at2, at)), bytes.Compare(x, y), "%x at %d against %x at %d", a, at, b, at2)

		// What is read between the bounds of a key is of that key alone.
		lo, hi := versionKey(escA, newest), versionKey(escA, noTime)
		if bytes.Compare(lo, y) <= 0 && bytes.Compare(y, hi) <= 0 {
			require.Equal(t, a, b)
		}

		x, y = expiryKey(until, escA, at), expiryKey(until2, escB, at2)
		require.Equal(t, cmp.Or(cmp.Compare(until, until2), bytes.Compare(a, b), cmp.Compare(at, at2)), bytes.Compare(x, y))
		n := len(x) - timeLen // as expireVersion takes it apart
		require.True(t, bytes.Equal(a, unescape(x[1+timeLen:n])))
		require.Equal(t, at, readTime(x[n:]))
	})
}

// FuzzIsWindowKey checks that exactly what AppendWindowKey makes is taken.
func FuzzIsWindowKey(f *testing.F) {
	f.Add(AppendWindowKey(nil, []byte("a\x00b"), 7))
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, row []byte) {
		if !isWindowKey(row) {
			require.Panics(t, func() { SplitWindowKey(row) })
			return
		}
		key, start := SplitWindowKey(row)
		require.Equal(t, row, AppendWindowKey(nil, key, start))
	})
}

func FuzzTimes(f *testing.F) {
	f.Add(int64(0), int64(-1))
	f.Add(int64(math.MinInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, a, b int64) {
		require.Equal(t, a, readTime(appendTime(nil, a)))
		require.Equal(t, a, readTimeDown(appendTimeDown(nil, a)))
		require.Equal(t, a < b, bytes.Compare(appendTime(nil, a), appendTime(nil, b)) < 0)
		require.Equal(t, a > b, bytes.Compare(appendTimeDown(nil, a), appendTimeDown(nil, b)) < 0)
	})
}

func FuzzDecodeManifest(f *testing.F) {
	m := manifest{origin: "topic/0", layout: "x", base: position{7, 9}, segments: []segmentState{{-1, 3, 5, -1}, {1 << 40, 4, 6, 5}}}
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeManifest(b)
		if err == nil {
			n, err := decodeManifest(m.encode())
			require.NoError(t, err)
			require.Equal(t, m, n)
		}
	})
}

func TestManifestRoundTrip(t *testing.T) {
	m := &manifest{origin: "topic/0", layout: "x", base: position{7, 9}, segments: []segmentState{{-1, 3, 5, -1}, {1 << 40, 4, 6, 5}}}
	n, err := decodeManifest(m.encode())
	require.NoError(t, err)
	require.Equal(t, m, n)
	for i := range m.encode() {
		b := m.encode()
		b[i] ^= 1
		_, err := decodeManifest(b)
		require.ErrorIs(t, err, errManifest)
		_, err = decodeManifest(b[:i])
		require.ErrorIs(t, err, errManifest)
	}
}

func TestKeyPrefixKeepsTheOrder(t *testing.T) {
	keys := []string{"", "\x01", "\x01\x00", "\x01\x01", "\x01a", "\x01a\x00", "\x01abcdefg", "\x01abcdefgh", "\x01abcdefghi", "\x01b", "\x02", "\x03\xFF\xFF"}
	for i := 1; i < len(keys); i++ {
		require.LessOrEqual(t, keyPrefix([]byte(keys[i-1])), keyPrefix([]byte(keys[i])), "%q", keys[i])
	}
}
