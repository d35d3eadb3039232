package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"slices"

	"github.com/syndtr/goleveldb/leveldb/memdb"
)

// dirty holds the rows that were written and not committed, by tagged key.
//
// Keys and records go into one arena that only grows until reset. An entry points at
// the newest record of its key, and each record at the one it replaced. That makes two
// things cheap: to undo a write is to point its entry back, and a scan sees the rows as
// they were when it began by skipping records that lie behind the end of the arena at
// that time.
type dirty struct {
	hashing *hashing
	arena   []byte
	entries []entry // in the order of their first write
	table   slots   // entries by key
	undone  []undo  // what takes the writes since mark back, in order
	mark    uint32  // records from here on are newer than the last Mark
	limit   int     // of the arena

	inner slots // of a window store: the last entry of each inner key
	kind  Kind

	order   *memdb.DB // entries by key; nil until a scan needs it
	ordered int       // entries that are in order
}

// entry is one key. It stays where it is until reset, even when all writes are undone.
type entry struct {
	hash    uint32
	key     uint32 // where in the arena
	keyLen  uint32
	record  uint32 // the newest record; 0: none
	emitted uint32 // the record that Changelog emitted last
	sibling int32  // another entry of the same inner key; -1: none
}

type undo struct {
	entry  int32
	record uint32
}

// A record in the arena: the record it replaced, the length of the value or deleted,
// the time, the value.
const (
	recordHeader = 16
	deleted      = math.MaxUint32
	arenaStart   = 8 // so that 0 is no record
	arenaMax     = math.MaxInt32
	keepBytes    = 8 << 20 // memory that reset keeps in any case
)

var errTooMuch = errors.New("2 GiB of rows wait for a commit, the most there can be: commit more often")

// hashing hashes keys, for all tables of a store alike.
type hashing struct{ seed maphash.Seed }

func (h *hashing) of(key []byte) uint32 { return uint32(maphash.Bytes(h.seed, key)) }

func newDirty(h *hashing, kind Kind) *dirty {
	return &dirty{hashing: h, kind: kind, arena: make([]byte, arenaStart), mark: arenaStart, limit: arenaMax}
}

// find returns the entry of key, or -1.
func (d *dirty) find(hash uint32, key []byte) int32 {
	t := d.table
	if t.n == 0 {
		return -1
	}
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		s := t.slots[i]
		if s.entry == 0 {
			return -1
		}
		if s.hash == hash && bytes.Equal(d.key(s.entry-1), key) {
			return s.entry - 1
		}
	}
}

func (d *dirty) key(e int32) []byte {
	x := &d.entries[e]
	return d.arena[x.key : x.key+x.keyLen : x.key+x.keyLen]
}

// value reads a record.
func (d *dirty) value(record uint32) (value []byte, time int64, ok bool) {
	h := d.arena[record:]
	time = int64(binary.LittleEndian.Uint64(h[8:]))
	n := binary.LittleEndian.Uint32(h[4:])
	if n == deleted {
		return nil, time, false
	}
	return h[recordHeader : recordHeader+n : recordHeader+n], time, true
}

func (d *dirty) replaced(record uint32) uint32 {
	return binary.LittleEndian.Uint32(d.arena[record:])
}

// put writes a row; a nil value deletes it.
func (d *dirty) put(hash uint32, key, value []byte, time int64) error {
	if len(d.arena)+len(key)+len(value)+recordHeader > d.limit {
		return errTooMuch
	}
	e := d.find(hash, key)
	if e < 0 {
		e = d.add(hash, key)
	}
	x := &d.entries[e]
	if x.record < d.mark {
		d.undone = append(d.undone, undo{e, x.record})
	}
	record := uint32(len(d.arena))
	n := uint32(len(value))
	if value == nil {
		n = deleted
	}
	var h [recordHeader]byte
	binary.LittleEndian.PutUint32(h[:], x.record)
	binary.LittleEndian.PutUint32(h[4:], n)
	binary.LittleEndian.PutUint64(h[8:], uint64(time))
	d.arena = append(append(d.arena, h[:]...), value...)
	x.record = record
	return nil
}

func (d *dirty) add(hash uint32, key []byte) int32 {
	e := int32(len(d.entries))
	d.entries = append(d.entries, entry{hash: hash, key: uint32(len(d.arena)), keyLen: uint32(len(key)), sibling: -1})
	d.arena = append(d.arena, key...)
	d.table.insert(hash, e)
	if d.kind.Windowed() {
		d.link(e)
	}
	return e
}

// link puts e in front of the entries of its inner key.
func (d *dirty) link(e int32) {
	inner := d.kind.inner(d.key(e))
	hash := d.hashing.of(inner)
	if s := d.findInner(hash, inner); s != nil {
		d.entries[e].sibling = s.entry - 1
		s.entry = e + 1
		return
	}
	d.inner.insert(hash, e)
}

func (d *dirty) findInner(hash uint32, inner []byte) *slot {
	t := &d.inner
	if t.n == 0 {
		return nil
	}
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		s := &t.slots[i]
		if s.entry == 0 {
			return nil
		}
		if s.hash == hash && bytes.Equal(d.kind.inner(d.key(s.entry-1)), inner) {
			return s
		}
	}
}

// setMark makes undoAll take back what is written from now on.
func (d *dirty) setMark() {
	d.undone = d.undone[:0]
	d.mark = uint32(len(d.arena))
}

// undoAll takes back what was written since setMark.
func (d *dirty) undoAll() {
	for _, u := range slices.Backward(d.undone) {
		d.entries[u.entry].record = u.record
	}
	d.setMark()
}

// size is the memory of the uncommitted rows.
func (d *dirty) size() int { return len(d.arena) - arenaStart + len(d.entries)*entrySize }

// entrySize is an entry with its slot of the table and what may undo it.
const entrySize = 48

// reset drops all rows. It keeps the memory, unless it is more than keep, or was for far
// more than these rows.
func (d *dirty) reset(keep int) {
	if n := cap(d.arena) + cap(d.entries)*entrySize; n > keep || n > keepBytes && d.size() < n/8 {
		d.arena, d.entries, d.undone, d.order = make([]byte, arenaStart), nil, nil, nil
		d.table, d.inner = slots{}, slots{}
	}
	d.arena, d.entries, d.undone = d.arena[:arenaStart], d.entries[:0], d.undone[:0]
	d.table.reset()
	d.inner.reset()
	d.mark = arenaStart
	d.ordered = 0
	if d.order != nil {
		d.order.Reset()
	}
}

// sorted returns the entries that hold a record, by key.
func (d *dirty) sorted(buf []sortEntry) []sortEntry {
	buf = buf[:0]
	for i := range d.entries {
		if d.entries[i].record != 0 {
			buf = append(buf, sortEntry{keyPrefix(d.key(int32(i))), int32(i)})
		}
	}
	slices.SortFunc(buf, func(a, b sortEntry) int {
		if c := cmp.Compare(a.prefix, b.prefix); c != 0 {
			return c
		}
		return bytes.Compare(d.key(a.entry), d.key(b.entry))
	})
	return buf
}

// sortEntry sorts an entry by the first bytes of its key without a look at the arena.
type sortEntry struct {
	prefix uint64
	entry  int32
}

// keyPrefix is the tag's low bits and the bytes after it, in the order of keys.
func keyPrefix(key []byte) uint64 {
	if len(key) > 8 {
		return binary.BigEndian.Uint64(key[1:])>>4 | uint64(key[0])<<60
	}
	var b [9]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[1:])>>4 | uint64(b[0])<<60
}

// slots is a hash table with linear probing. An entry of 0 is a free slot; others are
// one more than what was inserted.
type slots struct {
	slots []slot
	mask  uint32
	n     int
}

type slot struct {
	hash  uint32
	entry int32
}

func (t *slots) insert(hash uint32, entry int32) {
	if 4*t.n >= 3*len(t.slots) {
		t.grow()
	}
	t.n++
	t.place(slot{hash, entry + 1})
}

func (t *slots) place(s slot) {
	i := s.hash & t.mask
	for t.slots[i].entry != 0 {
		i = (i + 1) & t.mask
	}
	t.slots[i] = s
}

func (t *slots) grow() {
	old := t.slots
	t.slots = make([]slot, max(64, 2*len(old)))
	t.mask = uint32(len(t.slots) - 1)
	for _, s := range old {
		if s.entry != 0 {
			t.place(s)
		}
	}
}

// reset empties the table. One that was far too large is given back: to clear it takes
// longer than to fill a small one.
func (t *slots) reset() {
	if len(t.slots) > 1<<16 && t.n < len(t.slots)/16 {
		*t = slots{}
		return
	}
	clear(t.slots)
	t.n = 0
}
