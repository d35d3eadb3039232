package store

// Changelog emits each row that was changed since the last Commit or Abort and was not
// emitted yet, with its newest value, in the order of the first changes, and deletes after
// all others. The bytes are those of Kafka Streams' changelogs: a nil value is a delete, time
// is the row's time and the time of the record; the key of a window is key, start and a
// sequence number (0, but in a List store), that of a session is key, end and start; of a
// Versioned store every version put is emitted, with plain key and value. The slices are
// valid until Commit or Abort. Undo does not reach behind it.
//
// A delete may be there because another row took over what was in it, as when sessions
// merge. Without transactions a crash may cut off what is emitted: then that row is there.
func (s *Store) Changelog(emit func(key, value []byte, time int64) error) error {
	if s.dead != nil {
		return s.dead
	}
	s.Mark()
	// Among the versions of a key, deletes keep their place.
	left, err := s.emit(emit, s.spec.Kind == Versioned)
	if err == nil && left {
		_, err = s.emit(emit, true)
	}
	return err
}

// emit emits what was not emitted yet, with deletes or without, and says whether it left
// any out.
func (s *Store) emit(emit func(key, value []byte, time int64) error, deletes bool) (left bool, err error) {
	for i, e := range s.dirty.entries {
		if e.record == 0 || e.record == e.emitted {
			continue
		}
		value, time, _ := s.dirty.value(e.record)
		if value == nil && !deletes {
			left = true
			continue
		}
		key, ok := s.changelogKey(s.dirty.key(int32(i)))
		if !ok {
			continue
		}
		if err := emit(key, value, time); err != nil {
			return left, err
		}
		s.dirty.entries[i].emitted = e.record
	}
	return left, nil
}

// changelogKey is the key in the changelog of a row under a tagged key; ok is false for
// rows that are not part of the changelog.
func (s *Store) changelogKey(key []byte) (_ []byte, ok bool) {
	switch s.spec.Kind {
	case KeyValue:
		return key[1:], true
	case Versioned:
		if key[0] != tagPut {
			return nil, false
		}
		return key[1 : len(key)-timeLen], true
	}
	n := len(s.keys)
	s.keys = s.spec.Kind.changelogKey(s.keys, key[1:])
	return s.keys[n:len(s.keys):len(s.keys)], true
}

// Commit makes the uncommitted rows committed ones: they are what the changelog holds
// before offset. A negative offset leaves Offset as it is.
func (s *Store) Commit(offset int64) error {
	if s.dead != nil {
		return s.dead
	}
	if offset < 0 {
		offset = s.Offset()
	}
	if err := s.apply(offset); err != nil {
		s.dead = s.fail("commit", err)
		return s.dead
	}
	return nil
}

// Abort drops the uncommitted rows, also those of a Restore that was not finished.
func (s *Store) Abort() {
	if s.dead != nil {
		return
	}
	s.top = s.engine.position().top
	s.endRestore()
	s.rewritten()
	s.clean()
}

// apply moves the uncommitted rows into the engine, which has then come to offset.
func (s *Store) apply(offset int64) error {
	p := position{offset: offset, top: s.top}
	if len(s.dirty.entries) == 0 && p == s.engine.position() {
		return nil
	}
	if s.cache != nil {
		s.cache.max = s.res.rows.each()
	}
	s.sorted = s.dirty.sorted(s.sorted) // goleveldb takes sorted rows twice as fast
	for _, e := range s.sorted {
		if err := s.applyEntry(e.entry); err != nil {
			return err
		}
	}
	if err := s.engine.commit(p); err != nil {
		return err
	}
	s.clean()
	s.old = nil
	if s.scans > 0 {
		return nil // the next commit will do it
	}
	if !s.spec.InMemory && s.res.now().After(s.due) {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if err := s.engine.maintain(s.horizon()); err != nil {
		return err
	}
	if s.spec.Kind == Versioned {
		return s.sweep()
	}
	return nil
}

func (s *Store) applyEntry(e int32) error {
	key := s.dirty.key(e)
	if key[0] == tagPut {
		return nil
	}
	if s.spec.Kind.Windowed() && !s.visible(s.spec.Kind.start(key)) {
		return nil
	}
	value, time, ok := s.dirty.value(s.dirty.entries[e].record)
	if s.cache != nil && key[0] == tagRow {
		s.cache.put(s.dirty.entries[e].hash, key, value, time, ok)
	}
	if !ok {
		return s.engine.remove(key)
	}
	return s.engine.put(key, value, time)
}

// clean drops the uncommitted rows. Scans under way keep theirs.
func (s *Store) clean() {
	if s.scans > 0 {
		s.dirty = newDirty(s.hashing, s.spec.Kind)
	} else {
		s.dirty.reset(s.res.kept.each())
	}
	s.keys = s.keys[:0]
	s.markedTop = s.top
	s.restored = -1
}
