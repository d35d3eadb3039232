package plan

import (
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/serde"
)

// Out is a record on its way to a topic.
type Out struct {
	Sink       int    // output slot
	Topic      string // where every record of the slot names its topic
	Partition  int32  // of the topic
	Key, Value []byte
	Headers    []kafka.Header
	Time       int64
}

// Unusual says whether a record's size or time may be such that Kafka refuses it: only then
// it is worth asking.
func (o *Out) Unusual() bool {
	const size, time = 16 << 10, 1 << 42 // ms: the year 2109
	return len(o.Key)+len(o.Value) > size || uint64(o.Time) > time
}

// Output collects what the nodes of a task send, in order. Keys and values lie in blocks
// that are used again after Reset, so that sending allocates nothing in the steady state.
type Output struct {
	Records []Out

	blocks [][]byte // all of one size; blocks[:used] are full, blocks[used] is being filled
	used   int
	size   int // bytes sent since Reset
	marked struct{ records, used, len, size int }
}

const blockSize = 64 << 10

// room is the free end of the current block.
func (o *Output) room() []byte {
	if o.used == len(o.blocks) {
		o.blocks = append(o.blocks, make([]byte, 0, blockSize))
	}
	b := o.blocks[o.used]
	return b[len(b):]
}

// keep makes what was appended to room part of the block. What outgrew the block has
// its own memory by then and stays there; the block is left as it is.
func (o *Output) keep(b []byte) []byte {
	block := o.blocks[o.used]
	if cap(b) != cap(block)-len(block) { // append moved it
		if cap(block)-len(block) < blockSize/8 {
			o.used++
		}
		return b[:len(b):len(b)]
	}
	o.blocks[o.used] = block[:len(block)+len(b)]
	return b[:len(b):len(b)]
}

// Encode appends v to the output's memory.
func Encode[T any](o *Output, s serde.Serde[T], v T) ([]byte, error) {
	b, err := s.Append(o.room(), v)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return []byte{}, nil // nil means null
	}
	return o.keep(b), nil
}

// Send adds a record. Its bytes come from Encode, or stay unchanged until Reset.
func (o *Output) Send(r Out) {
	o.size += outSize + len(r.Key) + len(r.Value)
	o.Records = append(o.Records, r)
}

// outSize is what a record takes apart from its bytes.
const outSize = 128

// Size is the memory of what was sent since Reset.
func (o *Output) Size() int { return o.size }

// Drained forgets the records that were handed on. Their bytes stay until Reset.
func (o *Output) Drained() { o.Records = o.Records[:0] }

// Reset forgets everything. Nobody may use the records' bytes any more.
func (o *Output) Reset() {
	clear(o.Records[:cap(o.Records)])
	o.Records = o.Records[:0]
	for i := range min(o.used+1, len(o.blocks)) {
		o.blocks[i] = o.blocks[i][:0]
	}
	if spare := len(o.blocks) - 2*o.used - spareBlocks; spare > 0 { // it was a burst
		keep := len(o.blocks) - (spare+1)/2
		clear(o.blocks[keep:])
		o.blocks = o.blocks[:keep]
	}
	o.used, o.size = 0, 0
	o.mark()
}

// spareBlocks are kept in any case.
const spareBlocks = 4

func (o *Output) mark() {
	o.marked.records, o.marked.used, o.marked.size = len(o.Records), o.used, o.size
	o.marked.len = 0
	if o.used < len(o.blocks) {
		o.marked.len = len(o.blocks[o.used])
	}
}

func (o *Output) undo() {
	o.Records, o.size = o.Records[:o.marked.records], o.marked.size
	for i := o.marked.used; i < min(o.used+1, len(o.blocks)); i++ {
		o.blocks[i] = o.blocks[i][:0]
	}
	o.used = o.marked.used
	if o.used < len(o.blocks) {
		o.blocks[o.used] = o.blocks[o.used][:o.marked.len]
	}
}
