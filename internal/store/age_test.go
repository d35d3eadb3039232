package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// clock is a clock that is set by hand.
type clock struct{ now time.Time }

func (c *clock) resources() *Resources {
	return NewResources(ResourceLimits{Now: func() time.Time { return c.now }})
}

func (c *clock) open(t *testing.T, dir string, kind Kind, r *Resources) *Store {
	t.Helper()
	s, err := Open(dir, Spec{Name: "s", Kind: kind, Retention: 1000}, "log/0", r)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// write leaves a store that has come to offset 5.
func (c *clock) write(t *testing.T, dir string) {
	t.Helper()
	s := c.open(t, dir, KeyValue, c.resources())
	put(t, s, "key", "value")
	require.NoError(t, s.Commit(5))
	require.NoError(t, s.Close())
}

// missed is what the changelog has after the store was away: another row, and of the row
// that was deleted not even that.
var missed = []kafka.Record{{Key: []byte("other"), Value: []byte("1"), Offset: 7}}

// Deletes that a store has missed are gone from the changelog after a day: it does not go
// on from files that are as old, and does from younger ones.
func TestFilesThatAreTooOldAreNotRestoredFrom(t *testing.T) {
	for name, away := range map[string]time.Duration{"a day": 24 * time.Hour, "an hour": time.Hour, "back in time": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			c, dir := &clock{time.UnixMilli(1e12)}, t.TempDir()
			c.write(t, dir)

			c.now = c.now.Add(away)
			err := c.open(t, dir, KeyValue, c.resources()).Restore(missed, 8)
			if away == time.Hour {
				require.NoError(t, err)
				return
			}
			var wrong *CorruptError
			require.ErrorAs(t, err, &wrong)
			require.ErrorContains(t, err, "its files are too old, and the changelog may not have all deletes since: they are of 2001-09-09 01:46:40")
		})
	}
}

// A store that has missed nothing is as good as new, however old its files are.
func TestOldFilesThatMissedNothing(t *testing.T) {
	c, dir := &clock{time.UnixMilli(1e12)}, t.TempDir()
	c.write(t, dir)

	c.now = c.now.Add(100 * time.Hour)
	s := c.open(t, dir, KeyValue, c.resources())
	put(t, s, "key", "newer")
	require.NoError(t, s.Commit(6))
	require.NoError(t, s.Restore(missed, 8), "it was up to date when it was opened")
}

// Files that are too old do not become younger by being opened and closed.
func TestOldFilesStayOld(t *testing.T) {
	c, dir := &clock{time.UnixMilli(1e12)}, t.TempDir()
	c.write(t, dir)

	c.now = c.now.Add(100 * time.Hour)
	require.NoError(t, c.open(t, dir, KeyValue, c.resources()).Close())
	require.ErrorContains(t, c.open(t, dir, KeyValue, c.resources()).Restore(missed, 8), "too old")
}

// What is too old is known without opening it; what is no store, or a damaged one, is not.
func TestExpired(t *testing.T) {
	c, dir := &clock{time.UnixMilli(1e12)}, t.TempDir()
	require.False(t, c.resources().Expired(dir), "no store")
	c.write(t, dir)
	require.False(t, c.resources().Expired(dir))
	c.now = c.now.Add(Deletes + time.Hour)
	require.True(t, c.resources().Expired(dir))
	c.now = c.now.Add(-Deletes)
	require.False(t, c.resources().Expired(dir))
	c.now = c.now.Add(Deletes)
	require.NoError(t, os.Remove(filepath.Join(dir, ageName)))
	require.False(t, c.resources().Expired(dir))
}

// A process that runs for days and has little to write is killed: what is on disk is not
// older than some hours.
func TestRowsAreOnDiskNowAndThen(t *testing.T) {
	for name, kind := range map[string]Kind{"key-value": KeyValue, "windows": Window} {
		t.Run(name, func(t *testing.T) {
			c, dir := &clock{time.UnixMilli(1e12)}, t.TempDir()
			r := c.resources()
			s := c.open(t, dir, kind, r)
			for offset := range int64(100) {
				c.now = c.now.Add(time.Hour)
				_, err := s.Put(AppendWindowKey(nil, []byte("key"), offset), []byte("value"), offset)
				require.NoError(t, err)
				require.NoError(t, s.Commit(offset))
			}
			r.Abandon()

			c.now = c.now.Add(12 * time.Hour)
			s = c.open(t, dir, kind, c.resources())
			require.Greater(t, s.Offset(), int64(90))
			require.NoError(t, s.Restore(nil, 100))
		})
	}
}

// Without the note of its age, or with that of another store, a store is too old.
func TestFilesOfUnknownAge(t *testing.T) {
	for name, b := range map[string][]byte{"none": nil, "of another store": encodeAge(time.UnixMilli(1e12), 1), "cut": {1, 2, 3}} {
		t.Run(name, func(t *testing.T) {
			c, dir := &clock{time.UnixMilli(1e12)}, t.TempDir()
			c.write(t, dir)
			require.NoError(t, os.Remove(filepath.Join(dir, ageName)))
			if b != nil {
				require.NoError(t, os.WriteFile(filepath.Join(dir, ageName), b, 0o600))
			}
			require.ErrorContains(t, c.open(t, dir, KeyValue, c.resources()).Restore(missed, 8), "it is not known how old they are")
		})
	}
}
