package store

import (
	"errors"
	"fmt"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// Restore takes records of the changelog, as Changelog emits them, beginning at Offset,
// or at the start when that is -1. Next is the position after them. The rows can be read
// at once and are committed by later calls and by FinishRestore. It must not be called
// while there are uncommitted rows.
func (s *Store) Restore(records []kafka.Record, next int64) error {
	if s.dead != nil {
		return s.dead
	}
	if s.restored < 0 && s.Dirty() > 0 {
		return fmt.Errorf("store: restore of %q: there are uncommitted rows: commit or abort them first", s.spec.Name)
	}
	if err := s.tooOld(next); err != nil {
		return s.restoreFailed(err)
	}
	s.beginRestore()
	for _, r := range records {
		if err := s.restore(r); err != nil {
			return s.restoreFailed(fmt.Errorf("record at offset %d: %w", r.Offset, err))
		}
		s.restored = r.Offset + 1
		if s.Dirty() < s.res.restores.each() {
			continue
		}
		if err := s.apply(s.restored); err != nil {
			return s.restoreFailed(err)
		}
	}
	s.restored = next
	return nil
}

// FinishRestore commits what Restore took and ends the restore.
func (s *Store) FinishRestore() error {
	if s.dead != nil {
		return s.dead
	}
	if s.restored < 0 {
		return nil
	}
	if err := s.apply(s.restored); err != nil {
		return s.restoreFailed(err)
	}
	s.sorted = nil // it was for far more rows than a commit has
	s.endRestore()
	return nil
}

// beginRestore takes a share of the memory for restores, and endRestore gives it back.
func (s *Store) beginRestore() {
	if !s.restoring {
		s.restoring = true
		s.res.restores.enter()
	}
}

func (s *Store) endRestore() {
	if s.restoring {
		s.restoring = false
		s.res.restores.leave()
	}
}

func (s *Store) restoreFailed(err error) error {
	s.dead = s.fail("restore", err)
	s.endRestore()
	return s.dead
}

// restore writes one record as an uncommitted row.
func (s *Store) restore(r kafka.Record) error {
	if r.Key == nil {
		return errors.New("it has no key: the topic is not the changelog of this store")
	}
	switch s.spec.Kind {
	case Window, Session, List:
		key, start, err := s.spec.Kind.rowKey(append(s.key[:0], tagRow), r.Key)
		if s.key = key; err != nil {
			return err
		}
		s.top = max(s.top, start)
		if !s.visible(start) {
			return nil
		}
		return s.write(s.key, r.Value, r.Time)
	case Versioned:
		s.top = max(s.top, r.Time)
		s.swept = noTime // this version may have ended before others that are gone
		_, err := s.putVersion(r.Key, r.Value, r.Time)
		return err
	}
	return s.write(s.tagged(tagRow, r.Key), r.Value, r.Time)
}
