package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

func TestBatchSaysWhatItHolds(t *testing.T) {
	var pool batchPool
	for range 3 { // the memory is used again
		b := pool.batch(500)
		require.Empty(t, b.Records)
		const n = 3*chunkRecords + 1
		for i := range n {
			b.add(&pool, []byte("k"), nil, []kafka.Header{{Key: "h", Value: []byte{byte(i)}}, {Key: "other"}}, int64(500+i%7), 10)
		}
		b.seal(42)
		require.Len(t, b.Records, n)
		require.Equal(t, int32(n-1), b.LastOffsetDelta)
		require.Equal(t, int32(42), b.FirstSequence)
		require.Equal(t, time.UnixMilli(500), b.FirstTimestamp)
		require.Equal(t, time.UnixMilli(506), b.MaxTimestamp)
		require.Equal(t, batchOverhead+10*n, b.size)
		for i, r := range b.Records {
			require.Equal(t, int64(i), r.OffsetDelta)
			require.Equal(t, time.Duration(i%7)*time.Millisecond, r.TimestampDelta)
			require.Len(t, r.Headers, 2)
			require.Equal(t, "h", string(r.Headers[0].Key))
			require.Equal(t, []byte{byte(i)}, r.Headers[0].Value)
			require.Equal(t, "other", string(r.Headers[1].Key))
		}
		records := b.Records
		first := records[0]
		pool.put(b)
		require.Nil(t, first.Key, "the user's memory can be collected")
	}
	require.Len(t, pool.batches, 1)
}
