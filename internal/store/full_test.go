//go:build linux && !race

// The race detector reports goleveldb: when a compaction fails, a channel is closed while its
// answer is sent (its issues 356 and 422). The answer is lost, as it would be anyway.

package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFullDisk fills a small file system, and makes room. Where none may be mounted, files
// that may not grow have to do.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Log("no file system to fill:", err)
		TestFileLimit(t)
		return
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
	ballast := filepath.Join(disk, "ballast")
	for _, spec := range crashSpecs() {
		t.Run(spec.Kind.String(), func(t *testing.T) {
			fill(t, filepath.Join(disk, spec.Name), spec, syscall.ENOSPC, func() {
				require.ErrorIs(t, os.WriteFile(ballast, make([]byte, 16<<20), 0o600), syscall.ENOSPC)
			}, func() { remove(t, ballast) })
		})
	}
}

const limitEnv = "STORE_LIMIT_DIR"

// TestFileLimit does the same with a limit of file sizes, in a process that has it alone.
func TestFileLimit(t *testing.T) {
	dir := os.Getenv(limitEnv)
	if dir == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFileLimit$", "-test.v")
		cmd.Env = append(os.Environ(), limitEnv+"="+t.TempDir())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "PASS")
		return
	}
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	set := func(room uint64) func() {
		return func() {
			require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: limit.Max}))
		}
	}
	for _, spec := range crashSpecs() {
		fill(t, filepath.Join(dir, spec.Name), spec, syscall.EFBIG, set(1000), set(limit.Cur))
	}
}

// fill writes to a store while its disk becomes full. The error must say what to do,
// closing must not hang, and when there is room the store must come back right.
func fill(t *testing.T, dir string, spec Spec, full error, makeFull, makeRoom func()) {
	s, err := Open(dir, spec, "origin", NewResources(ResourceLimits{WriteBuffers: 1}))
	require.NoError(t, err)
	if g, ok := s.engine.(*segments); ok {
		g.young = 10_000
	}
	end, committed := int64(0), int64(0)
	for err == nil && end < 100_000 {
		if end == 5000 {
			makeFull()
		}
		for range 1000 {
			require.NoError(t, putCounter(s, end))
			end++
		}
		if err = s.Commit(end); err == nil {
			committed = end
			err = s.Flush()
		}
	}
	require.ErrorIs(t, err, full)
	require.GreaterOrEqual(t, committed, int64(5000))
	for _, part := range []string{spec.Name, dir, "make room", "start again"} {
		require.ErrorContains(t, err, part)
	}
	require.Equal(t, err, s.Err())
	_ = s.Close() // it may not be able to write the last rows either

	again, err := Open(dir, spec, "origin", NewResources(ResourceLimits{WriteBuffers: 1}))
	if err != nil { // a full disk is no damage
		require.ErrorIs(t, err, full)
		require.ErrorContains(t, err, "make room")
	} else {
		_ = again.Close()
	}
	makeRoom()
	s, err = Open(dir, spec, "origin", NewResources(ResourceLimits{WriteBuffers: 1}))
	require.NoError(t, err)
	t.Logf("full at offset %d, opened again at %d", committed, s.Offset())
	require.NoError(t, checkCounters(s, s.Offset(), max(committed, s.Offset())))
	restoreCounters(t, s, end)
	require.NoError(t, s.Close())
}
