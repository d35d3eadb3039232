package store

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// openState opens and closes a state directory.
func openState(dir, app, topology string) (process, logged string, err error) {
	var log bytes.Buffer
	d, err := OpenStateDir(dir, app, topology, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		return "", log.String(), err
	}
	defer d.Close()
	return d.Process, log.String(), nil
}

func TestStateDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "app")
	first, logged, err := openState(dir, "app", "f1")
	require.NoError(t, err)
	require.Empty(t, logged)
	again, logged, err := openState(dir, "app", "f1")
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Empty(t, logged)

	again, logged, err = openState(dir, "app", "f2")
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Contains(t, logged, "before=f1 now=f2")
	_, logged, err = openState(dir, "app", "f2")
	require.True(t, err == nil && logged == "", "it is said once")

	_, _, err = openState(dir, "other", "f2")
	require.ErrorContains(t, err, `it is that of application "app", not of "other"`)
	require.ErrorContains(t, err, dir)
}

func TestStateDirOfANewerFormat(t *testing.T) {
	dir := t.TempDir()
	b := []byte("streams state 12\nwho knows\n")
	b = fmt.Appendf(b, "checksum %08x\n", crc32.Checksum(b, castagnoli))
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateName), b, 0o600))
	_, _, err := openState(dir, "app", "f1")
	require.ErrorContains(t, err, "in format 12 where this one knows 1")
	require.ErrorContains(t, err, "delete the directory")
}

// A damaged file is not believed: another process's id would have the two fence each other.
func TestStateDirDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, stateName)
	_, _, err := openState(dir, "app", "f1")
	require.NoError(t, err)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range whole {
		for _, bad := range [][]byte{whole[:i], append(append(bytes.Clone(whole[:i]), whole[i]^2), whole[i+1:]...)} {
			_, err := decodeState(bad)
			require.ErrorIs(t, err, errState, "%q", bad)
		}
	}
	was, err := decodeState(whole)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, whole[:20], 0o600))
	process, logged, err := openState(dir, "app", "f1")
	require.NoError(t, err)
	require.NotEqual(t, was.process, process)
	require.Contains(t, logged, "damaged")
	again, logged, err := openState(dir, "app", "f1")
	require.True(t, err == nil && logged == "" && again == process, "it is whole again")
}

func TestStateDirIsForItsOwner(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	_, _, err := openState(dir, "app", "f1")
	require.NoError(t, err)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(dir, stateName))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestStateDirHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenStateDir(dir, "app", "f1", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, _, err = openState(dir, "app", "f1")
	require.ErrorIs(t, err, errInUse)
	d.Close()
	_, _, err = openState(dir, "app", "f1")
	require.NoError(t, err)
}

func FuzzDecodeState(f *testing.F) {
	f.Add([]byte("streams state 1\napplication app\nprocess 6ba7b810-9dad-11d1-80b4-00c04fd430c8\ntopology f\n"))
	f.Add([]byte("streams state 99999999999999999999\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = fmt.Appendf(b, "checksum %08x\n", crc32.Checksum(b, castagnoli))
		if s, err := decodeState(b); err == nil {
			again, err := decodeState(s.encode())
			require.NoError(t, err)
			require.Equal(t, s, again)
		}
	})
}
