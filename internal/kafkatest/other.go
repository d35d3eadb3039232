//go:build !unix || aix || solaris

package kafkatest

import (
	"errors"
	"os/exec"
	"runtime"
)

func detach(*exec.Cmd) {}

func lock(string) (unlock func(), err error) {
	return nil, errors.New("this package has no file lock on " + runtime.GOOS)
}
