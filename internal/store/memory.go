package store

import (
	"bytes"

	"github.com/syndtr/goleveldb/leveldb/comparer"
	"github.com/syndtr/goleveldb/leveldb/memdb"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// bucket is where the rows of a segment are: in memory while it is young, in a database
// later.
type bucket interface {
	position() position
	get(key []byte) (value []byte, time int64, ok bool, err error)
	cursor(span) cursor
	put(key, value []byte, time int64) error
	remove(key []byte) error
	commit(position) error
	sizes(span) (part, whole int64, err error)
	close() error
}

// memory is the bucket of a young segment. A database without a journal also has its young
// rows in memory alone; but to make one takes some milliseconds, and when time is replayed
// segments come and go by the hundred.
type memory struct {
	rows  *memdb.DB
	at    position
	value []byte
	used  int // bytes, also of rows that were replaced
}

// youngBytes is how large a segment may grow before it gets a database.
const youngBytes = 1 << 20

func newMemory() *memory {
	return &memory{rows: memdb.New(comparer.DefaultComparer, 4<<10), at: noPosition}
}

func (m *memory) position() position { return m.at }

func (m *memory) get(key []byte) (value []byte, time int64, ok bool, err error) {
	b, err := m.rows.Get(key)
	if err == memdb.ErrNotFound {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, err
	}
	time, value, err = splitStored(b)
	return bytes.Clone(value), time, err == nil, err
}

// cursor walks through a copy of the rows, since they may change under way.
func (m *memory) cursor(s span) cursor {
	it := m.rows.NewIterator(&util.Range{Start: s.lo, Limit: s.limit()})
	defer it.Release()
	c := &copyCursor{backward: s.backward}
	for it.Next() {
		c.keys = append(c.keys, bytes.Clone(it.Key()))
		c.values = append(c.values, bytes.Clone(it.Value()))
	}
	c.i = -1
	if s.backward {
		c.i = len(c.keys)
	}
	return c
}

func (m *memory) put(key, value []byte, time int64) error {
	m.value = appendStored(m.value[:0], time, value)
	m.used += len(key) + len(m.value)
	return m.rows.Put(key, m.value)
}

func (m *memory) remove(key []byte) error {
	if err := m.rows.Delete(key); err != memdb.ErrNotFound {
		return err
	}
	return nil
}

func (m *memory) commit(p position) error {
	m.at = p
	return nil
}

func (m *memory) sizes(s span) (part, whole int64, err error) {
	it := m.rows.NewIterator(nil)
	defer it.Release()
	for it.Next() {
		n := int64(len(it.Key()) + len(it.Value()))
		whole += n
		if bytes.Compare(it.Key(), s.lo) >= 0 && bytes.Compare(it.Key(), s.limit()) < 0 {
			part += n
		}
	}
	return part, whole, nil
}

// moveTo writes the rows into a database.
func (m *memory) moveTo(d *database) error {
	it := m.rows.NewIterator(nil)
	defer it.Release()
	for it.Next() {
		time, value, err := splitStored(it.Value())
		if err != nil {
			return err
		}
		if err := d.put(it.Key(), value, time); err != nil {
			return err
		}
	}
	return d.commit(m.at)
}

func (m *memory) close() error { return nil }

// copyCursor walks through copied rows.
type copyCursor struct {
	keys, values [][]byte
	backward     bool
	i            int
	time         int64
	value        []byte
}

func (c *copyCursor) next() (ok bool, err error) {
	if c.backward {
		c.i--
	} else {
		c.i++
	}
	if c.i < 0 || c.i >= len(c.keys) {
		return false, nil
	}
	c.time, c.value, err = splitStored(c.values[c.i])
	return err == nil, err
}

func (c *copyCursor) key() []byte                { return c.keys[c.i] }
func (c *copyCursor) row() ([]byte, int64, bool) { return c.value, c.time, true }
func (c *copyCursor) close()                     {}
