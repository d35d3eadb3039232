package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// errInUse is what lockFile says when another process has the lock.
var errInUse = errors.New("it is in use by another process, or twice by this one")

// LockDir makes this process the only one to use the state directory dir, which it
// creates. The lock ends with unlock or with the process, however it dies. Keep unlock
// until then, even if it is never called.
func LockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: create the state directory %q: %w", dir, err)
	}
	f, err := lockFile(filepath.Join(dir, ".lock"))
	if errors.Is(err, errInUse) {
		return nil, fmt.Errorf("store: the state directory %q is locked: %w; stop the other one or give this one a state directory of its own", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("store: lock the state directory %q: %w", dir, err)
	}
	return func() { unlockFile(f) }, nil
}
