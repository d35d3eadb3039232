package store

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCache compares the cache with a map that forgets nothing: what the cache knows must
// be right, and it must know what was used last.
func TestCache(t *testing.T) {
	const seed = 3
	r := rand.New(rand.NewPCG(seed, seed))
	c := newCache(64 << 10)
	h := newStore("", Spec{}, NewResources(ResourceLimits{})).hashing
	type row struct {
		value []byte
		time  int64
	}
	want := map[string]row{}
	for i := range 200_000 {
		key := id(nil, r.Uint64N(3000))
		hash := h.of(key)
		if r.IntN(2) == 0 {
			value, time, exists, known := c.get(hash, key)
			w := want[string(key)]
			if known {
				require.Equal(t, w.value != nil, exists)
				require.True(t, bytes.Equal(w.value, value))
				require.True(t, !exists || w.time == time)
			}
			continue
		}
		w := row{make([]byte, r.IntN(20)), int64(i)}
		switch r.IntN(1000) {
		case 0:
			w.value = make([]byte, 20<<10) // too big to be kept
		case 1, 2, 3:
			w.value = make([]byte, r.IntN(16<<10))
		}
		w.value = append(w.value, byte(i))
		if r.IntN(10) == 0 {
			w.value = nil
		}
		want[string(key)] = w
		c.put(hash, key, w.value, w.time, w.value != nil)
		require.LessOrEqual(t, c.used, c.max)
		require.LessOrEqual(t, len(c.pages)*pageSize, 2*c.max+2*pageSize)
		_, _, _, known := c.get(hash, key)
		require.Equal(t, len(key)+timeLen+len(w.value) <= 16*(maxClass-1), known)
	}
}

func TestCacheForgetsTheOldest(t *testing.T) {
	c := newCache(100 * (entryBytes + 48))
	for i := range uint32(150) {
		c.put(i, id(nil, uint64(i)), make([]byte, 24), 0, true)
		c.get(0, id(nil, 0)) // used all the time
	}
	for i, want := range map[uint32]bool{0: true, 1: false, 50: false, 52: true, 149: true} {
		_, _, _, known := c.get(i, id(nil, uint64(i)))
		require.Equal(t, want, known, i)
	}
}
