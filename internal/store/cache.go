package store

import (
	"bytes"
	"encoding/binary"
)

// cache keeps the rows that were used last, up to a number of bytes: also that a key has
// no row. Entries point at each other by index, and keys and values lie in pages cut
// into pieces of 16 bytes times a size class, so it allocates nothing once it is full,
// and there is nothing in it for the garbage collector to follow.
type cache struct {
	table   []int32 // entries by hash, with linear probing; 0: free
	mask    uint32
	entries []cached // entry 0 is the head of the ring from the newest to the oldest
	free    int32    // a chain of unused entries by next; 0: none
	n       int

	pages   [][]byte
	pageEnd int             // of the last page
	pieces  [maxClass]piece // chains of free pieces, by class
	used    int
	max     int
}

// cached is one row: in its piece lie the key, the time and the value.
type cached struct {
	hash       uint32
	at         piece
	keyLen     uint32
	valueLen   uint32 // deleted: the key has no row
	class      uint16
	prev, next int32
}

// piece is where in the pages something is, in units of 8 bytes plus 1; 0: nowhere.
type piece uint32

const (
	pageBits   = 18
	pageSize   = 1 << pageBits
	firstPage  = 1 << 14 // grows to pageSize
	maxClass   = 1 << 10 // rows up to 16 KiB are cached
	entryBytes = 40
)

func newCache(max int) *cache {
	return &cache{table: make([]int32, 1024), mask: 1023, entries: make([]cached, 1, 1024), max: max}
}

func (c *cache) bytes(p piece) []byte {
	at := uint64(p-1) << 3
	return c.pages[at>>pageBits][at&(pageSize-1):]
}

func (c *cache) find(hash uint32, key []byte) int32 {
	for i := hash & c.mask; ; i = (i + 1) & c.mask {
		x := c.table[i]
		if x == 0 {
			return 0
		}
		e := &c.entries[x]
		if e.hash == hash && int(e.keyLen) == len(key) && bytes.Equal(c.bytes(e.at)[:e.keyLen], key) {
			return x
		}
	}
}

// get returns what is known of key. The value is valid until the next call.
func (c *cache) get(hash uint32, key []byte) (value []byte, time int64, exists, known bool) {
	x := c.find(hash, key)
	if x == 0 {
		return nil, 0, false, false
	}
	c.touch(x)
	e := &c.entries[x]
	if e.valueLen == deleted {
		return nil, 0, false, true
	}
	b := c.bytes(e.at)[e.keyLen:]
	time = int64(binary.LittleEndian.Uint64(b))
	return b[timeLen : timeLen+e.valueLen : timeLen+e.valueLen], time, true, true
}

// put remembers a row; exists is false when there is none. It copies key and value.
func (c *cache) put(hash uint32, key, value []byte, time int64, exists bool) {
	if len(c.pages)<<pageBits > 2*c.max+pageSize {
		c.clear() // the sizes of rows have changed, and the free pieces are of the old ones
	}
	class := (len(key) + timeLen + len(value) + 15) >> 4
	x := c.find(hash, key)
	if class >= maxClass {
		if x != 0 {
			c.remove(x)
		}
		return
	}
	if x == 0 {
		x = c.add(hash, key, class)
	}
	c.touch(x)
	e := &c.entries[x]
	if int(e.class) != class {
		c.release(e)
		c.place(e, key, class)
	}
	b := c.bytes(e.at)[e.keyLen:]
	binary.LittleEndian.PutUint64(b, uint64(time))
	e.valueLen = uint32(copy(b[timeLen:], value))
	if !exists {
		e.valueLen = deleted
	}
	for c.used > c.max && c.n > 1 {
		c.remove(c.entries[0].prev)
	}
}

func (c *cache) add(hash uint32, key []byte, class int) int32 {
	x := c.free
	if x != 0 {
		c.free = c.entries[x].next
	} else {
		c.entries = append(c.entries, cached{})
		x = int32(len(c.entries) - 1)
	}
	c.entries[x] = cached{hash: hash}
	c.place(&c.entries[x], key, class)
	c.used += entryBytes
	if c.n++; 4*c.n > 3*len(c.table) {
		c.grow()
	}
	c.insert(x)
	c.linkFirst(x)
	return x
}

func (c *cache) remove(x int32) {
	e := &c.entries[x]
	c.uninsert(x)
	c.unlink(x)
	c.release(e)
	c.used -= entryBytes
	c.n--
	e.next = c.free
	c.free = x
}

// clear forgets everything.
func (c *cache) clear() { *c = *newCache(c.max) }

// place gives e a piece of the class and copies the key into it.
func (c *cache) place(e *cached, key []byte, class int) {
	e.at = c.pieces[class]
	if e.at != 0 {
		c.pieces[class] = piece(binary.LittleEndian.Uint32(c.bytes(e.at)))
	} else {
		e.at = c.cut(class << 4)
	}
	e.class = uint16(class)
	e.keyLen = uint32(copy(c.bytes(e.at), key))
	c.used += class << 4
}

// cut takes n bytes off the last page.
func (c *cache) cut(n int) piece {
	switch pages := len(c.pages); {
	case pages == 0:
		c.pages = append(c.pages, make([]byte, firstPage))
	case c.pageEnd+n > pageSize:
		c.pages = append(c.pages, make([]byte, pageSize))
		c.pageEnd = 0
	}
	for first := c.pages[0]; len(c.pages) == 1 && c.pageEnd+n > len(first); first = c.pages[0] {
		c.pages[0] = append(make([]byte, 0, 2*len(first)), first...)[:2*len(first)]
	}
	at := (len(c.pages)-1)<<pageBits | c.pageEnd
	c.pageEnd += n
	return piece(at>>3) + 1
}

func (c *cache) release(e *cached) {
	binary.LittleEndian.PutUint32(c.bytes(e.at), uint32(c.pieces[e.class]))
	c.pieces[e.class] = e.at
	c.used -= int(e.class) << 4
}

// touch makes x the newest.
func (c *cache) touch(x int32) {
	if c.entries[0].next != x {
		c.unlink(x)
		c.linkFirst(x)
	}
}

func (c *cache) linkFirst(x int32) {
	e, head := &c.entries[x], &c.entries[0]
	e.prev, e.next = 0, head.next
	c.entries[head.next].prev = x
	head.next = x
}

func (c *cache) unlink(x int32) {
	e := &c.entries[x]
	c.entries[e.prev].next, c.entries[e.next].prev = e.next, e.prev
}

func (c *cache) insert(x int32) {
	i := c.entries[x].hash & c.mask
	for c.table[i] != 0 {
		i = (i + 1) & c.mask
	}
	c.table[i] = x
}

// uninsert frees the slot of x and moves back what was pushed on by it.
func (c *cache) uninsert(x int32) {
	hole := c.entries[x].hash & c.mask
	for c.table[hole] != x {
		hole = (hole + 1) & c.mask
	}
	for i := (hole + 1) & c.mask; c.table[i] != 0; i = (i + 1) & c.mask {
		home := c.entries[c.table[i]].hash & c.mask
		if (i-home)&c.mask >= (i-hole)&c.mask {
			c.table[hole] = c.table[i]
			hole = i
		}
	}
	c.table[hole] = 0
}

func (c *cache) grow() {
	old := c.table
	c.table = make([]int32, 2*len(old))
	c.mask = uint32(len(c.table) - 1)
	for _, x := range old {
		if x != 0 {
			c.insert(x)
		}
	}
}
