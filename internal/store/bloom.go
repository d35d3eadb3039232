package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"path/filepath"
)

// bloom tells whether a segment may hold a key. "No" is certain, and the common answer
// to "was this id seen before?"; without it each of the segments would be searched.
//
// It is a chain of filters, each four times as large as the one before. A key is one
// 64-byte block of a filter, so one look-up touches one cache line a filter.
type bloom struct {
	filters []filterBlocks // the last one is filled
	n       int            // keys in the last filter
	room    *room          // for filters
	blind   bool           // there was no room: every key may have been added
}

// filterBlocks is a filter of blocks of 8 words.
type filterBlocks []uint64

const (
	bloomFirst   = 64 << 10 // keys of the first filter
	bloomGrowth  = 4
	bloomBits    = 12 // a key: about 0.4 % of the answers are a wrong "maybe"
	bloomProbes  = 7
	maxBlooms    = 15 // more would be of 10^14 keys
	blockWords   = 8
	blockBits    = 64 * blockWords
	bloomVersion = "streams bloom 2\n"
)

func (b *bloom) add(key []byte) {
	h := bloomHash(key)
	if b.hasHash(h) {
		return
	}
	if i := len(b.filters); i == 0 || b.n == capacity(i-1) {
		if !b.room.take(filterSize(i)) {
			b.free()
			b.blind = true
			return
		}
		b.filters = append(b.filters, make(filterBlocks, filterSize(i)/8))
		b.n = 0
	}
	b.n++
	b.filters[len(b.filters)-1].add(h)
}

// has reports whether key may have been added.
func (b *bloom) has(key []byte) bool { return b.hasHash(bloomHash(key)) }

// free gives the memory back.
func (b *bloom) free() {
	if b == nil {
		return
	}
	for i := range b.filters {
		b.room.give(filterSize(i))
	}
	b.filters = nil
}

// filterSize is how many bytes filter i has.
func filterSize(i int) int { return capacity(i) * bloomBits / blockBits * blockWords * 8 }

func (b *bloom) hasHash(h uint64) bool {
	if b.blind {
		return true
	}
	for i := len(b.filters) - 1; i >= 0; i-- {
		if b.filters[i].has(h) {
			return true
		}
	}
	return false
}

// capacity is how many keys filter i takes.
func capacity(i int) int {
	n := bloomFirst
	for ; i > 0; i-- {
		n *= bloomGrowth
	}
	return n
}

func (f filterBlocks) block(h uint64) []uint64 {
	i := (h >> 32) * uint64(len(f)/blockWords) >> 32 * blockWords
	return f[i : i+blockWords]
}

func (f filterBlocks) add(h uint64) {
	block, bits := f.block(h), probes(h)
	for range bloomProbes {
		block[bits>>6&(blockWords-1)] |= 1 << (bits & 63)
		bits >>= 9
	}
}

func (f filterBlocks) has(h uint64) bool {
	block, bits := f.block(h), probes(h)
	for range bloomProbes {
		if block[bits>>6&(blockWords-1)]&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}

// probes are the bits of a block to look at, 9 bits of the result each.
func probes(h uint64) uint64 { return mix(h ^ 0x9E3779B97F4A7C15) }

// bloomHash is stored on disk by way of the filters, so it must never change.
func bloomHash(key []byte) uint64 {
	h := uint64(len(key)) * 0x9E3779B97F4A7C15
	for ; len(key) >= 8; key = key[8:] {
		h = mix(h ^ binary.LittleEndian.Uint64(key))
	}
	var tail uint64
	for i, c := range key {
		tail |= uint64(c) << (8 * i)
	}
	return mix(h ^ tail)
}

// mix is the finalizer of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xFF51AFD7ED558CCD
	h ^= h >> 33
	h *= 0xC4CEB9FE1A85EC53
	return h ^ h>>33
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errBloom = errors.New("the bloom filter is damaged")

// save writes the filters to a file, with a checksum of them and of the mark, which says
// what rows they are of: the "no" of another filter would be wrong.
func (b *bloom) save(d Disk, path string, mark []byte) error {
	out := append([]byte(nil), bloomVersion...)
	out = binary.LittleEndian.AppendUint64(out, uint64(b.n))
	out = binary.LittleEndian.AppendUint64(out, uint64(len(b.filters)))
	for _, f := range b.filters {
		for _, w := range f {
			out = binary.LittleEndian.AppendUint64(out, w)
		}
	}
	return d.WriteFile(path, binary.LittleEndian.AppendUint32(out, bloomSum(mark, out)), false)
}

// takeBloom reads a file that save wrote and removes it, durably: after a crash it would
// lack keys, and a "no" would be wrong.
func takeBloom(d Disk, path string, mark []byte, r *room) (*bloom, error) {
	in, err := d.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(d.Remove(path), d.SyncDir(filepath.Dir(path))); err != nil {
		return nil, err
	}
	return readBloom(in, mark, r)
}

func bloomSum(mark, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(mark, castagnoli), castagnoli, b)
}

func readBloom(in, mark []byte, r *room) (*bloom, error) {
	const header = len(bloomVersion) + 16
	body := len(in) - 4
	if body < header || string(in[:len(bloomVersion)]) != bloomVersion ||
		bloomSum(mark, in[:body]) != binary.LittleEndian.Uint32(in[body:]) {
		return nil, errBloom
	}
	b := &bloom{room: r, n: int(binary.LittleEndian.Uint64(in[len(bloomVersion):]))}
	filters := binary.LittleEndian.Uint64(in[len(bloomVersion)+8:])
	in = in[header:body]
	for i := range filters {
		if i > maxBlooms || len(in) < filterSize(int(i)) || !r.take(filterSize(int(i))) {
			b.free()
			return nil, errBloom
		}
		f := make(filterBlocks, filterSize(int(i))/8)
		for j := range f {
			f[j] = binary.LittleEndian.Uint64(in[8*j:])
		}
		in = in[8*len(f):]
		b.filters = append(b.filters, f)
	}
	return b, nil
}
