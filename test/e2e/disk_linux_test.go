package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// An application whose disk is full stops, with an error that says what to do. When there
// is room, it goes on as if nothing had happened. Where no file system can be mounted to be
// filled, files that may not grow have to do.
func TestFullDisk(t *testing.T) {
	if on := os.Getenv(limitEnv); on != "" {
		fillLimited(t, strings.Fields(on))
		return
	}
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		disk := t.TempDir()
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
			t.Log("no file system to fill:", err)
			limited(t, k, name, disk)
			return
		}
		t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
		ballast := filepath.Join(disk, "ballast")
		fill(t, k, name, disk, syscall.ENOSPC, func() {
			require.ErrorIs(t, os.WriteFile(ballast, make([]byte, 16<<20), 0o600), syscall.ENOSPC)
		}, func() { require.NoError(t, os.Remove(ballast)) })
	})
}

const limitEnv = "E2E_LIMIT" // the brokers, the application and the directory

// limited does the same in a process of its own, since a limit is one of a process.
func limited(t *testing.T, k *kafka, name, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), limitEnv+"="+strings.Join([]string{strings.Join(k.addrs, ","), name, dir}, " "))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS: TestFullDisk")
}

// fillLimited is what that process does.
func fillLimited(t *testing.T, on []string) {
	require.Len(t, on, 3)
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	set := func(room uint64) func() {
		return func() {
			require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: limit.Max}))
		}
	}
	fill(t, connect(t, strings.Split(on[0], ",")), on[1], on[2], syscall.EFBIG, set(0), set(limit.Cur))
}

// fill starts an application on a disk while it is full, and when there is room.
func fill(t *testing.T, k *kafka, name, disk string, full error, makeFull, makeRoom func()) {
	c := newCounter(k, name)
	settings := config(t, k, name)
	settings.StateDir = disk
	a := run(t, counting(t, name, nil), settings)
	c.count(vocabulary, 1)
	a.stop()
	makeFull()
	for range 2 { // it does not get better by itself
		err := run(t, counting(t, name, nil), settings).wait(patience)
		require.ErrorIs(t, err, full)
		requireSays(t, err, name, "counts", filepath.Join(disk, name), "make room on its disk", "start again")
	}
	makeRoom()
	a = run(t, counting(t, name, nil), settings)
	c.count(vocabulary, 1)
	a.stop()
}
