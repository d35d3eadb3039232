package broker

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// The benchmarks count records of 8 bytes of key and 100 of value over 8 partitions, on the
// broker that KAFKA_BOOTSTRAP names or one that is started for them:
//
//	go test -run - -bench . -benchtime 2000000x ./internal/broker

const benchPartitions = 8

type bench struct {
	b       *testing.B
	c       *Client
	topic   string
	key     []byte
	value   []byte
	targets []*Target
}

// benchBroker ends with the process.
var benchBroker = sync.OnceValues(func() ([]string, error) {
	brokers, _, err := kafkatest.ForMain()
	return brokers, err
})

func newBench(b *testing.B) *bench {
	brokers, err := benchBroker()
	require.NoError(b, err)
	c := dial(b, brokers)
	return &bench{b: b, c: c, topic: createTopic(b, c, benchPartitions, nil), key: make([]byte, 8), value: make([]byte, 100)}
}

func (x *bench) partitions() (ps []kafka.Partition) {
	for i := range int32(benchPartitions) {
		ps = append(ps, kafka.Partition{Topic: x.topic, Index: i})
	}
	return ps
}

func (x *bench) producer(topic string, o ProducerOptions) *Producer {
	p := newProducer(x.b, x.c, o)
	x.targets = nil
	for i := range int32(benchPartitions) {
		x.targets = append(x.targets, p.Target(kafka.Partition{Topic: topic, Index: i}))
	}
	return p
}

func (x *bench) fill(p *Producer, n int) {
	for i := range n {
		if err := p.Add(x.targets[i%benchPartitions], x.key, x.value, nil, int64(i)); err != nil {
			x.b.Fatal(err)
		}
	}
	require.NoError(x.b, p.Wait())
}

func (x *bench) report(n int) {
	x.b.ReportMetric(float64(n)/x.b.Elapsed().Seconds(), "records/s")
}

func BenchmarkProduce(b *testing.B) {
	for _, compression := range []string{"none", "lz4"} {
		b.Run(compression, func(b *testing.B) {
			x := newBench(b)
			p := x.producer(x.topic, ProducerOptions{Compression: compression})
			b.ReportAllocs()
			b.ResetTimer()
			x.fill(p, b.N)
			x.report(b.N)
		})
	}
}

func BenchmarkFetch(b *testing.B) {
	x := newBench(b)
	x.fill(x.producer(x.topic, ProducerOptions{}), b.N)
	f := newFetcher(b, x.c, FetchOptions{ReadCommitted: true})
	b.ReportAllocs()
	b.ResetTimer()
	in := x.subscribe(f)
	for n := 0; n < b.N; {
		d := <-in
		n += len(d.batch.Records)
		d.s.Done(d.batch)
	}
	x.report(b.N)
}

// delivery is a batch and where it came from.
type delivery struct {
	s     *Subscription
	p     kafka.Partition
	batch kafka.Batch
}

func (x *bench) subscribe(f *Fetcher) chan delivery {
	in := make(chan delivery, 1000)
	for _, p := range x.partitions() {
		var s *Subscription
		ready := make(chan struct{})
		s = f.Subscribe(p, 0, func(b kafka.Batch) {
			<-ready
			in <- delivery{s, p, b}
		})
		close(ready)
	}
	return in
}

// BenchmarkFloor is what a worker costs that does nothing: every record that is read is
// written, with its offset committed in the same transaction, every 100 ms.
func BenchmarkFloor(b *testing.B) {
	x := newBench(b)
	x.fill(x.producer(x.topic, ProducerOptions{}), b.N)
	out := createTopic(b, x.c, benchPartitions, nil)
	p := x.producer(out, ProducerOptions{TransactionalID: out})
	f := newFetcher(b, x.c, FetchOptions{ReadCommitted: true})
	b.ReportAllocs()
	b.ResetTimer()
	in := x.subscribe(f)
	offsets := map[kafka.Partition]kafka.Offset{}
	commit := func() {
		require.NoError(b, p.Commit(Member{Group: out, Generation: -1}, offsets))
		clear(offsets)
	}
	next := time.Now().Add(100 * time.Millisecond)
	for n := 0; n < b.N; {
		d := <-in
		for _, k := range d.batch.Records {
			if err := p.Add(x.targets[d.p.Index], k.Key, k.Value, k.Headers, k.Time); err != nil {
				b.Fatal(err)
			}
		}
		n += len(d.batch.Records)
		offsets[d.p] = kafka.Offset{At: d.batch.Next}
		d.s.Done(d.batch)
		if time.Now().After(next) {
			commit()
			next = time.Now().Add(100 * time.Millisecond)
		}
	}
	commit()
	x.report(b.N)
}
