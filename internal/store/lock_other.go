//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package store

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// lockFile fails: there is no lock that ends with the process.
func lockFile(string) (*os.File, error) {
	return nil, fmt.Errorf("file locks on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func unlockFile(*os.File) {}

var diskFull []error

func syncDir(string) error { return nil }
