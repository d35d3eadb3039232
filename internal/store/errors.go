package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/syndtr/goleveldb/leveldb"
	ldberrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

// CorruptError says that the files of a store are damaged. Destroy the store and
// restore it from its changelog.
type CorruptError struct {
	Store, Dir string
	Err        error
}

// Error says which store it is, what was found, and what to do.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("store: %q in %q is corrupt: %v; destroy it and restore it from its changelog", e.Store, e.Dir, e.Err)
}

// Unwrap returns what was found.
func (e *CorruptError) Unwrap() error { return e.Err }

// errClosed is the answer of a store after Close.
var errClosed = errors.New("the store is closed")

// damage marks an error as corruption that goleveldb did not name so.
type damage struct{ error }

func (d damage) Unwrap() error { return d.error }

func corrupt(err error) error { return damage{err} }

// guard turns a panic into damage: goleveldb panics on some corrupt tables.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = corrupt(fmt.Errorf("panic while reading: %v", p))
	}
}

func isCorrupt(err error) bool {
	var (
		marked damage
		inDB   *ldberrors.ErrCorrupted
		inFile *storage.ErrCorrupted
	)
	return errors.As(err, &marked) || errors.As(err, &inDB) || errors.As(err, &inFile) ||
		errors.Is(err, leveldb.ErrReadOnly) || errors.Is(err, fs.ErrNotExist)
}

// isEnvironment reports whether err comes from the machine, not from the files of the
// store: no permission, no space, too many open files, or another process has them.
func isEnvironment(err error) bool {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no != syscall.ENOENT && no != syscall.EISDIR && no != syscall.ENOTDIR
	}
	return errors.Is(err, storage.ErrLocked)
}

// fail gives an error of the engine the names of the store.
func (s *Store) fail(doing string, err error) error {
	if isCorrupt(err) {
		return &CorruptError{Store: s.spec.Name, Dir: s.dir, Err: err}
	}
	return fmt.Errorf("store: %s %q in %q: %w", doing, s.spec.Name, s.dir, withRoom(err))
}

// withRoom adds to an error of a full disk what to do about it.
func withRoom(err error) error {
	for _, full := range diskFull {
		if errors.Is(err, full) {
			return fmt.Errorf("%w; make room on its disk, or move the state directory to a larger one, and start again: nothing is lost, the store goes on from what it has or is restored from its changelog", err)
		}
	}
	return err
}
