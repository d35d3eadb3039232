package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBloom(t *testing.T) {
	const keys = 400_000 // three filters
	b := &bloom{}
	for i := range uint64(keys) {
		b.add(id(nil, i))
		b.add(id(nil, i/2)) // again
	}
	require.Len(t, b.filters, 3)
	path := filepath.Join(t.TempDir(), "x.bloom")
	require.NoError(t, b.save(machineDisk{}, path, []byte("mark")))
	saved, err := os.ReadFile(path)
	require.NoError(t, err)
	b, err = takeBloom(machineDisk{}, path, []byte("mark"), nil)
	require.NoError(t, err)
	require.NoFileExists(t, path)

	maybe := 0
	for i := range uint64(keys) {
		require.True(t, b.has(id(nil, i)))
		if b.has(id(nil, keys+i)) {
			maybe++
		}
	}
	require.Less(t, float64(maybe)/keys, 0.015, "wrong answers")

	for i := 0; i < len(saved); i += 1 + len(saved)/50 {
		saved[i] ^= 4
		_, err := readBloom(saved, []byte("mark"), nil)
		require.ErrorIs(t, err, errBloom)
		saved[i] ^= 4
		_, err = readBloom(saved[:i], []byte("mark"), nil)
		require.ErrorIs(t, err, errBloom)
	}
}
