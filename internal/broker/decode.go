package broker

import (
	"errors"
	"math/bits"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

var (
	errOldFormat = errors.New("the topic has records of message format 0 or 1: write them again with Kafka 0.11 or newer")
	errMalformed = errors.New("the records are malformed")
)

// decode turns a block, fetched from position on, into one batch: without what a reader
// of this isolation may not see, and without the records before the position, which the
// broker sends because it sends whole batches.
func (f *Fetcher) decode(position int64, block *sarama.FetchResponseBlock) (kafka.Batch, error) {
	b := kafka.Batch{Next: position, End: block.HighWaterMarkOffset}
	if f.o.ReadCommitted {
		b.End = block.LastStableOffset
	}
	if len(block.RecordsSet) == 0 {
		b.Next = max(b.Next, offsetAfterEmpty(block))
		return b, nil
	}
	visible := visibility{committed: f.o.ReadCommitted, aborts: block.AbortedTransactions}
	visible.sort()
	for i, set := range block.RecordsSet {
		rb := set.RecordBatch
		switch {
		case rb == nil:
			return b, errOldFormat
		case rb.PartialTrailingRecord && i == 0: // brokers send the first batch whole
			return b, errMalformed
		case rb.PartialTrailingRecord:
			return b, nil
		}
		if visible.of(rb) {
			if b.Records == nil {
				b.Records = f.free.take(countFrom(block.RecordsSet[i:]))
			}
			b.Records, b.Bytes = appendRecords(b.Records, b.Bytes, rb, position)
		}
		b.Next = max(b.Next, rb.LastOffset()+1)
	}
	return b, nil
}

// visibility tells which batches of an answer a reader may see, in their order.
type visibility struct {
	committed bool
	aborts    []*sarama.AbortedTransaction // not begun yet, by their first offset
	aborted   map[int64]bool               // producers within an aborted transaction
}

func (v *visibility) sort() {
	slices.SortFunc(v.aborts, func(a, b *sarama.AbortedTransaction) int { return int(a.FirstOffset - b.FirstOffset) })
}

func (v *visibility) of(rb *sarama.RecordBatch) bool {
	for len(v.aborts) > 0 && v.aborts[0].FirstOffset <= rb.LastOffset() {
		if v.aborted == nil {
			v.aborted = map[int64]bool{}
		}
		v.aborted[v.aborts[0].ProducerID] = true
		v.aborts = v.aborts[1:]
	}
	if rb.Control {
		if isAbortMarker(rb) {
			delete(v.aborted, rb.ProducerID)
		}
		return false
	}
	return !v.committed || !rb.IsTransactional || !v.aborted[rb.ProducerID]
}

// isAbortMarker reads the type in a control record's key: version, then 0 for an abort.
func isAbortMarker(rb *sarama.RecordBatch) bool {
	return len(rb.Records) > 0 && len(rb.Records[0].Key) >= 4 && rb.Records[0].Key[2] == 0 && rb.Records[0].Key[3] == 0
}

func countFrom(sets []*sarama.Records) int {
	n := 0
	for _, set := range sets {
		if set.RecordBatch != nil {
			n += len(set.RecordBatch.Records)
		}
	}
	return n
}

// appendRecords appends the records of rb from position on, and adds their bytes to size.
func appendRecords(to []kafka.Record, size int, rb *sarama.RecordBatch, position int64) ([]kafka.Record, int) {
	first := millis(rb.FirstTimestamp)
	logTime := millis(rb.MaxTimestamp)
	for _, r := range rb.Records {
		offset := rb.FirstOffset + r.OffsetDelta
		if offset < position {
			continue
		}
		k := kafka.Record{Key: r.Key, Value: r.Value, Time: first + r.TimestampDelta.Milliseconds(), Offset: offset}
		if rb.LogAppendTime {
			k.Time = logTime
		}
		size += recordSize + len(r.Key) + len(r.Value)
		if len(r.Headers) > 0 {
			k.Headers = make([]kafka.Header, len(r.Headers))
			for i, h := range r.Headers {
				k.Headers[i] = kafka.Header{Key: string(h.Key), Value: h.Value}
				size += headerSize + len(h.Key) + len(h.Value)
			}
		}
		to = append(to, k)
	}
	return to, size
}

// recordSize and headerSize are what a record and a header take apart from their bytes.
const (
	recordSize = 88
	headerSize = 40
)

// millis is a batch's time in milliseconds; sarama gives the zero time for "none", -1.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.UnixMilli()
}

// offsetAfterEmpty returns the offset after a block without records, or -1 if there was
// nothing in it.
//
// Compaction leaves empty batches where a producer's last records were, and an answer
// never crosses a segment file. So one that begins at an empty batch which ends a segment
// holds nothing else, for ever. sarama leaves empty batches out of RecordsSet and keeps
// the offset after them in a field it does not export.
func offsetAfterEmpty(block *sarama.FetchResponseBlock) int64 {
	next := reflect.ValueOf(block).Elem().FieldByName("recordsNextOffset")
	if next.IsNil() {
		return -1
	}
	return next.Elem().Int()
}

// recordPool keeps the Records of batches that are done, by the power of two that holds
// their capacity.
type recordPool [bits.UintSize]sync.Pool

// take returns an empty slice with room for n.
func (p *recordPool) take(n int) []kafka.Record {
	class := bits.Len(uint(n))
	if kept, ok := p[class].Get().(*[]kafka.Record); ok {
		return *kept
	}
	return make([]kafka.Record, 0, 1<<class-1)
}

// put takes back a slice that take gave, and lets go of what the records point to.
func (p *recordPool) put(rs []kafka.Record) {
	if cap(rs) == 0 {
		return
	}
	clear(rs)
	rs = rs[:0]
	p[bits.Len(uint(cap(rs)))].Put(&rs)
}
