package main

import (
	"encoding/binary"
	"hash"
)

// murmur2 is the hash by which Kafka's own clients choose partitions.
func murmur2() hash.Hash32 { return new(key) }

// key gathers what is to be hashed, since murmur2 begins with its length.
type key []byte

func (k *key) Write(p []byte) (int, error) {
	*k = append(*k, p...)
	return len(p), nil
}

func (k *key) Reset()         { *k = (*k)[:0] }
func (k *key) Size() int      { return 4 }
func (k *key) BlockSize() int { return 4 }

func (k *key) Sum(b []byte) []byte { return binary.BigEndian.AppendUint32(b, k.Sum32()) }

// Sum32 is without the sign, as clients take it.
func (k *key) Sum32() uint32 {
	const m, r = 0x5bd1e995, 24
	data := *k
	h := 0x9747b28c ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		x := binary.LittleEndian.Uint32(data) * m
		h = h*m ^ (x^x>>r)*m
	}
	for i := len(data) - 1; i >= 0; i-- {
		h ^= uint32(data[i]) << (8 * i)
	}
	if len(data) > 0 {
		h *= m
	}
	h = (h ^ h>>13) * m
	return (h ^ h>>15) & 0x7fffffff
}
