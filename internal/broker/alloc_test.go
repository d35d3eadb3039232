//go:build !race

// The race detector allocates, and makes pools forget.

package broker

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

func TestDecodeAllocatesNothingPerRecord(t *testing.T) {
	f := &Fetcher{}
	block := &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{batchOf(0, 1000, nil), batchOf(1000, 1000, nil)}}
	allocs := testing.AllocsPerRun(100, func() {
		b, err := f.decode(0, block)
		if err != nil || len(b.Records) != 2000 {
			t.Fatal(len(b.Records), err)
		}
		f.free.put(b.Records)
	})
	require.LessOrEqual(t, allocs, 2.0)
}

func TestAddAllocatesNothingOnceWarm(t *testing.T) {
	c := onEmbedded(t)
	topic := createTopic(t, c, 2, nil)
	p := newProducer(t, c, ProducerOptions{})
	targets := []*Target{p.Target(kafka.Partition{Topic: topic, Index: 0}), p.Target(kafka.Partition{Topic: topic, Index: 1})}
	key, value := []byte("key"), make([]byte, 100)
	hs := []kafka.Header{{Key: "trace", Value: []byte("abc")}}
	const records = 1000
	fill := func() {
		for i := range records {
			if err := p.Add(targets[i%2], key, value, hs, int64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Twice the records, as many as the measurement takes: it runs fill once before. They are
	// fewer than what would be sent by itself, so that only Add is measured.
	require.Less(t, 2*records*encodedSize(key, value, hs), p.o.FlushBytes)
	for range 2 {
		fill()
		fill()
		require.NoError(t, p.Wait())
	}
	least := 1.0
	for range 5 { // others in this process may allocate meanwhile, but hardly each time
		least = min(least, testing.AllocsPerRun(1, fill))
		require.NoError(t, p.Wait())
	}
	require.Zero(t, least)
}
