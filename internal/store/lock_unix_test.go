//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package store

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that is being started has copies of all files for a moment. They do not keep the
// lock.
func TestLockIsFreeThoughTheFileIsNot(t *testing.T) {
	name := filepath.Join(t.TempDir(), ".lock")
	f, err := lockFile(name)
	require.NoError(t, err)
	copied, err := syscall.Dup(int(f.Fd()))
	require.NoError(t, err)
	defer syscall.Close(copied)
	unlockFile(f)
	f, err = lockFile(name)
	require.NoError(t, err)
	unlockFile(f)
}
