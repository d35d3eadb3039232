package store

import (
	"fmt"
	"iter"
	"slices"
)

// A Versioned store keeps the newest version of a key under tagRow, also when that is a
// delete, and the older ones under tagVersion, newest first. Where a version's validity
// ends is where the next one begins, so it is not stored. A row under tagExpiry tells
// when a version may go: the end of its validity, which only gets earlier, then the key,
// then the version's time. A delete that is the newest version goes when its own time
// is out of reach.

// PutVersion writes the version of key as of time; a nil value is a delete. An old time
// puts it among the old versions: latest tells whether it is the newest. It is dropped
// when time is older than the greatest time ever put by more than History.
func (s *Store) PutVersion(key, value []byte, time int64) (latest, dropped bool, err error) {
	if s.dead != nil {
		return false, false, s.dead
	}
	if err := s.needVersions(); err != nil {
		return false, false, err
	}
	if time < s.horizon() {
		return false, true, nil
	}
	s.top = max(s.top, time)
	put := appendTime(append([]byte{tagPut}, key...), time)
	if err := s.write(put, value, time); err != nil {
		return false, false, err
	}
	latest, err = s.putVersion(key, value, time)
	return latest, false, err
}

func (s *Store) needVersions() error {
	if s.spec.Kind != Versioned {
		return fmt.Errorf("store: %q is a %v store and keeps no versions", s.spec.Name, s.spec.Kind)
	}
	return nil
}

// putVersion writes a version, for PutVersion and Restore.
func (s *Store) putVersion(key, value []byte, time int64) (latest bool, err error) {
	v := newVersion(value)
	old, oldTime, ok, err := s.get(s.tagged(tagRow, key))
	if err != nil {
		return false, err
	}
	if ok && time < oldTime {
		s.rewritten()
		return false, s.insertVersion(key, v, time, oldTime)
	}
	esc := appendEscaped(nil, key)
	if ok && old[0] == versionDelete {
		if err := s.write(expiryKey(oldTime, esc, oldTime), nil, 0); err != nil {
			return false, err
		}
	}
	if ok && time > oldTime {
		if err := s.keepVersion(esc, slices.Clone(old), oldTime, time); err != nil {
			return false, err
		}
	}
	if v[0] == versionDelete {
		if err := s.write(expiryKey(time, esc, time), []byte{}, 0); err != nil {
			return false, err
		}
	}
	return true, s.write(s.tagged(tagRow, key), v, time)
}

// newVersion is what is stored of a version.
func newVersion(value []byte) []byte {
	if value == nil {
		return []byte{versionDelete}
	}
	return append([]byte{versionValue}, value...)
}

// insertVersion writes a version that is older than the newest, of latestTime.
func (s *Store) insertVersion(key, v []byte, time, latestTime int64) error {
	esc := appendEscaped(nil, key)
	until, err := s.successor(esc, time, latestTime)
	if err != nil {
		return s.fail("read", err)
	}
	return s.keepVersion(esc, v, time, until)
}

// successor is when the first version began that is later than a time: one of the older
// versions, or the newest.
func (s *Store) successor(esc []byte, time, latestTime int64) (int64, error) {
	c, err := s.cursor(span{lo: versionKey(esc, newest), hi: versionKey(esc, time+1), backward: true})
	if err != nil {
		return 0, err
	}
	defer c.close()
	for {
		ok, err := c.next()
		if err != nil || !ok {
			return latestTime, err
		}
		if _, _, ok := c.row(); ok {
			return versionTime(c.key()), nil
		}
	}
}

// keepVersion writes an old version that was valid until then.
func (s *Store) keepVersion(esc, v []byte, time, until int64) error {
	if err := s.write(versionKey(esc, time), v, time); err != nil {
		return err
	}
	return s.write(expiryKey(until, esc, time), []byte{}, 0)
}

func versionKey(esc []byte, time int64) []byte {
	return appendTimeDown(append([]byte{tagVersion}, esc...), time)
}

func versionTime(key []byte) int64 { return readTimeDown(key[len(key)-timeLen:]) }

func expiryKey(until int64, esc []byte, time int64) []byte {
	return appendTime(append(appendTime([]byte{tagExpiry}, until), esc...), time)
}

// latest is the newest version, unless that is a delete.
func (s *Store) latest(key []byte) (Row, bool, error) {
	v, time, ok, err := s.get(s.tagged(tagRow, key))
	if err != nil || !ok || v[0] == versionDelete {
		return Row{}, false, err
	}
	return Row{Key: key, Value: v[1:], Time: time, Until: newest}, true, nil
}

// Versions yields the versions of key that were valid at any time from from up to and
// including to, oldest first, as they are when it begins; of times that are older than
// History only what GetAt knows. A failure is yielded once, last.
func (s *Store) Versions(key []byte, from, to int64) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		rows, err := s.versions(key, from, to)
		if err != nil {
			yield(Row{}, err)
			return
		}
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// versions returns copies of versions of key, oldest first.
func (s *Store) versions(key []byte, from, to int64) ([]Row, error) {
	if s.dead != nil {
		return nil, s.dead
	}
	if err := s.needVersions(); err != nil || from > to {
		return nil, err
	}
	v, time, ok, err := s.get(s.tagged(tagRow, key))
	if err != nil || !ok {
		return nil, err
	}
	key = slices.Clone(key)
	var rows []Row
	if time <= to && v[0] == versionValue {
		rows = append(rows, Row{Key: key, Value: slices.Clone(v[1:]), Time: time, Until: newest})
	}
	from = max(from, s.horizon())
	if time > from && from <= to {
		if rows, err = s.appendOlder(rows, key, from, to, time); err != nil {
			return nil, s.fail("read", err)
		}
	}
	slices.Reverse(rows)
	return rows, nil
}

// appendOlder appends the older versions of key, newest first: all but the newest, which
// began at until.
func (s *Store) appendOlder(rows []Row, key []byte, from, to, until int64) ([]Row, error) {
	esc := appendEscaped(nil, key)
	if to < until { // begin where they are early enough
		var err error
		if until, err = s.successor(esc, to, until); err != nil {
			return nil, err
		}
	}
	c, err := s.cursor(span{lo: versionKey(esc, to), hi: versionKey(esc, noTime)})
	if err != nil {
		return nil, err
	}
	defer c.close()
	for until > from {
		ok, err := c.next()
		if err != nil || !ok {
			return rows, err
		}
		v, time, ok := c.row()
		if !ok {
			continue
		}
		if time <= to && v[0] == versionValue {
			rows = append(rows, Row{Key: key, Value: slices.Clone(v[1:]), Time: time, Until: until})
		}
		until = time
	}
	return rows, nil
}

// sweepRows is how many versions a commit removes at most, to keep it short.
const sweepRows = 2000

// sweep removes versions that are out of reach. Older versions of a key go before the
// delete that ended them, in the same batch or an earlier one, so none comes to life
// again.
func (s *Store) sweep() error {
	h := s.horizon()
	if h <= s.swept {
		return nil
	}
	p := span{lo: appendTime([]byte{tagExpiry}, s.swept), hi: appendTime([]byte{tagExpiry}, h)}
	cursors, err := s.engine.scan(p)
	if err != nil {
		return err
	}
	c := cursors[0]
	defer c.close()
	for n := range sweepRows {
		ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			s.swept = h
			if n == 0 {
				return nil
			}
			break
		}
		if err := s.expireVersion(slices.Clone(c.key())); err != nil {
			return err
		}
	}
	return s.engine.commit(s.engine.position())
}

// expireVersion removes the version that a row under tagExpiry is about, and that row.
func (s *Store) expireVersion(expiry []byte) error {
	n := len(expiry) - timeLen
	esc, time := expiry[1+timeLen:n], readTime(expiry[n:])
	if err := s.engine.remove(versionKey(esc, time)); err != nil {
		return err
	}
	if err := s.engine.remove(expiry); err != nil {
		return err
	}
	key := slices.Clone(s.tagged(tagRow, unescape(esc)))
	v, at, ok, err := s.engine.get(key)
	if err != nil || !ok || at != time || v[0] != versionDelete {
		return err
	}
	if s.cache != nil {
		s.cache.put(s.hashing.of(key), key, nil, 0, false)
	}
	return s.engine.remove(key)
}
