package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
)

// rowsDir is where the database of a store that is not a window store is.
const rowsDir = "rows"

// Open opens the store in dir, which it creates, or makes a new one. Origin says what
// the changelog of the store is: its topic, the topic's id and the partition. What is in
// dir is deleted, and the store is empty and has no Offset, when it is of another origin,
// Kind, Retention or format, or is corrupt. An error means that the machine refused
// something.
func Open(dir string, s Spec, origin string, r *Resources) (*Store, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	st := newStore(dir, s, r)
	if s.InMemory {
		return st.opened(st.openEngine("", &manifest{id: rand.Uint64(), origin: origin, base: noPosition}))
	}
	err := st.openDir(origin)
	if err == nil || isEnvironment(err) {
		return st.opened(err)
	}
	r.log.Warn("store wiped, it will be restored from its changelog", "store", s.Name, "dir", dir, "reason", err)
	if err := r.disk.RemoveAll(dir); err != nil {
		return st.opened(err)
	}
	return st.opened(st.openDir(origin))
}

func (s *Store) opened(err error) (*Store, error) {
	if err != nil {
		s.res.rows.leave()
		s.res.kept.leave()
		return nil, fmt.Errorf("store: open %q in %q: %w", s.spec.Name, s.dir, withRoom(err))
	}
	return s, nil
}

// openDir opens what is in the directory of the store, or a new store when there is
// nothing. Any error but one of the environment means that it must be wiped.
func (s *Store) openDir(origin string) error {
	if err := s.res.disk.MkdirAll(s.dir); err != nil {
		return err
	}
	m, err := readManifest(s.res.disk, s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		m, err = s.create(origin)
	}
	if err != nil {
		return err
	}
	if m.origin != origin {
		return fmt.Errorf("it holds the rows of %q, not of %q", m.origin, origin)
	}
	if m.layout != s.layout() {
		return fmt.Errorf("its layout is %q, not %q", m.layout, s.layout())
	}
	if err := s.openEngine(s.dir, m); err != nil {
		return err
	}
	s.id = m.id
	return s.readAge()
}

// layout describes how the rows lie on disk, as far as that depends on the Spec.
func (s *Store) layout() string {
	if s.spec.Kind.Windowed() {
		return fmt.Sprintf("%v, buckets of %d ms", s.spec.Kind, interval(s.spec.Retention))
	}
	return s.spec.Kind.String()
}

// create begins a store. A directory without a manifest that is not empty is what is
// left of a store being deleted.
func (s *Store) create(origin string) (*manifest, error) {
	found, err := s.res.disk.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return nil, errManifest
	}
	m := &manifest{id: rand.Uint64(), origin: origin, layout: s.layout(), base: noPosition}
	return m, m.write(s.res.disk, s.dir)
}

// openEngine opens the engine; an empty dir means memory.
func (s *Store) openEngine(dir string, m *manifest) error {
	if s.spec.Kind.Windowed() {
		e, err := openSegments(dir, s.spec, m, s.res)
		if err != nil {
			return err
		}
		s.engine = e
	} else {
		if dir != "" {
			dir = filepath.Join(dir, rowsDir)
		}
		e, err := openDatabase(dir, owner{store: m.id}, s.res.writeBuffer(), s.res)
		if err != nil {
			return err
		}
		s.engine = e
	}
	s.top = s.engine.position().top
	s.markedTop = s.top
	return nil
}
