package broker

import (
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

const (
	// batchOverhead and recordOverhead are what Kafka adds to the keys and values: the
	// first exact, the second the most that the variable-length numbers of a record take.
	batchOverhead  = 61
	recordOverhead = 30
	headerOverhead = 10

	// latestTime is the last millisecond sarama can write: the year 2262.
	latestTime = int64(1<<63-1) / int64(time.Millisecond)

	chunkRecords = 64
)

// encodedSize is the most bytes a record takes in a batch, uncompressed.
func encodedSize(key, value []byte, hs []kafka.Header) int {
	n := recordOverhead + len(key) + len(value)
	for i := range hs {
		n += headerOverhead + len(hs[i].Key) + len(hs[i].Value)
	}
	return n
}

// batch is a RecordBatch and the memory its records are in, which is used again when the
// batch was acknowledged.
type batch struct {
	sarama.RecordBatch
	chunks *chunk // of the records, the one being filled first
	filled int    // records in the first chunk
	size   int    // bytes, at most, before compression
	first  int64  // time of the first record
	latest int64  // greatest time of a record
	done   bool   // acknowledged

	// Of the records' headers. When one of these grows, records keep pointing into the
	// array it grew out of.
	headers    []sarama.RecordHeader
	headerPtrs []*sarama.RecordHeader
	names      []byte
}

type chunk struct {
	next    *chunk
	records [chunkRecords]sarama.Record
}

// add appends a record, which aliases key, value and the headers' values.
func (b *batch) add(pool *batchPool, key, value []byte, hs []kafka.Header, ms int64, size int) {
	if b.filled == chunkRecords {
		c := pool.chunk()
		c.next, b.chunks, b.filled = b.chunks, c, 0
	}
	r := &b.chunks.records[b.filled]
	b.filled++
	r.Key, r.Value = key, value
	r.TimestampDelta = time.Duration(ms-b.first) * time.Millisecond
	r.OffsetDelta = int64(len(b.Records))
	if len(hs) > 0 {
		r.Headers = b.addHeaders(hs)
	}
	b.Records = append(b.Records, r)
	b.latest = max(b.latest, ms)
	b.size += size
}

func (b *batch) addHeaders(hs []kafka.Header) []*sarama.RecordHeader {
	start := len(b.headerPtrs)
	for i := range hs {
		name := len(b.names)
		b.names = append(b.names, hs[i].Key...)
		b.headers = append(b.headers, sarama.RecordHeader{Key: b.names[name:len(b.names):len(b.names)], Value: hs[i].Value})
		b.headerPtrs = append(b.headerPtrs, &b.headers[len(b.headers)-1])
	}
	return b.headerPtrs[start:len(b.headerPtrs):len(b.headerPtrs)]
}

// seal fixes what the batch says about all its records.
func (b *batch) seal(sequence int32) {
	b.LastOffsetDelta = int32(len(b.Records) - 1)
	b.FirstTimestamp, b.MaxTimestamp = time.UnixMilli(b.first), time.UnixMilli(b.latest)
	b.FirstSequence = sequence
}

// batchPool keeps the memory of acknowledged batches for the next ones. It holds no more
// than was buffered at some time.
type batchPool struct {
	mu      sync.Mutex
	batches []*batch
	chunks  *chunk
}

// batch returns an empty one whose first record has the time ms.
func (p *batchPool) batch(ms int64) *batch {
	p.mu.Lock()
	var b *batch
	if n := len(p.batches); n > 0 {
		b = p.batches[n-1]
		p.batches = p.batches[:n-1]
	}
	p.mu.Unlock()
	if b == nil {
		b = &batch{}
	}
	b.chunks, b.filled = p.chunk(), 0
	b.first, b.latest, b.size = ms, ms, batchOverhead
	return b
}

func (p *batchPool) chunk() *chunk {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.chunks
	if c == nil {
		return &chunk{}
	}
	p.chunks, c.next = c.next, nil
	return c
}

// put takes a batch back that nobody reads any more. It lets go of the user's memory.
func (p *batchPool) put(b *batch) {
	for c := b.chunks; c != nil; c = c.next {
		clear(c.records[:])
	}
	clear(b.Records)
	clear(b.headers)
	clear(b.headerPtrs)
	kept := batch{
		RecordBatch: sarama.RecordBatch{Records: b.Records[:0]},
		headers:     b.headers[:0], headerPtrs: b.headerPtrs[:0], names: b.names[:0],
	}
	chunks := b.chunks
	*b = kept
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches = append(p.batches, b)
	for chunks != nil {
		c := chunks
		chunks = c.next
		c.next, p.chunks = p.chunks, c
	}
}
