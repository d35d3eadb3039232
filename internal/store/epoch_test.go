package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// stateDir makes a state directory with two tasks, a global table and the id of its process.
func stateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{"0_0/counts", "0_1/counts", "0_1/seen", "global/rates/0"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, path), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path, "STORE"), []byte("x"), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "process"), []byte("id"), 0o600))
	return dir
}

func left(t *testing.T, dir string) (paths []string) {
	t.Helper()
	for _, path := range []string{"0_0/counts", "0_1/counts", "0_1/seen", "global/rates/0", "process"} {
		if _, err := os.Stat(filepath.Join(dir, path)); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

func TestRewind(t *testing.T) {
	dir := stateDir(t)
	stores, err := Rewind(dir, 1, map[string]int64{"counts": 1})
	require.NoError(t, err)
	require.Equal(t, []string{"counts"}, stores)
	require.Equal(t, []string{"0_1/seen", "global/rates/0", "process"}, left(t, dir), "what the reset did not wipe stays")

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "0_0/counts"), 0o700))
	stores, err = Rewind(dir, 1, map[string]int64{"counts": 1})
	require.NoError(t, err)
	require.Empty(t, stores, "a directory of the epoch is left alone")
	stores, err = Rewind(dir, 3, map[string]int64{"counts": 1, "seen": 2})
	require.NoError(t, err)
	require.Equal(t, []string{"seen"}, stores, "of several resets, those that came after the directory's epoch count")
	require.Equal(t, []string{"0_0/counts", "global/rates/0", "process"}, left(t, dir))
}

// A directory from after the last reset that Kafka knows is of a cluster that was replaced.
func TestRewindOfALaterEpoch(t *testing.T) {
	dir := stateDir(t)
	_, err := Rewind(dir, 7, nil)
	require.NoError(t, err)
	require.Len(t, left(t, dir), 5)
	_, err = Rewind(dir, 2, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"global/rates/0", "process"}, left(t, dir))
}

func TestRewindOfADamagedEpoch(t *testing.T) {
	dir := stateDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, epochName), []byte("one"), 0o600))
	_, err := Rewind(dir, 1, nil)
	require.ErrorContains(t, err, "epoch")
}
