package store

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"
)

// Store is an open store. It belongs to one task and is used by one goroutine at a time.
//
// After an error of Commit, Restore or Flush the store answers every call but Close and
// Destroy with that error: close it and open it again.
type Store struct {
	spec   Spec
	dir    string // also a name in errors when the store is in memory
	res    *Resources
	engine engine
	dead   error // why the store can no longer be used

	id  uint64    // of the manifest
	old error     // why the files are too old to be restored from; nil: they are not
	due time.Time // when all rows have to be on disk next

	reading bool // it was opened to be read: Close writes nothing

	hashing *hashing
	dirty   *dirty
	cache   *cache // nil until a Get had to ask the engine

	top       int64 // the greatest time put, also uncommitted
	markedTop int64 // what it was at the last Mark

	scans int // under way

	key      []byte // scratch for tagged keys
	sorted   []sortEntry
	keys     []byte // changelog keys, until Commit or Abort
	history  uint64 // the number of what rewrote versions
	found    []byte // scratch for what GetAt found
	swept    int64  // versions that ended before it were removed
	restored int64  // position of a restore under way; -1: none

	restoring bool // has a share of the memory for restores
}

func newStore(dir string, s Spec, r *Resources) *Store {
	h := &hashing{seed: maphash.MakeSeed()}
	r.rows.enter()
	r.kept.enter()
	return &Store{
		spec: s, dir: dir, res: r, hashing: h,
		dirty: newDirty(h, s.Kind),
		top:   noTime, markedTop: noTime, swept: noTime, restored: -1,
	}
}

// Offset is the position in the changelog that the committed rows stand for: restore
// from there. It is -1 when there is none: restore from the start. The rows may already
// be those of a later position; restoring to the end makes that no difference.
func (s *Store) Offset() int64 { return s.engine.position().offset }

// Err is why the store answers every call with an error; nil: it does not.
func (s *Store) Err() error { return s.dead }

// Needed is the offset before which the changelog has nothing that this store could still
// need: all of it was about windows that are forgotten. It is -1 while that is not known,
// and for stores that forget nothing.
func (s *Store) Needed() int64 {
	if g, ok := s.engine.(*segments); ok && s.dead == nil {
		return g.needed()
	}
	return -1
}

// tagged returns the key of a row, valid until the next call.
func (s *Store) tagged(tag byte, key []byte) []byte {
	s.key = append(append(s.key[:0], tag), key...)
	return s.key
}

// horizon is the newest time that is out of reach.
func (s *Store) horizon() int64 {
	switch s.spec.Kind {
	case Window, Session, List:
		return horizon(s.top, s.spec.Retention)
	case Versioned:
		return horizon(s.top, s.spec.History)
	}
	return noTime
}

// visible reports whether a row of this window start can be reached.
func (s *Store) visible(start int64) bool {
	h := s.horizon()
	return start > h || h == noTime
}

// checkKey refuses keys that are none of a window store.
func (s *Store) checkKey(key []byte) error {
	if !s.spec.Kind.isKey(key) {
		return fmt.Errorf("store: %x is no key of %v store %q: make it with AppendWindowKey, or as its kind asks", key, s.spec.Kind, s.spec.Name)
	}
	return nil
}

// Get returns the row of key. In a Window store key is that of AppendWindowKey; in a
// Versioned store the row is the newest version.
func (s *Store) Get(key []byte) (Row, bool, error) {
	if s.dead != nil {
		return Row{}, false, s.dead
	}
	if s.spec.Kind == Versioned {
		return s.latest(key)
	}
	if err := s.checkKey(key); err != nil {
		return Row{}, false, err
	}
	if s.spec.Kind.Windowed() && !s.visible(s.spec.Kind.start(key)) {
		return Row{}, false, nil
	}
	value, time, ok, err := s.get(s.tagged(tagRow, key))
	if err != nil || !ok {
		return Row{}, false, err
	}
	return Row{Key: key, Value: value, Time: time}, true, nil
}

// get reads a row by its tagged key, through all layers.
func (s *Store) get(key []byte) (value []byte, time int64, ok bool, err error) {
	hash := s.hashing.of(key)
	if e := s.dirty.find(hash, key); e >= 0 && s.dirty.entries[e].record != 0 {
		value, time, ok = s.dirty.value(s.dirty.entries[e].record)
		return value, time, ok, nil
	}
	if s.cache == nil {
		s.cache = newCache(s.res.rows.each())
	} else if value, time, ok, known := s.cache.get(hash, key); known {
		return value, time, ok, nil
	}
	value, time, ok, err = s.engine.get(key)
	if err != nil {
		return nil, 0, false, s.fail("read", err)
	}
	s.cache.put(hash, key, value, time, ok)
	return value, time, ok, nil
}

// Put writes a row; a nil value deletes it. In a Window store key is that of
// AppendWindowKey, and the row is dropped when its start is older than the greatest one
// put by Retention or more. A Versioned store has PutVersion instead.
func (s *Store) Put(key, value []byte, time int64) (dropped bool, err error) {
	if s.dead != nil {
		return false, s.dead
	}
	if s.spec.Kind == Versioned {
		return false, fmt.Errorf("store: Put into versioned store %q: use PutVersion", s.spec.Name)
	}
	if err := s.checkKey(key); err != nil {
		return false, err
	}
	if s.spec.Kind.Windowed() {
		start := s.spec.Kind.start(key)
		if !s.visible(start) {
			return true, nil
		}
		s.top = max(s.top, start)
	}
	return false, s.write(s.tagged(tagRow, key), value, time)
}

// write puts a row under a tagged key into the uncommitted rows.
func (s *Store) write(key, value []byte, time int64) error {
	if err := s.dirty.put(s.hashing.of(key), key, value, time); err != nil {
		return fmt.Errorf("store: write to %q: %w", s.spec.Name, err)
	}
	return nil
}

// Len is the approximate number of rows: exact up to a few thousand, and estimated from
// the size on disk above.
func (s *Store) Len() (int64, error) {
	const sample = 10_000
	if s.dead != nil {
		return 0, s.dead
	}
	var n int64
	var last []byte
	for row, err := range s.Scan(all) {
		if err != nil {
			return 0, err
		}
		if n++; n == sample {
			last = s.tagged(tagRow, row.Key)
			break
		}
	}
	if n < sample {
		return n, nil
	}
	return s.estimate(n, slices.Clone(last))
}

// estimate extrapolates from the n rows up to last.
func (s *Store) estimate(n int64, last []byte) (int64, error) {
	part, whole, err := s.engine.sizes(span{lo: []byte{tagRow}, hi: last})
	if err != nil {
		return 0, s.fail("measure", err)
	}
	if part <= 0 || whole < part { // most rows are still in memory
		return s.count()
	}
	return int64(float64(n) * float64(whole) / float64(part)), nil
}

// count is the exact number of rows.
func (s *Store) count() (n int64, err error) {
	for _, err := range s.Scan(all) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Mark makes Undo take back what is written from now on. A task marks before each
// record.
func (s *Store) Mark() {
	s.dirty.setMark()
	s.markedTop = s.top
}

// Undo takes back, exactly, everything put since the last Mark, Changelog, Commit or
// Abort. It must not be called within a Scan.
func (s *Store) Undo() {
	s.dirty.undoAll()
	s.rewritten()
	s.top = s.markedTop
}

// Dirty is the memory, in bytes, that uncommitted rows take; 0 when there are none.
func (s *Store) Dirty() int { return s.dirty.size() }

// Flush makes the committed rows durable: they, and their position, survive a crash.
func (s *Store) Flush() error {
	if s.dead != nil {
		return s.dead
	}
	if err := s.flush(); err != nil {
		s.dead = s.fail("flush", err)
		return s.dead
	}
	return nil
}

func (s *Store) flush() error {
	if err := s.engine.flush(); err != nil || s.spec.InMemory || s.old != nil {
		return err
	}
	return s.flushed()
}

// Close flushes the store, unless it has failed before, and ends it. Uncommitted rows are
// dropped.
func (s *Store) Close() (err error) {
	if errors.Is(s.dead, errClosed) {
		return nil
	}
	if s.dead == nil && !s.spec.InMemory && !s.reading {
		err = s.Flush()
	}
	if cerr := s.engine.close(); cerr != nil {
		err = errors.Join(err, s.fail("close", cerr))
	}
	s.end()
	return err
}

// Destroy ends the store and deletes its files.
func (s *Store) Destroy() error {
	if !errors.Is(s.dead, errClosed) {
		_ = s.engine.close() // what is to be deleted need not be whole
		s.end()
	}
	if s.spec.InMemory {
		return nil
	}
	if err := s.res.disk.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("store: delete %q in %q: %w", s.spec.Name, s.dir, err)
	}
	return nil
}

// end lets go of the memory.
func (s *Store) end() {
	s.dead = s.fail("use", errClosed)
	s.endRestore()
	s.res.rows.leave()
	s.res.kept.leave()
	s.dirty, s.cache, s.sorted, s.keys = newDirty(s.hashing, KeyValue), nil, nil, nil
}
