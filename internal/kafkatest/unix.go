//go:build unix && !aix && !solaris

package kafkatest

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// detach keeps the signals of a terminal (Ctrl-C) from a command: it ends when this package
// ends it, which the caller's own handling of the signal may put off.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// lock waits until this process alone holds the lock of that name. The system releases it
// should the process die.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, err
		}
	}
	return func() { f.Close() }, nil
}
