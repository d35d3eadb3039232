//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// programsDir holds the programs that programs builds. It is this binary's own.
var programsDir string

func TestMain(m *testing.M) {
	if os.Getenv(holdHelper) != "" {
		hold()
	}
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	programsDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// programs builds what the tests run, once, as this binary was built.
var programs = sync.OnceValue(func() error {
	args := []string{"build", "-o", programsDir}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "../../examples/lunch-abroad", "../../cmd/streams", "./wordcount")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
})

// program returns the path of a built program.
func program(t *testing.T, name string) string {
	t.Helper()
	require.NoError(t, programs())
	return filepath.Join(programsDir, name)
}

// A janitor leads the group of processes that the helpers belong to. When this process
// closes the pipe between them, which it does however it ends, it kills the group and so
// itself. Nothing else would: a panic, a test timeout or a kill -9 run no cleanup. A
// group's number stays taken while its leader lives, so that nobody else can be hit.
type janitor struct {
	cmd  *exec.Cmd
	pipe io.Closer // never closed here
}

var hireJanitor = sync.OnceValues(func() (*janitor, error) {
	cmd := exec.Command("sh", "-c", "cat >/dev/null; kill -9 0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &janitor{cmd, pipe}, cmd.Start()
})

// process is a helper: a program that runs beside the test.
type process struct {
	t        *testing.T
	name     string
	cmd      *exec.Cmd
	log      string // file of what it writes
	begun    time.Time
	ended    chan struct{} // closed when it has ended, with err
	err      error
	expected atomic.Bool // it is to end, whatever comes of it
}

// start starts a program. It is killed when the test ends. If it fails before it is told
// to end, so does the test.
func start(t *testing.T, name, path string, args ...string) *process {
	t.Helper()
	j, err := hireJanitor()
	require.NoError(t, err)
	p := &process{t: t, name: name, log: filepath.Join(t.TempDir(), name+".log"), begun: time.Now(), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	require.NoError(t, err)
	defer log.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: j.cmd.Process.Pid}
	require.NoError(t, p.cmd.Start(), "start %s", name)
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
		if p.err != nil && !p.expected.Load() {
			t.Errorf("%s ended by itself: %v", name, p.err)
		}
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("what %s wrote last:\n%s", name, p.tail())
		}
	})
	return p
}

// kill kills the process (kill -9) and returns when it is gone.
func (p *process) kill() {
	p.expected.Store(true)
	_ = p.cmd.Process.Kill() // an error means that it is gone already
	<-p.ended
}

// terminate asks the process to end, as a service manager does.
func (p *process) terminate() {
	p.expected.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it is gone already
}

// wait waits until the process ends, which it is to do without an error.
func (p *process) wait(limit time.Duration) {
	p.t.Helper()
	p.expected.Store(true)
	select {
	case <-p.ended:
		require.NoError(p.t, p.err, "the end of %s", p.name)
	case <-time.After(limit):
		require.FailNow(p.t, "too slow", "%s did not end within %v", p.name, limit)
	}
}

// output is what the process has written.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	require.NoError(p.t, err)
	return string(text)
}

// tail is the end of what the process has written.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// await waits until is true, and fails the test when that takes longer than limit, or the
// test has failed otherwise.
func await(t *testing.T, limit time.Duration, is func() bool, what string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(5 * time.Millisecond) {
		if t.Failed() {
			t.FailNow()
		}
		if time.Now().After(deadline) {
			require.FailNow(t, "too slow", "not within %v: %s", limit, fmt.Sprintf(what, args...))
		}
	}
}

// holdHelper in the environment has this binary start a helper and do nothing else.
const holdHelper = "E2E_HOLD_HELPER"

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
