package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A store on disk says what it is, and shows what is committed in it.
func TestExisting(t *testing.T) {
	for _, spec := range []Spec{
		{Name: "rows", Kind: KeyValue},
		{Name: "rows", Kind: Window, Retention: 600_000},
		{Name: "rows", Kind: Session, Retention: 601_001},
		{Name: "rows", Kind: List, Retention: 600_002},
		{Name: "rows", Kind: Versioned, History: 1000},
	} {
		t.Run(spec.Kind.String(), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "rows")
			s, err := Open(dir, spec, "topic/0 id", NewResources(ResourceLimits{}))
			require.NoError(t, err)
			putAny(t, s, "a", 5_000)
			require.NoError(t, s.Changelog(func([]byte, []byte, int64) error { return nil }))
			require.NoError(t, s.Commit(7))
			require.NoError(t, s.Close())

			found, origin, err := Existing(dir)
			require.NoError(t, err)
			require.Equal(t, "topic/0 id", origin)
			require.Equal(t, spec.Kind, found.Kind)
			require.Equal(t, "rows", found.Name)
			if spec.Kind.Windowed() {
				require.GreaterOrEqual(t, found.Retention, spec.Retention)
				require.LessOrEqual(t, found.Retention, spec.Retention+2)
			}
			for range 2 { // looking changes nothing
				look, err := OpenExisting(dir, found, NewResources(ResourceLimits{}))
				require.NoError(t, err)
				require.EqualValues(t, 7, look.Offset())
				n, err := look.Len()
				require.NoError(t, err)
				require.EqualValues(t, 1, n)
				require.NoError(t, look.Close())
			}
		})
	}
}

// putAny writes a row of whatever kind.
func putAny(t *testing.T, s *Store, key string, at int64) {
	t.Helper()
	k := []byte(key)
	var err error
	switch s.spec.Kind {
	case Window:
		_, err = s.Put(AppendWindowKey(nil, k, at), []byte("v"), at)
	case Session:
		_, err = s.Put(AppendSessionKey(nil, k, at, at), []byte("v"), at)
	case List:
		_, err = s.Put(AppendListKey(nil, k, at, 0), []byte("v"), at)
	case Versioned:
		_, _, err = s.PutVersion(k, []byte("v"), at)
	default:
		_, err = s.Put(k, []byte("v"), at)
	}
	require.NoError(t, err)
}

// What is damaged, or of another layout, or not there, is left as it is.
func TestOpenExistingWipesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rows")
	resources := NewResources(ResourceLimits{})
	_, _, err := Existing(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = OpenExisting(dir, Spec{Name: "rows"}, resources)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoDirExists(t, dir)

	s, err := Open(dir, Spec{Name: "rows"}, "origin", resources)
	require.NoError(t, err)
	putAny(t, s, "a", 5)
	require.NoError(t, s.Changelog(func([]byte, []byte, int64) error { return nil }))
	require.NoError(t, s.Commit(1))
	require.NoError(t, s.Close())
	_, err = OpenExisting(dir, Spec{Name: "rows", Kind: Window, Retention: 1000}, resources)
	require.ErrorContains(t, err, `its layout is "key-value", not "window`)

	manifest := filepath.Join(dir, manifestName)
	whole, err := os.ReadFile(manifest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(manifest, whole[:len(whole)-1], 0o600))
	_, err = OpenExisting(dir, Spec{Name: "rows"}, resources)
	require.ErrorIs(t, err, errManifest)
	require.NoError(t, os.WriteFile(manifest, whole, 0o600))
	s, err = OpenExisting(dir, Spec{Name: "rows"}, resources)
	require.NoError(t, err)
	_, ok, err := s.Get([]byte("a"))
	require.NoError(t, err)
	require.True(t, ok, "the row is still there")
	require.NoError(t, s.Close())
}
