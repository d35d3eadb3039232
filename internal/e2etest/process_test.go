//go:build unix

package e2etest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv(holdHelper) != "" {
		hold()
	}
	os.Exit(m.Run())
}

// holdHelper in the environment has this binary start a helper and do nothing else.
const holdHelper = "E2ETEST_HOLD_HELPER"

// hold starts a helper that holds this process's output open, and waits to be killed.
func hold() {
	j, err := hireJanitor()
	if err == nil {
		helper := exec.Command("sleep", "600")
		helper.Stdout = os.Stdout
		helper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: j.cmd.Process.Pid}
		err = helper.Start()
	}
	fmt.Println("started:", err)
	select {}
}

func TestHelpersEndWithTheTest(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), holdHelper+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 100)
	n, err := out.Read(line)
	require.NoError(t, err)
	require.Equal(t, "started: <nil>\n", string(line[:n]))

	require.NoError(t, cmd.Process.Kill())
	// The output ends when nobody holds it open any more.
	require.NoError(t, out.(*os.File).SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err = out.Read(line)
	require.ErrorIs(t, err, io.EOF, "the helper outlives a test that is killed")
	var exit *exec.ExitError
	require.True(t, errors.As(cmd.Wait(), &exit))
}
