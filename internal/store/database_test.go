package store

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/storage"
)

// badDisk is in memory, and has trouble with tables.
type badDisk struct {
	storage.Storage
	full   atomic.Bool   // refuses to create them
	slow   chan struct{} // if not nil, creates them when it is closed
	tables atomic.Int32  // that were created
}

var errFull = errors.New("no space left")

func (b *badDisk) Create(fd storage.FileDesc) (storage.Writer, error) {
	if fd.Type == storage.TypeTable {
		if b.full.Load() {
			return nil, errFull
		}
		if b.slow != nil {
			<-b.slow
		}
		b.tables.Add(1)
	}
	return b.Storage.Create(fd)
}

func openBadDisk(t *testing.T) (*database, *badDisk) {
	t.Helper()
	disk := &badDisk{Storage: storage.NewMemStorage()}
	res := NewResources(ResourceLimits{})
	d := &database{files: files{Storage: disk}, res: res, at: noPosition}
	require.NoError(t, d.open(res.options(res.minBuffer)))
	return d, disk
}

// A flush that fails must leave a database that can be used and closed, not one that
// waits for ever for goleveldb's write lock.
func TestFlushOnFullDisk(t *testing.T) {
	d, disk := openBadDisk(t)
	require.NoError(t, d.put([]byte("\x01key"), []byte("value"), 1))
	require.NoError(t, d.commit(position{1, 1}))

	disk.full.Store(true)
	require.ErrorIs(t, d.flush(), errFull)
	require.ErrorIs(t, d.flush(), errFull, "also when the memory is empty now")
	_, _, ok, err := d.get([]byte("\x01key"))
	require.True(t, ok && err == nil)

	disk.full.Store(false)
	if err := d.close(); err != nil { // nil when goleveldb has tried again by now
		require.ErrorIs(t, err, errFull)
	}
	require.Zero(t, len(d.res.open))
}

// A batch that fills goleveldb's memory sends it on its way to disk at once. Flush must
// wait for that, though the memory is empty again.
func TestFlushWaitsForMemoryOnItsWay(t *testing.T) {
	d, disk := openBadDisk(t)
	disk.slow = make(chan struct{})
	d.pending().Put([]byte("\x01key"), make([]byte, 2<<20))
	require.NoError(t, d.commit(position{1, 1}))
	time.AfterFunc(20*time.Millisecond, func() { close(disk.slow) })
	require.NoError(t, d.flush())
	require.NotZero(t, disk.tables.Load(), "flush did not wait")
	require.NoError(t, d.close())
}

// A failed engine fails the store, until it is opened again.
func TestFailedStore(t *testing.T) {
	s := openTest(t, t.TempDir(), Spec{Name: "rows"})
	put(t, s, "a", "1")
	require.NoError(t, s.engine.close())
	first := s.Commit(1)
	require.ErrorIs(t, first, leveldb.ErrClosed)
	require.ErrorContains(t, first, `store: commit "rows" in`)
	_, _, err := s.Get([]byte("a"))
	require.Equal(t, first, err)
	s.end() // what openTest cannot close again
}

func TestWriteBufferIsShared(t *testing.T) {
	r := NewResources(ResourceLimits{})
	require.Equal(t, maxWriteBuffer, r.writeBuffer())
	for range 8 {
		r.opened(&database{})
	}
	require.Equal(t, 8<<20, r.writeBuffer())
	for range 992 {
		r.opened(&database{})
	}
	require.Equal(t, 256<<10, r.writeBuffer())
}

// What is abandoned keeps what was flushed, and no more.
func TestAbandon(t *testing.T) {
	dir := t.TempDir()
	r := NewResources(ResourceLimits{})
	s, err := Open(dir, Spec{Name: "rows", Kind: KeyValue}, "origin", r)
	require.NoError(t, err)
	put(t, s, "a", "1")
	require.NoError(t, s.Commit(1))
	require.NoError(t, s.Flush())
	put(t, s, "b", "2")
	require.NoError(t, s.Commit(2))
	r.Abandon()
	require.Empty(t, r.open)

	s = openTest(t, dir, Spec{Name: "rows", Kind: KeyValue})
	require.EqualValues(t, 1, s.Offset())
}
