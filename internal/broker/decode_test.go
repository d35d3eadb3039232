package broker

import (
	"reflect"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// sarama does not export the offset after an empty block. This fails when it renames the
// field, or changes its type: without it a restore of a compacted topic would never end.
func TestSaramaStillKeepsTheOffsetAfterAnEmptyBlock(t *testing.T) {
	field, ok := reflect.TypeFor[sarama.FetchResponseBlock]().FieldByName("recordsNextOffset")
	require.True(t, ok)
	require.Equal(t, reflect.TypeFor[*int64](), field.Type)
	require.Equal(t, int64(-1), offsetAfterEmpty(&sarama.FetchResponseBlock{}))
}

// batchOf returns a block's entry: n records from offset first on.
func batchOf(first int64, n int, change func(*sarama.RecordBatch)) *sarama.Records {
	rb := &sarama.RecordBatch{Version: 2, FirstOffset: first, LastOffsetDelta: int32(n - 1), FirstTimestamp: time.UnixMilli(1000), ProducerID: 7}
	for i := range n {
		rb.Records = append(rb.Records, &sarama.Record{OffsetDelta: int64(i), Value: []byte{byte(first) + byte(i)}})
	}
	if change != nil {
		change(rb)
	}
	return &sarama.Records{RecordBatch: rb}
}

func transactional(rb *sarama.RecordBatch) { rb.IsTransactional = true }

func marker(offset int64, kind byte) *sarama.Records {
	return batchOf(offset, 1, func(rb *sarama.RecordBatch) {
		rb.Control, rb.IsTransactional = true, true
		rb.Records[0].Key = []byte{0, 0, 0, kind}
	})
}

func abortMarker(offset int64) *sarama.Records  { return marker(offset, 0) }
func commitMarker(offset int64) *sarama.Records { return marker(offset, 1) }

func TestDecode(t *testing.T) {
	aborted := func(first int64) []*sarama.AbortedTransaction {
		return []*sarama.AbortedTransaction{{ProducerID: 7, FirstOffset: first}}
	}
	for _, c := range []struct {
		name        string
		uncommitted bool
		position    int64
		sets        []*sarama.Records
		aborted     []*sarama.AbortedTransaction
		want        []int64 // offsets
		next        int64
	}{
		{name: "nothing", position: 4, next: 4},
		{name: "several batches are one", sets: []*sarama.Records{batchOf(0, 2, nil), batchOf(2, 1, nil)}, want: []int64{0, 1, 2}, next: 3},
		{name: "the broker sends the whole batch around the position", position: 2, sets: []*sarama.Records{batchOf(0, 4, nil)}, want: []int64{2, 3}, next: 4},
		{name: "a hole after the records", sets: []*sarama.Records{batchOf(0, 1, func(rb *sarama.RecordBatch) { rb.LastOffsetDelta = 9 })}, want: []int64{0}, next: 10},
		{name: "a committed transaction", sets: []*sarama.Records{batchOf(0, 2, transactional), commitMarker(2)}, want: []int64{0, 1}, next: 3},
		{name: "an aborted one", sets: []*sarama.Records{batchOf(0, 2, transactional), abortMarker(2)}, aborted: aborted(0), next: 3},
		{name: "an aborted one, read uncommitted", uncommitted: true, sets: []*sarama.Records{batchOf(0, 2, transactional), abortMarker(2)}, want: []int64{0, 1}, next: 3},
		{name: "the next one of that producer", sets: []*sarama.Records{batchOf(0, 2, transactional), abortMarker(2), batchOf(3, 1, transactional)}, aborted: aborted(0), want: []int64{3}, next: 4},
		{name: "a commit marker does not end an abort", sets: []*sarama.Records{commitMarker(0), batchOf(1, 1, transactional), abortMarker(2)}, aborted: aborted(1), next: 3},
		{name: "another producer meanwhile", sets: []*sarama.Records{
			batchOf(0, 1, transactional),
			batchOf(1, 1, func(rb *sarama.RecordBatch) { rb.IsTransactional, rb.ProducerID = true, 8 }),
			batchOf(2, 1, nil),
			abortMarker(3),
		}, aborted: aborted(0), want: []int64{1, 2}, next: 4},
		{name: "aborts in any order", sets: []*sarama.Records{
			batchOf(0, 1, transactional), abortMarker(1), batchOf(2, 1, transactional), abortMarker(3), batchOf(4, 1, transactional),
		}, aborted: append(aborted(2), aborted(0)...), want: []int64{4}, next: 5},
		{name: "a batch cut off by the answer's limit", sets: []*sarama.Records{batchOf(0, 1, nil), batchOf(1, 1, func(rb *sarama.RecordBatch) { rb.PartialTrailingRecord, rb.Records = true, nil })}, want: []int64{0}, next: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &Fetcher{o: FetchOptions{ReadCommitted: !c.uncommitted}}
			b, err := f.decode(c.position, &sarama.FetchResponseBlock{
				RecordsSet: c.sets, AbortedTransactions: c.aborted, LastStableOffset: 50, HighWaterMarkOffset: 60,
			})
			require.NoError(t, err)
			var offsets []int64
			for _, k := range b.Records {
				offsets = append(offsets, k.Offset)
				require.Equal(t, []byte{byte(k.Offset)}, k.Value)
			}
			require.Equal(t, c.want, offsets)
			require.Equal(t, c.next, b.Next)
			if c.uncommitted {
				require.Equal(t, int64(60), b.End)
			} else {
				require.Equal(t, int64(50), b.End)
			}
		})
	}
}

func TestDecodeRefusesWhatItCannotRead(t *testing.T) {
	f := &Fetcher{}
	_, err := f.decode(0, &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{{}}})
	require.ErrorIs(t, err, errOldFormat)
	_, err = f.decode(0, &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{batchOf(0, 1, func(rb *sarama.RecordBatch) { rb.PartialTrailingRecord = true })}})
	require.ErrorIs(t, err, errMalformed)
}

func TestDecodeCountsBytes(t *testing.T) {
	f := &Fetcher{}
	b, err := f.decode(0, &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{batchOf(0, 2, func(rb *sarama.RecordBatch) {
		rb.Records[0].Key = []byte("abc")
		rb.Records[1].Headers = []*sarama.RecordHeader{{Key: []byte("h"), Value: []byte("vv")}}
	})}})
	require.NoError(t, err)
	require.Equal(t, 2*recordSize+1+3+1+headerSize+3, b.Bytes)
}

func TestRecordWithoutATime(t *testing.T) {
	f := &Fetcher{}
	b, err := f.decode(0, &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{batchOf(0, 1, func(rb *sarama.RecordBatch) { rb.FirstTimestamp = time.Time{} })}})
	require.NoError(t, err)
	require.Equal(t, int64(-1), b.Records[0].Time)
}

func TestRecordPoolGivesRoomAndKeepsNothing(t *testing.T) {
	var p recordPool
	for _, n := range []int{0, 1, 2, 3, 4, 7, 8, 1000, 1024} {
		rs := p.take(n)
		require.Empty(t, rs)
		require.GreaterOrEqual(t, cap(rs), n)
		for range n {
			rs = append(rs, kafka.Record{Key: []byte("k")})
		}
		p.put(rs)
		for _, k := range rs {
			require.Nil(t, k.Key, "what it pointed to can be collected")
		}
	}
}
