package store

import (
	"errors"
	"os"
	"syscall"
)

// errSharingViolation is Windows' answer when another process has a file open.
const errSharingViolation = syscall.Errno(32)

// lockFile opens path for this process alone until unlockFile.
func lockFile(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const sharedWithNone = 0
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, sharedWithNone,
		nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharingViolation) {
		return nil, errInUse
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

func unlockFile(f *os.File) { _ = f.Close() } // nothing was written to it

// diskFull are ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL.
var diskFull = []syscall.Errno{39, 112}

// syncDir does nothing: Windows has no such call, and NTFS keeps the order of renames.
func syncDir(string) error { return nil }
