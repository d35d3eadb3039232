package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// Deletes is how long a broker keeps the deletes of a compacted topic: the default of
// delete.retention.ms. Files that are older lack deletes that cannot be read any more: rows
// would come back. So a store notes when all of its rows were on disk last, flushes them now
// and then though its memory is far from full, and does not go on from files that are too
// old.
const Deletes = 24 * time.Hour

// ageName is the file that says when the rows on disk were all that there were. It is not
// synced: without it the files are too old.
const ageName = "FLUSHED"

// ageLen is a time in ms and a checksum, of the id of the store too.
const ageLen = 8 + 4

func encodeAge(at time.Time, store uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	return binary.LittleEndian.AppendUint32(b, ageSum(b, store))
}

func ageSum(b []byte, store uint64) uint32 {
	return crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint64(nil, store), castagnoli), castagnoli, b)
}

func decodeAge(b []byte, store uint64) (at time.Time, ok bool) {
	if len(b) != ageLen || ageSum(b[:8], store) != binary.LittleEndian.Uint32(b[8:]) {
		return at, false
	}
	return time.UnixMilli(int64(binary.LittleEndian.Uint64(b))), true
}

// readAge finds out whether the files are too old to go on from. A clock that was set back
// does not tell how old they are, and then they are too old as well.
func (s *Store) readAge() error {
	if s.Offset() < 0 {
		return s.flushed() // nothing is missing in nothing
	}
	now := s.res.now()
	s.flushDue(now)
	at, ok := s.res.age(s.dir, s.id)
	switch {
	case !ok:
		s.old = errors.New("it is not known how old they are")
	case now.Sub(at).Abs() > Deletes*3/4:
		s.old = fmt.Errorf("they are of %s", at.UTC().Format(time.DateTime))
	}
	return nil
}

// age is when all rows of the store in dir were on its disk last, if that is known.
func (r *Resources) age(dir string, store uint64) (at time.Time, ok bool) {
	b, err := r.disk.ReadFile(filepath.Join(dir, ageName))
	if err != nil {
		return at, false
	}
	return decodeAge(b, store)
}

// Expired says whether the files of the store in dir, if there is one, are too old to go on
// from.
func (r *Resources) Expired(dir string) bool {
	m, err := readManifest(r.disk, dir)
	if err != nil {
		return false
	}
	at, ok := r.age(dir, m.id)
	return ok && r.now().Sub(at) > Deletes
}

// tooOld is an error when records of the changelog, up to next, cannot bring the rows up to
// date.
func (s *Store) tooOld(next int64) error {
	if s.old == nil || next == s.Offset() {
		return nil
	}
	return corrupt(fmt.Errorf("its files are too old, and the changelog may not have all deletes since: %w", s.old))
}

// flushed notes that all rows are on disk, and that they are those of now.
func (s *Store) flushed() error {
	now := s.res.now()
	s.flushDue(now)
	return s.res.disk.WriteFile(filepath.Join(s.dir, ageName), encodeAge(now, s.id), false)
}

// flushDue chooses when to flush next: not at the same moment as other stores.
func (s *Store) flushDue(now time.Time) {
	s.due = now.Add(Deletes/8 + rand.N(Deletes/8))
}
