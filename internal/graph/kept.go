package graph

import (
	"encoding/binary"
	"fmt"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/serde"
)

// Kept is a value that waits in a store for its turn, with what it needs to go on.
type Kept[V any] struct {
	Value   V
	Time    int64 // event time of the record; that of the row may be another
	Headers []kafka.Header
}

// KeptValues encodes what waits.
type KeptValues[V any] struct{ Value serde.Serde[V] }

// Append implements serde.Serde.
func (s KeptValues[V]) Append(dst []byte, k Kept[V]) ([]byte, error) {
	dst = binary.AppendVarint(dst, k.Time)
	dst = binary.AppendUvarint(dst, uint64(len(k.Headers)))
	for _, h := range k.Headers {
		dst = append(binary.AppendUvarint(dst, uint64(len(h.Key))), h.Key...)
		dst = append(binary.AppendVarint(dst, sizeOf(h.Value)), h.Value...)
	}
	return s.Value.Append(dst, k.Value)
}

// sizeOf is -1 for null.
func sizeOf(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

// Decode implements serde.Serde.
func (s KeptValues[V]) Decode(data []byte) (k Kept[V], err error) {
	d := parser{data: data}
	k.Time = d.varint()
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		var h kafka.Header
		h.Key = string(d.bytes(int64(d.uvarint())))
		if size := d.varint(); size >= 0 {
			h.Value = append([]byte{}, d.bytes(size)...)
		}
		k.Headers = append(k.Headers, h)
	}
	if d.err != nil {
		return k, d.err
	}
	k.Value, err = s.Value.Decode(d.data)
	return k, err
}

// parser reads fields one after the other; after an error all are zero.
type parser struct {
	data []byte
	err  error
}

func (d *parser) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	d.skip(n)
	return v
}

func (d *parser) varint() int64 {
	v, n := binary.Varint(d.data)
	d.skip(n)
	return v
}

func (d *parser) skip(n int) {
	if n <= 0 {
		d.err, d.data = fmt.Errorf("graph: a value that waits is damaged"), nil
		return
	}
	d.data = d.data[n:]
}

func (d *parser) bytes(n int64) []byte {
	if n < 0 || n > int64(len(d.data)) {
		d.err, d.data = fmt.Errorf("graph: a value that waits is cut short"), nil
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

// Waiting is the key of what waits: it is ordered by a time, the key, and a number.
type Waiting[K any] struct {
	At     int64
	Key    K
	Number uint32
}

// WaitingKeys encodes the keys of what waits, so that their bytes have their order.
type WaitingKeys[K any] struct{ Key serde.Serde[K] }

// Append implements serde.Serde.
func (s WaitingKeys[K]) Append(dst []byte, k Waiting[K]) ([]byte, error) {
	dst = binary.BigEndian.AppendUint64(dst, uint64(k.At)^1<<63)
	dst, err := s.Key.Append(dst, k.Key)
	return binary.BigEndian.AppendUint32(dst, k.Number), err
}

// Decode implements serde.Serde.
func (s WaitingKeys[K]) Decode(data []byte) (k Waiting[K], err error) {
	if len(data) < 12 {
		return k, fmt.Errorf("graph: %d bytes are no key of what waits", len(data))
	}
	end := len(data) - 4
	k.At = int64(binary.BigEndian.Uint64(data) ^ 1<<63)
	k.Number = binary.BigEndian.Uint32(data[end:])
	k.Key, err = s.Key.Decode(data[8:end:end])
	return k, err
}
