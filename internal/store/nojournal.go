package store

import "github.com/syndtr/goleveldb/leveldb/storage"

// noJournal is a storage whose journals stay empty. goleveldb has no option for it. Its
// files then change only when memory is flushed, atomically: a torn journal, or one with
// a hole after a loss of power, cannot exist, and the changelog has the rows anyway.
type noJournal struct{ storage.Storage }

func (s noJournal) Create(fd storage.FileDesc) (storage.Writer, error) {
	w, err := s.Storage.Create(fd)
	if err == nil && fd.Type == storage.TypeJournal {
		return discard{w}, nil
	}
	return w, err
}

// Log drops what goleveldb tells about its work.
func (noJournal) Log(string) {}

type discard struct{ storage.Writer }

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Sync() error                 { return nil }

// openStorage opens the files of a database; an empty dir means memory.
func openStorage(d Disk, dir string) (storage.Storage, error) {
	if dir == "" {
		return noJournal{storage.NewMemStorage()}, nil
	}
	files, err := d.Database(dir)
	if err != nil {
		return nil, err
	}
	return noJournal{files}, nil
}
