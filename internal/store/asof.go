package store

import "encoding/binary"

// A search for the version of a time takes two walks over the disk. Records that ask come
// nearly in the order of time, so the next ones want the same version. The cache keeps the
// last one that was found of each key and stretch of time, under tagFound: when the version
// ends and the number of the history, and then the version. It is used again for times that
// are within.

// stretchBits is a stretch of time, in bits of milliseconds: 19 hours. One alone would not do
// where records come from several logs, some of which are ahead.
const stretchBits = 26

// GetAt returns the version of key that was valid at a time. For times older than the
// greatest one put by more than History only the newest version is known, which is
// returned if it was valid then. The value is valid until the next call.
func (s *Store) GetAt(key []byte, at int64) (Row, bool, error) {
	if s.dead != nil {
		return Row{}, false, s.dead
	}
	if err := s.needVersions(); err != nil {
		return Row{}, false, err
	}
	v, time, ok, err := s.get(s.tagged(tagRow, key))
	switch {
	case err != nil || !ok:
		return Row{}, false, err
	case time <= at && v[0] == versionValue:
		return Row{Key: key, Value: v[1:], Time: time, Until: newest}, true, nil
	case time <= at || at < s.horizon():
		return Row{}, false, nil
	}
	return s.olderAt(key, at)
}

// olderAt is GetAt of a time before the newest version.
func (s *Store) olderAt(key []byte, at int64) (Row, bool, error) {
	hash := s.hashing.of(s.foundKey(key, at))
	if s.cache == nil {
		s.cache = newCache(s.res.rows.each())
	} else if b, time, ok, _ := s.cache.get(hash, s.key); ok && time <= at {
		until, history := int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:])
		if at < until && history == s.history {
			return Row{Key: key, Value: b[16:], Time: time, Until: until}, true, nil
		}
	}
	rows, err := s.versions(key, at, at)
	if err != nil || len(rows) == 0 {
		return Row{}, false, err
	}
	row := rows[0]
	b := binary.LittleEndian.AppendUint64(s.found[:0], uint64(row.Until))
	b = binary.LittleEndian.AppendUint64(b, s.history)
	s.found = append(b, row.Value...)
	s.cache.put(hash, s.foundKey(key, at), s.found, row.Time, true)
	return row, true, nil
}

// foundKey is the key of what was found, valid until the next call.
func (s *Store) foundKey(key []byte, at int64) []byte {
	s.key = binary.BigEndian.AppendUint64(s.tagged(tagFound, key), uint64(at>>stretchBits))
	return s.key
}

// rewritten makes what was found before worth nothing: a history has changed in another way
// than by a version that is newer than all of it.
func (s *Store) rewritten() { s.history++ }
