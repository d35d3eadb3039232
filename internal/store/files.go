package store

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// files are those of a database, with two differences from what goleveldb would do.
//
// Journals stay empty; goleveldb has no option for it. Its files then change only when
// memory is flushed, atomically: a torn journal, or one with a hole after a loss of power,
// cannot exist, and the changelog has the rows anyway.
//
// Tables and manifests begin with a mark that says whose they are. goleveldb's checksums
// find a bit that changed, but not a whole file that was put in the place of another: its
// rows would be taken for good. Nor do they cover the end of a table, which says how much
// memory is to be taken for its index.
type files struct {
	storage.Storage
	owner owner
}

// owner is a database: of a store, as its manifest knows it, and of a segment in it.
type owner struct {
	store   uint64 // random, another one whenever a store begins anew
	segment int64  // 0 in a store without segments
}

// A mark is the text, the owner, and the type and number of the file.
const (
	markText = "streams\n"
	markLen  = len(markText) + 3*8
)

func (o owner) mark(fd storage.FileDesc) [markLen]byte {
	b := append(make([]byte, 0, markLen), markText...)
	b = binary.BigEndian.AppendUint64(b, o.store)
	b = binary.BigEndian.AppendUint64(b, uint64(o.segment))
	b = binary.BigEndian.AppendUint64(b, uint64(fd.Type)<<56|uint64(fd.Num))
	return [markLen]byte(b)
}

func (f files) Create(fd storage.FileDesc) (storage.Writer, error) {
	w, err := f.Storage.Create(fd)
	if err != nil {
		return nil, err
	}
	if fd.Type == storage.TypeJournal {
		return discard{w}, nil
	}
	mark := f.owner.mark(fd)
	if _, err := w.Write(mark[:]); err != nil {
		return nil, errors.Join(err, w.Close(), f.Storage.Remove(fd))
	}
	return w, nil
}

func (f files) Open(fd storage.FileDesc) (storage.Reader, error) {
	r, err := f.Storage.Open(fd)
	if err != nil {
		return nil, err
	}
	if fd.Type == storage.TypeJournal {
		return empty{r}, nil
	}
	var found [markLen]byte
	if _, err := io.ReadFull(r, found[:]); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, errors.Join(err, r.Close())
	}
	if found != f.owner.mark(fd) {
		return nil, errors.Join(&storage.ErrCorrupted{Fd: fd, Err: errNotOurs}, r.Close())
	}
	m := marked{r, fd}
	if fd.Type == storage.TypeTable {
		if err := m.checkFooter(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return m, nil
}

// Remove is content with a file that is not there. goleveldb removes the table that it was
// writing when it meets damage, and of two errors it keeps only the text: a store that is
// damaged would not be known for it.
func (f files) Remove(fd storage.FileDesc) error {
	if err := f.Storage.Remove(fd); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

var errNotOurs = errors.New("the file is damaged, or another one lies in its place")

// Log drops what goleveldb tells about its work.
func (files) Log(string) {}

// discard is a journal that takes nothing.
type discard struct{ storage.Writer }

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Sync() error                 { return nil }

// empty is a journal that has nothing, whatever its file may hold.
type empty struct{ storage.Reader }

func (empty) Read([]byte) (int, error)          { return 0, io.EOF }
func (empty) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }

// marked reads a file from behind its mark on.
type marked struct {
	storage.Reader
	fd storage.FileDesc
}

// ReadAt reads all of p. goleveldb would take what was in p before for the rest of a file
// that was cut off.
func (m marked) ReadAt(p []byte, at int64) (int, error) {
	n, err := m.Reader.ReadAt(p, at+markLen64)
	if n == len(p) {
		return n, nil
	}
	if err == io.EOF {
		err = m.damaged("it is cut off")
	}
	return n, err
}

func (m marked) Seek(to int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		to += markLen64
	}
	at, err := m.Reader.Seek(to, whence)
	return at - markLen64, err
}

const markLen64 = int64(markLen)

func (m marked) damaged(how string) error {
	return &storage.ErrCorrupted{Fd: m.fd, Err: errors.New(how)}
}

// A table ends with the offsets and lengths of two blocks, padding, and a magic number. A
// block has a type and a checksum behind it.
const (
	footerLen  = 48
	blockExtra = 5
)

// checkFooter fails if the end of a table points out of the table.
func (m marked) checkFooter() error {
	size, err := m.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size < footerLen {
		return m.damaged("it is too small for a table")
	}
	footer := make([]byte, footerLen)
	if _, err := m.ReadAt(footer, size-footerLen); err != nil {
		return err
	}
	f := fields{b: footer}
	for range 2 {
		offset, length := f.uvarint(), f.uvarint()
		if end := uint64(size - footerLen); f.short || offset > end || length > end || offset+length+blockExtra > end {
			return m.damaged("its footer is damaged")
		}
	}
	return nil
}

// openFiles opens the files of a database; an empty dir means memory.
func openFiles(d Disk, dir string, o owner) (storage.Storage, error) {
	if dir == "" {
		return files{storage.NewMemStorage(), o}, nil
	}
	disk, err := d.Database(dir)
	if err != nil {
		return nil, err
	}
	return files{disk, o}, nil
}
