package broker

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// The network cuts connections at random, before a request reached the broker or after:
// every record arrives once, in order, in both modes.
func TestEveryRecordOnceAndInOrderOverAFailingNetwork(t *testing.T) {
	for _, mode := range []string{"idempotent", "transactional"} {
		t.Run(mode, func(t *testing.T) {
			kafkatest.Each(t, func(t *testing.T, brokers []string) {
				const partitions, records = 4, 20_000
				topic := createTopic(t, dial(t, brokers), partitions, nil)
				px := badnet.Before(t, brokers[0])[0]
				c := dial(t, []string{px.Addr()})
				o := ProducerOptions{}
				if mode == "transactional" {
					o.TransactionalID, o.TransactionTimeout = topic, 5*time.Minute
				}
				px.Fail(0.02)
				p := newProducer(t, c, o)
				f := newFetcher(t, c, FetchOptions{ReadCommitted: true})
				seen := make(chan kafka.Batch, 10*records)
				for q := range int32(partitions) {
					readInto(seen, f, kafka.Partition{Topic: topic, Index: q})
				}
				produceNumbers(t, p, topic, partitions, records)

				next := map[int64]int64{} // by partition, which the first byte is
				for n := 0; n < records; {
					select {
					case b := <-seen:
						for _, k := range b.Records {
							q := int64(k.Value[0])
							require.Equal(t, next[q], int64(binary.BigEndian.Uint64(k.Value[1:])), "partition %d, offset %d", q, k.Offset)
							next[q]++
							n++
						}
					case <-time.After(patience):
						t.Fatalf("read %v of %d records", next, records)
					}
				}
				t.Logf("%d connections were cut", px.Cuts())
				require.Greater(t, px.Cuts(), 20)
			})
		})
	}
}

func readInto(to chan kafka.Batch, f *Fetcher, p kafka.Partition) {
	f.Subscribe(p, 0, func(b kafka.Batch) { to <- b })
}

// produceNumbers writes to each partition 0, 1, 2, ... in many small batches, with a commit
// now and then if it may.
func produceNumbers(t *testing.T, p *Producer, topic string, partitions, records int) {
	t.Helper()
	for i := range records {
		q := i % partitions
		v := binary.BigEndian.AppendUint64([]byte{byte(q)}, uint64(i/partitions))
		require.NoError(t, p.Add(p.Target(kafka.Partition{Topic: topic, Index: int32(q)}), nil, v, nil, 1))
		if i%20 == 19 {
			require.NoError(t, p.Flush())
		}
		if i%1000 == 999 && p.o.TransactionalID != "" {
			require.NoError(t, p.Commit(Member{Group: topic, Generation: -1}, map[kafka.Partition]kafka.Offset{{Topic: topic}: {At: int64(i)}}))
		}
	}
	require.NoError(t, p.Wait())
}

// Brokers die without a word and come back, one after the other, while records are written
// and read: none is lost, doubled or out of order.
func TestEveryRecordOnceAndInOrderWhileBrokersDie(t *testing.T) {
	t.Parallel() // it waits for long, and does next to nothing meanwhile
	const partitions = 6
	cluster := kafkatest.Start(t, kafkatest.Options{Brokers: 3})
	c := dial(t, cluster.Addrs())
	for mode, victims := range map[string][]int{"idempotent": {0}, "transactional": {1, 2}} {
		t.Run(mode, func(t *testing.T) {
			topic := createTopic(t, c, partitions, nil)
			awaitReplicas(t, c, topic, partitions)
			o := ProducerOptions{}
			if mode == "transactional" {
				o.TransactionalID, o.TransactionTimeout = topic, 5*time.Minute
			}
			p := newProducer(t, c, o)
			f := newFetcher(t, c, FetchOptions{ReadCommitted: true})
			var read [partitions]atomic.Int64
			for q := range int32(partitions) {
				to := kafka.Partition{Topic: topic, Index: q}
				var s *Subscription
				ready := make(chan struct{})
				s = f.Subscribe(to, 0, func(b kafka.Batch) {
					<-ready
					for _, k := range b.Records {
						if n := binary.BigEndian.Uint64(k.Value); n != uint64(read[q].Load()) {
							t.Errorf("%v, offset %d: record %d, want %d", to, k.Offset, n, read[q].Load())
						}
						read[q].Add(1)
					}
					s.Done(b)
				})
				close(ready)
			}
			stop, written := make(chan struct{}), make(chan int64, 1)
			go func() { written <- produceUntil(t, stop, p, topic, partitions) }()

			progress := func(q int) func() bool {
				n := read[q].Load()
				return func() bool { return read[q].Load() > n+100 }
			}
			for _, broker := range victims {
				cluster.Kill(broker)
				for q := range partitions {
					eventually(t, "every partition is read again", progress(q))
				}
				cluster.Restart(broker)
				awaitReplicas(t, c, topic, partitions)
			}
			close(stop)
			n := <-written
			for q := range partitions {
				eventually(t, "all is read", func() bool { return read[q].Load() >= n })
				require.Equal(t, n, read[q].Load())
			}
			t.Logf("%d records", partitions*n)
		})
	}
}

// produceUntil writes 0, 1, 2, ... to each partition, at a rate that leaves the machine
// something to do, and returns how many of them.
func produceUntil(t *testing.T, stop chan struct{}, p *Producer, topic string, partitions int32) (n int64) {
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	finish := func() error {
		if p.o.TransactionalID == "" {
			return p.Wait()
		}
		return p.Commit(Member{Group: topic, Generation: -1}, map[kafka.Partition]kafka.Offset{{Topic: topic}: {At: n}})
	}
	for round := 1; ; round++ {
		select {
		case <-stop:
			check(finish())
			return n
		case <-pace.C:
		}
		for range 10 {
			for q := range partitions {
				check(p.Add(p.Target(kafka.Partition{Topic: topic, Index: q}), nil, binary.BigEndian.AppendUint64(nil, uint64(n)), nil, 1))
			}
			n++
		}
		switch {
		case round%50 == 0:
			check(finish())
		case round%5 == 0:
			check(p.Flush())
		}
		if t.Failed() {
			return n
		}
	}
}

// awaitReplicas waits until each of the topic's partitions has all its replicas in sync, so
// that it outlives the next broker's death.
func awaitReplicas(t *testing.T, c *Client, topic string, partitions int) {
	t.Helper()
	eventually(t, "all replicas are in sync", func() bool {
		m, err := c.metadata(t.Context(), []string{topic})
		if err != nil || len(m.Topics) != 1 || len(m.Topics[0].Partitions) != partitions {
			return false
		}
		for _, p := range m.Topics[0].Partitions {
			if len(p.Isr) < 3 {
				return false
			}
		}
		return true
	})
}
