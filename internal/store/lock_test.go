package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const lockEnv = "STORE_LOCK_DIR"

func TestLockDir(t *testing.T) {
	if dir := os.Getenv(lockEnv); dir != "" {
		holdLock(dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "state")
	unlock, err := LockDir(dir)
	require.NoError(t, err)
	_, err = LockDir(dir)
	require.ErrorContains(t, err, fmt.Sprintf("the state directory %q is locked: it is in use", dir))
	unlock()

	cmd := exec.Command(os.Args[0], "-test.run=^TestLockDir$")
	cmd.Env = append(os.Environ(), lockEnv+"="+dir)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)
	_, err = LockDir(dir)
	require.ErrorIs(t, err, errInUse)

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	unlock, err = LockDir(dir)
	require.NoError(t, err, "the lock of a process that was killed is free")
	unlock()
}

// holdLock is the other process: it waits on its input until it is killed.
func holdLock(dir string) {
	_, err := LockDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("locked")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func TestLockDirFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := LockDir(file)
	require.ErrorContains(t, err, fmt.Sprintf("store: create the state directory %q", file))
}
