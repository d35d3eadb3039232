package store

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/syndtr/goleveldb/leveldb/comparer"
	"github.com/syndtr/goleveldb/leveldb/iterator"
	"github.com/syndtr/goleveldb/leveldb/memdb"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// maxSiblings is how many entries of one inner key a scan walks through before it
// prefers the ordered index.
const maxSiblings = 32

// visible is the record of e that a scan sees, which began when the arena ended at end.
func (d *dirty) visible(e int32, end uint32) uint32 {
	r := d.entries[e].record
	for r >= end {
		r = d.replaced(r)
	}
	return r
}

// scan returns the rows of a span as they are now.
func (d *dirty) scan(s span) cursor {
	if len(d.entries) == 0 {
		return nil
	}
	if s.inner != nil {
		if list, ok := d.siblings(s); ok {
			if len(list) == 0 {
				return nil
			}
			return &listCursor{d: d, list: list, end: uint32(len(d.arena)), at: -1}
		}
	}
	d.sync()
	it := d.order.NewIterator(&util.Range{Start: s.lo, Limit: s.limit()})
	return &orderCursor{d: d, it: it, backward: s.backward, end: uint32(len(d.arena))}
}

// siblings returns the entries of one inner key in a span, in order; ok is false when
// there are too many.
func (d *dirty) siblings(s span) (list []int32, ok bool) {
	head := d.findInner(d.hashing.of(s.inner), s.inner)
	if head == nil {
		return nil, true
	}
	steps := 0
	for e := head.entry - 1; e >= 0; e = d.entries[e].sibling {
		if steps++; steps > maxSiblings {
			return nil, false
		}
		if k := d.key(e); bytes.Compare(k, s.lo) >= 0 && bytes.Compare(k, s.hi) <= 0 {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b int32) int { return bytes.Compare(d.key(a), d.key(b)) })
	if s.backward {
		slices.Reverse(list)
	}
	return list, true
}

// sync brings the ordered index up to date. Stores that are never scanned do not pay
// for it.
func (d *dirty) sync() {
	if d.order == nil {
		d.order = memdb.New(comparer.DefaultComparer, 4096)
	}
	var value [4]byte
	for ; d.ordered < len(d.entries); d.ordered++ {
		binary.LittleEndian.PutUint32(value[:], uint32(d.ordered))
		_ = d.order.Put(d.key(int32(d.ordered)), value[:]) // it always returns nil
	}
}

// orderCursor walks through the ordered index.
type orderCursor struct {
	d        *dirty
	it       iterator.Iterator
	backward bool
	begun    bool
	end      uint32
	e        int32
	record   uint32
}

func (c *orderCursor) next() (bool, error) {
	for c.step() {
		c.e = int32(binary.LittleEndian.Uint32(c.it.Value()))
		if c.record = c.d.visible(c.e, c.end); c.record != 0 {
			return true, nil
		}
	}
	return false, nil
}

func (c *orderCursor) step() bool {
	if !c.begun {
		c.begun = true
		if c.backward {
			return c.it.Last()
		}
		return c.it.First()
	}
	if c.backward {
		return c.it.Prev()
	}
	return c.it.Next()
}

func (c *orderCursor) key() []byte                { return c.d.key(c.e) }
func (c *orderCursor) row() ([]byte, int64, bool) { return c.d.value(c.record) }
func (c *orderCursor) close()                     { c.it.Release() }

// listCursor walks through chosen entries.
type listCursor struct {
	d      *dirty
	list   []int32
	at     int
	end    uint32
	record uint32
}

func (c *listCursor) next() (bool, error) {
	for c.at++; c.at < len(c.list); c.at++ {
		if c.record = c.d.visible(c.list[c.at], c.end); c.record != 0 {
			return true, nil
		}
	}
	return false, nil
}

func (c *listCursor) key() []byte                { return c.d.key(c.list[c.at]) }
func (c *listCursor) row() ([]byte, int64, bool) { return c.d.value(c.record) }
func (c *listCursor) close()                     {}
