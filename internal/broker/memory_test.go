package broker

import (
	"bytes"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// holder is an owner that is slow: it keeps what is delivered until it is told.
type holder struct {
	mu   sync.Mutex
	held map[*Subscription][]kafka.Batch
	seen map[*Subscription]int // records
	sum  int                   // bytes
	most int
}

func (h *holder) subscribe(f *Fetcher, p kafka.Partition) *Subscription {
	var s *Subscription
	h.mu.Lock()
	defer h.mu.Unlock()
	s = f.Subscribe(p, 0, func(b kafka.Batch) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.held[s] = append(h.held[s], b)
		h.seen[s] += len(b.Records)
		h.sum += b.Bytes
		h.most = max(h.most, h.sum)
	})
	return s
}

// free is done with everything that s has.
func (h *holder) free(s *Subscription) {
	h.mu.Lock()
	held := h.held[s]
	h.held[s] = nil
	for _, b := range held {
		h.sum -= b.Bytes
	}
	h.mu.Unlock()
	for _, b := range held {
		s.Done(b)
	}
}

func (h *holder) records(s *Subscription) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[s]
}

// What many partitions have delivered together is bounded, yet none is starved: an owner
// may hold all others until it has a record of the last one.
func TestPartitionsShareMemory(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		const partitions, perPartition, size, limit = 20, 60, 10_000, 2 << 20 // 12 MB for 2 MiB
		topic := createTopic(t, c, partitions, nil)
		p := newProducer(t, c, ProducerOptions{FlushBytes: 15 * size})
		for range perPartition {
			for i := range int32(partitions) {
				to := kafka.Partition{Topic: topic, Index: i}
				require.NoError(t, p.Add(p.Target(to), nil, bytes.Repeat([]byte("x"), size), nil, 1))
			}
		}
		require.NoError(t, p.Wait())

		f := newFetcher(t, c, FetchOptions{MaxBytes: limit})
		h := &holder{held: map[*Subscription][]kafka.Batch{}, seen: map[*Subscription]int{}}
		var all []*Subscription
		for i := range int32(partitions - 1) {
			all = append(all, h.subscribe(f, kafka.Partition{Topic: topic, Index: i}))
		}
		for _, s := range all {
			eventually(t, "each partition has something", func() bool { f.Starve(); return h.records(s) > 0 })
		}
		last := h.subscribe(f, kafka.Partition{Topic: topic, Index: partitions - 1})
		for h.records(last) < perPartition {
			before := h.records(last)
			h.free(last)
			eventually(t, "the one that is waited for comes", func() bool { f.Starve(); return h.records(last) > before })
		}
		for _, s := range all {
			eventually(t, "all come, when there is room", func() bool {
				h.free(s)
				f.Starve()
				return h.records(s) == perPartition
			})
		}
		t.Logf("at most %d bytes were held at once", h.most)
		require.Less(t, h.most, limit+partitions*(minQuota+2*15*size))
		require.Less(t, h.most, 2*limit, "by experience")
	})
}

// A record as large as the broker takes comes whole, however small the limits are, and the
// other partitions go on.
func TestHugeRecordComesWhole(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic := createTopic(t, c, 2, nil)
		huge, small := kafka.Partition{Topic: topic}, kafka.Partition{Topic: topic, Index: 1}
		value := bytes.Repeat([]byte("x"), 1_000_000-200)
		p := newProducer(t, c, ProducerOptions{})
		for range 5 {
			require.NoError(t, p.Add(p.Target(huge), nil, value, nil, 1))
			add(t, p, small, "v", 1)
			require.NoError(t, p.Wait())
		}
		f := newFetcher(t, c, FetchOptions{MaxBytes: 1000, MaxQueuedBytes: 1000, MaxPartitionBytes: 1000})
		a, b := read(t, f, huge, 0), read(t, f, small, 0)
		for _, v := range a.to(5) {
			require.Len(t, v, len(value))
		}
		require.Len(t, b.to(5), 5)
	})
}
