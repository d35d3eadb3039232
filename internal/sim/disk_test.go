package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// disk is that of a machine: it outlives its processes. What a process writes is at once
// there for the next one, unless the power fails: then of each file only what was synced is
// sure to be left, and of the names, which a journal keeps in order, those up to the last
// that was synced.
type disk struct {
	mu      sync.Mutex
	names   map[string]*file // of files and directories, as a process sees them
	durable map[string]*file
	journal []change // to names, that are not durable

	full    bool
	writes  int // so far
	breakAt int // the process dies at this write; 0: at none
}

// file is what a name leads to.
type file struct {
	dir    bool
	data   []byte
	synced int // bytes
}

// change is one to the names, in a directory.
type change struct {
	dir string
	do  func(names map[string]*file)
}

func newDisk() *disk { return &disk{names: map[string]*file{}, durable: map[string]*file{}} }

// view is the disk as one process has it. When that is dead, nothing goes through any more.
type view struct {
	*disk
	dead bool
}

var errDead = errors.New("sim: the process is dead")

// write begins a change to the disk.
func (v *view) write() error {
	if v.dead {
		return errDead
	}
	v.writes++
	if v.writes == v.breakAt {
		v.dead = true
		return errDead
	}
	if v.full {
		return &os.PathError{Op: "write", Path: "state", Err: syscall.ENOSPC}
	}
	return nil
}

// change changes names, now and, when it is synced, for good.
func (v *view) change(dir string, do func(names map[string]*file)) {
	do(v.names)
	v.journal = append(v.journal, change{dir, do})
}

func (v *view) syncDir(dir string) {
	for i := len(v.journal) - 1; i >= 0; i-- {
		if v.journal[i].dir == dir {
			for _, c := range v.journal[:i+1] {
				c.do(v.durable)
			}
			v.journal = slices.Delete(v.journal, 0, i+1)
			return
		}
	}
}

// lose is what a loss of power does.
func (d *disk) lose(r *rand.Rand) {
	for _, c := range d.journal[:r.IntN(len(d.journal)+1)] {
		c.do(d.durable)
	}
	d.journal, d.names = nil, maps.Clone(d.durable)
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		f := d.names[name]
		if len(f.data) == f.synced {
			continue
		}
		f.data = slices.Clone(f.data[:f.synced+r.IntN(len(f.data)-f.synced+1)])
		if r.IntN(2) == 0 { // blocks that were given to the file and not written
			clear(f.data[f.synced:])
		}
		f.synced = len(f.data)
	}
}

// settle makes all durable, as time does.
func (d *disk) settle() {
	d.journal, d.durable = nil, maps.Clone(d.names)
	for _, f := range d.names {
		f.synced = len(f.data)
	}
}

// damage does something to one file, and says what.
func (d *disk) damage(r *rand.Rand) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var files []string
	for name, f := range d.names {
		if !f.dir && len(f.data) > 0 {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		return "nothing"
	}
	slices.Sort(files)
	name := files[r.IntN(len(files))]
	f := d.names[name]
	at := r.IntN(len(f.data))
	switch r.IntN(4) {
	case 0:
		d.settle()
		delete(d.names, name)
		delete(d.durable, name)
		return "deleted " + name
	case 1:
		f.data = slices.Clone(f.data[:at])
		f.synced = min(f.synced, at)
		return fmt.Sprintf("cut %s at %d", name, at)
	case 2:
		clear(f.data[at:min(at+8, len(f.data))])
		return fmt.Sprintf("zeros in %s at %d", name, at)
	}
	f.data[at] ^= 1 << r.IntN(8)
	return fmt.Sprintf("flipped a bit of %s at %d", name, at)
}

// wipe is another disk.
func (d *disk) wipe() {
	d.names, d.durable, d.journal = map[string]*file{}, map[string]*file{}, nil
}

// The methods that stores call (store.Disk).

func (v *view) MkdirAll(dir string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.mkdir(dir)
}

func (v *view) mkdir(dir string) error {
	if dir == "/" || v.names[dir] != nil {
		if v.dead {
			return errDead
		}
		return nil
	}
	if err := v.mkdir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := v.write(); err != nil {
		return err
	}
	f := &file{dir: true}
	v.change(filepath.Dir(dir), func(names map[string]*file) { names[dir] = f })
	return nil
}

func (v *view) ReadDir(dir string) (found []string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.dead {
		return nil, errDead
	}
	for name := range v.names {
		if filepath.Dir(name) == dir {
			found = append(found, filepath.Base(name))
		}
	}
	slices.Sort(found)
	return found, nil
}

// find finds a file.
func (v *view) find(path string) (*file, error) {
	if v.dead {
		return nil, errDead
	}
	f := v.names[path]
	if f == nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	return f, nil
}

func (v *view) ReadFile(path string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f, err := v.find(path)
	if err != nil {
		return nil, err
	}
	return slices.Clone(f.data), nil
}

// create makes a file, or empties it.
func (v *view) create(path string) (*file, error) {
	if err := v.write(); err != nil {
		return nil, err
	}
	if f := v.names[path]; f != nil {
		f.data, f.synced = nil, 0
		return f, nil
	}
	f := &file{}
	v.change(filepath.Dir(path), func(names map[string]*file) { names[path] = f })
	return f, nil
}

// append adds to a file: all of it, or when the process dies meanwhile, a part.
func (v *view) append(f *file, b []byte) error {
	err := v.write()
	if err != nil && v.writes == v.breakAt {
		f.data = append(f.data, b[:len(b)/2]...)
	} else if err == nil {
		f.data = append(f.data, b...)
	}
	return err
}

func (v *view) sync(f *file) error {
	if err := v.write(); err != nil {
		return err
	}
	f.synced = len(f.data)
	return nil
}

func (v *view) WriteFile(path string, b []byte, synced bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	f, err := v.create(path)
	if err == nil {
		err = v.append(f, b)
	}
	if err == nil && synced {
		err = v.sync(f)
	}
	return err
}

func (v *view) Exists(path string) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.dead {
		return false, errDead
	}
	return v.names[path] != nil, nil
}

// below says whether name is path, or in it.
func below(name, path string) bool { return name == path || strings.HasPrefix(name, path+"/") }

func (v *view) Rename(from, to string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := v.find(from); err != nil {
		return err
	}
	if err := v.write(); err != nil {
		return err
	}
	v.change(filepath.Dir(to), func(names map[string]*file) {
		for name, f := range maps.Clone(names) {
			if below(name, from) {
				delete(names, name)
				names[to+strings.TrimPrefix(name, from)] = f
			}
		}
	})
	return nil
}

func (v *view) Remove(path string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := v.find(path); err != nil {
		return err
	}
	return v.remove(path)
}

// remove deletes one name. A full disk takes that.
func (v *view) remove(path string) error {
	if err := v.write(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	v.change(filepath.Dir(path), func(names map[string]*file) { delete(names, path) })
	return nil
}

// RemoveAll deletes the names in a directory one by one, and the directory last.
func (v *view) RemoveAll(path string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	names := slices.Sorted(maps.Keys(v.names))
	for _, name := range slices.Backward(names) {
		if below(name, path) {
			if err := v.remove(name); err != nil {
				return err
			}
		}
	}
	if v.dead {
		return errDead
	}
	return nil
}

func (v *view) SyncDir(dir string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.write(); err != nil {
		return err
	}
	v.syncDir(dir)
	return nil
}

func (v *view) Database(dir string) (storage.Storage, error) {
	if err := v.MkdirAll(dir); err != nil {
		return nil, err
	}
	return &files{view: v, dir: dir}, nil
}

// files are those of a goleveldb database. After an error every write fails until it is
// opened again, so that it does not matter how soon goleveldb tries again.
type files struct {
	*view
	dir    string
	failed error
}

type unlocked struct{}

func (unlocked) Unlock() {}

func (*files) Lock() (storage.Locker, error) { return unlocked{}, nil }
func (*files) Log(string)                    {}
func (*files) Close() error                  { return nil }

func (s *files) path(fd storage.FileDesc) string { return s.dir + "/" + fd.String() }

// do changes something.
func (s *files) do(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	err := f()
	if !errors.Is(err, os.ErrNotExist) {
		s.failed = err
	}
	return err
}

func (s *files) current() string { return s.dir + "/CURRENT" }

func (s *files) SetMeta(fd storage.FileDesc) error {
	return s.do(func() error {
		if err := s.write(); err != nil {
			return err
		}
		b := []byte(fd.String() + "\n")
		s.change(s.dir, func(names map[string]*file) { names[s.current()] = &file{data: b, synced: len(b)} })
		s.syncDir(s.dir)
		return nil
	})
}

func (s *files) GetMeta() (fd storage.FileDesc, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(s.current())
	if errors.Is(err, os.ErrNotExist) {
		return fd, os.ErrNotExist
	}
	if err != nil {
		return fd, err
	}
	name, ok := strings.CutSuffix(string(f.data), "\n")
	if fd, known := parse(name); ok && known {
		if s.names[s.path(fd)] == nil {
			return fd, os.ErrNotExist
		}
		return fd, nil
	}
	return fd, &storage.ErrCorrupted{Err: errors.New("sim: CURRENT is damaged")}
}

// parse reads a file's name.
func parse(name string) (fd storage.FileDesc, ok bool) {
	for _, known := range []struct {
		format string
		t      storage.FileType
	}{{"MANIFEST-%d", storage.TypeManifest}, {"%d.log", storage.TypeJournal}, {"%d.ldb", storage.TypeTable}, {"%d.tmp", storage.TypeTemp}} {
		fd := storage.FileDesc{Type: known.t}
		if n, err := fmt.Sscanf(name, known.format, &fd.Num); n == 1 && err == nil && fd.String() == name {
			return fd, true
		}
	}
	return fd, false
}

func (s *files) List(t storage.FileType) (fds []storage.FileDesc, err error) {
	names, err := s.ReadDir(s.dir)
	for _, name := range names {
		if fd, ok := parse(name); ok && fd.Type&t != 0 {
			fds = append(fds, fd)
		}
	}
	return fds, err
}

func (s *files) Open(fd storage.FileDesc) (storage.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(s.path(fd))
	if errors.Is(err, os.ErrNotExist) {
		return nil, os.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return reader{bytes.NewReader(f.data)}, nil
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

var _ io.ReaderAt = reader{}

func (s *files) Create(fd storage.FileDesc) (w storage.Writer, err error) {
	err = s.do(func() error {
		f, err := s.create(s.path(fd))
		w = &writer{s, f, fd.Type == storage.TypeManifest}
		return err
	})
	return w, err
}

func (s *files) Remove(fd storage.FileDesc) error {
	return s.do(func() error {
		if _, err := s.find(s.path(fd)); err != nil {
			return err
		}
		return s.remove(s.path(fd))
	})
}

func (s *files) Rename(from, to storage.FileDesc) error {
	return s.do(func() error { return errors.New("sim: goleveldb renames only to recover") })
}

type writer struct {
	*files
	file     *file
	manifest bool
}

func (w *writer) Write(b []byte) (int, error) {
	if err := w.do(func() error { return w.append(w.file, b) }); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Sync also syncs the directory if it is a manifest's, as goleveldb's own does.
func (w *writer) Sync() error {
	return w.do(func() error {
		if err := w.sync(w.file); err != nil {
			return err
		}
		if w.manifest {
			w.syncDir(w.dir)
		}
		return nil
	})
}

func (w *writer) Close() error { return nil }
