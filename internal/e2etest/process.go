//go:build unix

// Package e2etest has what tests of whole programs share: processes that are killed, and
// clients of Kafka that are not the framework's own.
package e2etest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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

// Process is a helper: a program that runs beside the test.
type Process struct {
	t        testing.TB
	name     string
	cmd      *exec.Cmd
	log      string // file of what it writes
	ended    chan struct{}
	err      error // once it has ended
	expected atomic.Bool
}

// Start starts a program. It is killed when the test ends. If it fails before it is told
// to end, so does the test.
func Start(t testing.TB, name, path string, args ...string) *Process {
	t.Helper()
	return start(t, name, exec.Command(path, args...))
}

// specVariable of the environment makes a test's binary a helper. It says what to do.
const specVariable = "E2ETEST_SPEC"

// StartSelf starts this test's own binary as a helper, which runs what the package gave to
// Main with this spec.
func StartSelf(t testing.TB, name string, spec any) *Process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(spec)
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), specVariable+"="+string(text))
	return start(t, name, cmd)
}

// Main is for the TestMain of a package whose tests use StartSelf: it runs program in a
// helper, until that is asked to end, and the tests otherwise. It does not return.
func Main[S any](m *testing.M, program func(ctx context.Context, spec S) error) {
	text := os.Getenv(specVariable)
	if text == "" {
		flag.Parse()
		os.Exit(m.Run())
	}
	var spec S
	err := json.Unmarshal([]byte(text), &spec)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = program(ctx, spec)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "helper:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	j, err := hireJanitor()
	require.NoError(t, err)
	p := &Process{t: t, name: name, cmd: cmd, log: filepath.Join(logDir(t), name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	require.NoError(t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: j.cmd.Process.Pid}
	require.NoError(t, cmd.Start(), "start %s", name)
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
		if p.err != nil && !p.expected.Load() {
			t.Errorf("%s ended by itself: %v", name, p.err)
		}
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("what %s wrote last:\n%s", name, p.Tail())
		}
	})
	return p
}

// logDir is where processes write: what E2ETEST_LOGS says, or a directory that ends with the
// test.
func logDir(t testing.TB) string {
	if dir := os.Getenv("E2ETEST_LOGS"); dir != "" {
		return dir
	}
	return t.TempDir()
}

// Kill kills the process (kill -9) and returns when it is gone.
func (p *Process) Kill() {
	p.expected.Store(true)
	_ = p.cmd.Process.Kill() // an error means that it is gone already
	<-p.ended
}

// Terminate asks the process to end, as a service manager does.
func (p *Process) Terminate() {
	p.expected.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it is gone already
}

// Pause stops the process where it is (SIGSTOP), until Resume.
func (p *Process) Pause() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// Dump ends the process and has it write what all its goroutines do (SIGQUIT).
func (p *Process) Dump() {
	p.expected.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // an error means that it is gone already
	<-p.ended
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// MayFail says that the process may end by itself, with an error.
func (p *Process) MayFail() { p.expected.Store(true) }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits until the process ends, which it is to do without an error.
func (p *Process) Wait(limit time.Duration) {
	p.t.Helper()
	require.NoError(p.t, p.WaitError(limit), "the end of %s", p.name)
}

// WaitError waits until the process ends, and returns the error that it ends with.
func (p *Process) WaitError(limit time.Duration) error {
	p.t.Helper()
	p.expected.Store(true)
	select {
	case <-p.ended:
	case <-time.After(limit):
		require.FailNow(p.t, "too slow", "%s did not end within %v", p.name, limit)
	}
	return p.err
}

// Output is what the process has written.
func (p *Process) Output() string {
	text, err := os.ReadFile(p.log)
	require.NoError(p.t, err)
	return string(text)
}

// Tail is the end of what the process has written.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// Await waits until is true, and fails the test when that takes longer than limit, or the
// test has failed otherwise.
func Await(t testing.TB, limit time.Duration, is func() bool, what string, args ...any) {
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
