package store

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// database is one goleveldb database without a journal.
type database struct {
	db    *leveldb.DB
	files storage.Storage
	res   *Resources
	at    position
	batch *leveldb.Batch // from the pool of all databases; nil: nothing to write
	size  int            // bytes in batch
	value []byte
}

// A batch is small enough to be written without a noticeable pause.
const (
	batchRows  = 1000
	batchBytes = 512 << 10
)

// openDatabase opens the database in dir, or a new one; an empty dir means memory.
func openDatabase(dir string, o owner, writeBuffer int, res *Resources) (*database, error) {
	files, err := openFiles(res.disk, dir, o)
	if err != nil {
		return nil, err
	}
	d := &database{files: files, res: res, at: noPosition}
	if err := d.open(res.options(writeBuffer)); err != nil {
		return nil, errors.Join(err, files.Close())
	}
	if err := d.readPosition(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *database) open(o *opt.Options) (err error) {
	defer guard(&err)
	if d.db, err = leveldb.Open(d.files, o); err == nil {
		d.res.opened(d)
	}
	return err
}

func (d *database) readPosition() (err error) {
	defer guard(&err)
	b, err := d.db.Get(positionKey, nil)
	if err == leveldb.ErrNotFound {
		return nil
	}
	if err == nil {
		d.at, err = readPosition(b)
	}
	return err
}

func (d *database) position() position { return d.at }

func (d *database) get(key []byte) (value []byte, time int64, ok bool, err error) {
	defer guard(&err)
	b, err := d.db.Get(key, nil)
	if err == leveldb.ErrNotFound {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, err
	}
	time, value, err = splitStored(b)
	return value, time, err == nil, err
}

func (d *database) scan(s span) ([]cursor, error) {
	return []cursor{d.cursor(s)}, nil
}

func (d *database) cursor(s span) cursor {
	it := d.db.NewIterator(&util.Range{Start: s.lo, Limit: s.limit()}, nil)
	return &dbCursor{it: it, backward: s.backward}
}

func (d *database) put(key, value []byte, time int64) error {
	d.value = appendStored(d.value[:0], time, value)
	d.pending().Put(key, d.value)
	return d.grown(len(key) + len(d.value))
}

func (d *database) remove(key []byte) error {
	d.pending().Delete(key)
	return d.grown(len(key))
}

func (d *database) pending() *leveldb.Batch {
	if d.batch == nil {
		d.batch = d.res.batches.Get().(*leveldb.Batch)
	}
	return d.batch
}

func (d *database) grown(n int) error {
	if d.size += n; d.size < batchBytes && d.batch.Len() < batchRows {
		return nil
	}
	return d.write()
}

func (d *database) write() error {
	err := d.db.Write(d.pending(), nil)
	d.batch.Reset()
	d.res.batches.Put(d.batch)
	d.batch, d.size = nil, 0
	return err
}

func (d *database) commit(p position) error {
	var buf [2 * timeLen]byte
	d.pending().Put(positionKey, appendPosition(buf[:0], p))
	if err := d.write(); err != nil {
		return err
	}
	d.at = p
	return nil
}

// maintain has nothing to do: rows that go one by one are removed by their store.
func (d *database) maintain(int64) error { return nil }

func (d *database) sizes(s span) (part, whole int64, err error) {
	sizes, err := d.db.SizeOf([]util.Range{
		{Start: s.lo, Limit: s.limit()},
		{Start: allRows.lo, Limit: allRows.limit()},
	})
	if err != nil {
		return 0, 0, err
	}
	return sizes[0], sizes[1], nil
}

// flush makes goleveldb write its memory into tables. It has no call for that, but to
// begin a transaction does it, unless the memory is empty: then it does not wait for the
// memory before, which may still be on its way to disk. So something is written first.
func (d *database) flush() error {
	if err := d.commit(d.at); err != nil {
		return err
	}
	tr, err := d.db.OpenTransaction()
	if err != nil {
		d.unlock()
		return err
	}
	tr.Discard()
	return nil
}

// unlock frees the write lock of goleveldb, which keeps it for ever when
// OpenTransaction fails after it took the lock: the next Write, and Close, would hang.
func (d *database) unlock() {
	f := reflect.ValueOf(d.db).Elem().FieldByName("writeLockC")
	lock := *(*chan struct{})(unsafe.Pointer(f.UnsafeAddr()))
	select {
	case <-lock:
	default:
	}
}

func (d *database) close() error {
	d.res.closed(d)
	return errors.Join(d.db.Close(), d.files.Close())
}

// dbCursor walks through a database.
type dbCursor struct {
	it       iterator.Iterator
	backward bool
	begun    bool
	time     int64
	value    []byte
}

func (c *dbCursor) next() (ok bool, err error) {
	defer guard(&err)
	switch {
	case !c.begun && c.backward:
		ok = c.it.Last()
	case !c.begun:
		ok = c.it.First()
	case c.backward:
		ok = c.it.Prev()
	default:
		ok = c.it.Next()
	}
	c.begun = true
	if !ok {
		return false, c.it.Error()
	}
	c.time, c.value, err = splitStored(c.it.Value())
	return err == nil, err
}

func (c *dbCursor) key() []byte                { return c.it.Key() }
func (c *dbCursor) row() ([]byte, int64, bool) { return c.value, c.time, true }
func (c *dbCursor) close()                     { c.it.Release() }
