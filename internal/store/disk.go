package store

import (
	"errors"
	"os"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// Disk is where stores keep their files. Its errors are those of package os.
type Disk interface {
	MkdirAll(dir string) error
	ReadDir(dir string) (names []string, err error)
	ReadFile(path string) ([]byte, error)
	// WriteFile makes or replaces a file. Synced means that its bytes survive a loss of
	// power; its name does after SyncDir.
	WriteFile(path string, b []byte, synced bool) error
	Exists(path string) (bool, error)
	Rename(from, to string) error
	Remove(path string) error
	RemoveAll(path string) error
	// SyncDir makes the names in a directory survive a loss of power.
	SyncDir(dir string) error
	// Database opens the files of a database in a directory, which it creates.
	Database(dir string) (storage.Storage, error)
}

// machineDisk is that of the machine.
type machineDisk struct{}

func (machineDisk) MkdirAll(dir string) error            { return os.MkdirAll(dir, 0o700) }
func (machineDisk) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }
func (machineDisk) Rename(from, to string) error         { return os.Rename(from, to) }
func (machineDisk) Remove(path string) error             { return os.Remove(path) }
func (machineDisk) RemoveAll(path string) error          { return os.RemoveAll(path) }
func (machineDisk) SyncDir(dir string) error             { return syncDir(dir) }

func (machineDisk) ReadDir(dir string) (names []string, err error) {
	found, err := os.ReadDir(dir)
	for _, f := range found {
		names = append(names, f.Name())
	}
	return names, err
}

func (machineDisk) WriteFile(path string, b []byte, synced bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if synced {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

func (machineDisk) Exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (d machineDisk) Database(dir string) (storage.Storage, error) {
	if err := d.MkdirAll(dir); err != nil {
		return nil, err
	}
	return storage.OpenFile(dir, false)
}
