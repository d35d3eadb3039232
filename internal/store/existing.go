package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
)

// Existing is what the store in dir says of itself: what it holds the rows of (see Open),
// and a Spec to open it with, named after the directory. Its Retention is that of the
// program or up to 2 ms more, or up to three minutes where that is short, and its History
// has no end: rows that the program does not see any more, but were not deleted yet, can be
// seen.
func Existing(dir string) (s Spec, origin string, err error) {
	m, err := readManifest(machineDisk{}, dir)
	if err != nil {
		return s, "", fmt.Errorf("store: look at %q: %w", dir, err)
	}
	s.Name = filepath.Base(dir)
	word, buckets, _ := strings.Cut(m.layout, ", ")
	for s.Kind = KeyValue; s.Kind.String() != word; s.Kind++ {
		if s.Kind == List {
			return s, "", fmt.Errorf("store: look at %q: the unknown layout %q", dir, m.layout)
		}
	}
	switch {
	case s.Kind == Versioned:
		s.History = math.MaxInt64 / 4
	case s.Kind.Windowed():
		var width int64
		if _, err := fmt.Sscanf(buckets, "buckets of %d ms", &width); err != nil {
			return s, "", fmt.Errorf("store: look at %q: the layout %q: %w", dir, m.layout, err)
		}
		s.Retention = 3*width + 2
	}
	return s, m.origin, nil
}

// OpenExisting opens the store in dir, which must be there, to be read. It wipes nothing,
// and Close writes no rows: a store that is damaged (CorruptError), or laid out for another
// Spec, is an error. Hold the lock of the state directory meanwhile (LockDir).
func OpenExisting(dir string, s Spec, r *Resources) (*Store, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	st := newStore(dir, s, r)
	st.reading = true
	m, err := readManifest(r.disk, dir)
	if err == nil && m.layout != st.layout() {
		err = fmt.Errorf("its layout is %q, not %q", m.layout, st.layout())
	}
	if err != nil {
		return st.opened(err)
	}
	if err := st.openEngine(dir, m); err != nil {
		return nil, st.fail("open", err)
	}
	return st, nil
}

// InUse says whether an error is that another process uses a state directory.
func InUse(err error) bool { return errors.Is(err, errInUse) }

// Epoch is which reset of the application the stores of a state directory are of (Rewind).
func Epoch(dir string) (int64, error) { return readEpoch(dir) }

// RowKey is the key of the row that a record of the store's changelog is about, by its key.
func (s *Store) RowKey(key []byte) ([]byte, error) {
	if !s.spec.Kind.Windowed() {
		return bytes.Clone(key), nil
	}
	row, _, err := s.spec.Kind.rowKey(nil, key)
	return row, err
}

// Horizon is the newest time whose windows the store has forgotten; math.MinInt64 for none.
func (s *Store) Horizon() int64 {
	if !s.spec.Kind.Windowed() {
		return noTime
	}
	return s.horizon()
}

// TimeOf is the time in a row's key: the start of a window, the end of a session.
func (s *Store) TimeOf(row []byte) int64 { return s.spec.Kind.start(row) }
