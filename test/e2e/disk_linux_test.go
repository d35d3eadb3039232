package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// An application whose disk is full stops, with an error that says what to do. When there
// is room, it goes on as if nothing had happened.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		disk := t.TempDir()
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
			t.Skip("no file system to fill:", err)
		}
		t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
		c := newCounter(k, name)
		settings := config(t, k, name)
		settings.StateDir = disk
		a := run(t, counting(t, name, nil), settings)
		c.count(vocabulary, 1)
		a.stop()
		ballast := filepath.Join(disk, "ballast")
		require.ErrorIs(t, os.WriteFile(ballast, make([]byte, 16<<20), 0o600), syscall.ENOSPC)
		for range 2 { // it does not get better by itself
			err := run(t, counting(t, name, nil), settings).wait(patience)
			require.ErrorIs(t, err, syscall.ENOSPC)
			requireSays(t, err, name, "counts", filepath.Join(disk, name), "make room on its disk", "start again")
		}
		require.NoError(t, os.Remove(ballast))
		a = run(t, counting(t, name, nil), settings)
		c.count(vocabulary, 1)
		a.stop()
	})
}
