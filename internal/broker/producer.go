package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// ProducerOptions say how a producer writes. Zero fields have the defaults named here.
type ProducerOptions struct {
	TransactionalID    string        // "": idempotent, without transactions
	TransactionTimeout time.Duration // the broker aborts a transaction that takes longer; default 30 s
	FlushBytes         int           // sent when so much is buffered, of all partitions; default 900 kB
	MaxBufferedBytes   int           // Add blocks while more than this is on its way; default 8 MiB
	Timeout            time.Duration // no progress for so long is an error; default 2 minutes
	Compression        string        // none, gzip, snappy, lz4 or zstd; default none

	// Lease is until when the producer may send; after that it waits for a longer one.
	// False: it may not send any more, and fails. It bounds what somebody without transactions
	// may still write when others do its work. Default nil: it may always send.
	Lease func() (until time.Time, ok bool)
}

func (o *ProducerOptions) setDefaults() {
	setDefault(&o.TransactionTimeout, 30*time.Second)
	setDefault(&o.FlushBytes, 900_000)
	setDefault(&o.MaxBufferedBytes, 8<<20)
	setDefault(&o.Timeout, 2*time.Minute)
	setDefault(&o.Compression, "none")
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Producer writes records, each exactly once and in order, whatever happens to the
// brokers meanwhile. With a transactional id what it writes, and the offsets it commits,
// become visible together or not at all.
//
// One goroutine calls its methods; Close may be called from any.
//
// After an error nothing more is sent: a call to Abort makes the producer usable again,
// unless Fenced knows Abort's error, or the producer was closed.
type Producer struct {
	c       *Client
	o       ProducerOptions
	codec   sarama.CompressionCodec
	pool    batchPool
	ctx     context.Context
	cancel  context.CancelCauseFunc
	stopped chan struct{} // the sender has ended

	// Of the goroutine that calls.
	id          int64 // given by the broker
	epoch       int16
	coordinator *link // hands out ids, keeps the transaction
	buffered    int   // bytes in open batches
	group       *link // to the coordinator of the group named groupName
	groupName   string
	began       bool // the coordinator may know of a transaction: it must be ended

	// Of both. wake is broadcast whenever something here changes.
	mu       sync.Mutex
	wake     *sync.Cond
	targets  []*Target
	byName   map[kafka.Partition]*Target
	conns    map[string]*produceConn
	held     int       // bytes in queues
	inFlight int       // requests without an answer
	progress time.Time // of the last acknowledgement, or of the first batch after there were none
	err      error     // why nothing is sent any more
}

// Target is a partition that a producer writes to.
type Target struct {
	p         *Producer
	partition kafka.Partition

	// Of the goroutine that calls.
	open   *batch // being filled
	next   int32  // sequence of the next batch
	joined bool   // part of the transaction
	used   bool   // the transaction has records of it
	streak int    // transactions before it that had, one after the other
	limit  int    // bytes of a batch

	// Under the producer's lock.
	queue    []*batch // sealed, oldest first; the first sent of them are on the wire, or done
	sent     int
	inFlight int
	conn     *produceConn // nil: something failed, or nothing was sent yet; the leader has to be found
	acked    int64
	heard    time.Time // of the last acknowledgement with this producer id and epoch
	last     error     // why a batch had to be sent again
}

// NewProducer returns a producer. With a transactional id it takes over from an earlier
// producer of that id: the other one is fenced, and its open transaction aborted.
func (c *Client) NewProducer(ctx context.Context, o ProducerOptions) (*Producer, error) {
	o.setDefaults()
	p := &Producer{
		c: c, o: o,
		stopped: make(chan struct{}),
		id:      -1, epoch: -1,
		byName: map[kafka.Partition]*Target{},
		conns:  map[string]*produceConn{},
	}
	if err := p.codec.UnmarshalText([]byte(o.Compression)); err != nil {
		return nil, fmt.Errorf("broker: compression %q: want none, gzip, snappy, lz4 or zstd", o.Compression)
	}
	p.wake = sync.NewCond(&p.mu)
	p.ctx, p.cancel = context.WithCancelCause(c.ctx)
	p.coordinator = c.link(p.ctx, p.findCoordinator)
	if err := p.init(ctx); err != nil {
		p.cancel(err)
		return nil, err
	}
	context.AfterFunc(p.ctx, func() { p.fail(context.Cause(p.ctx)) })
	go p.send()
	return p, nil
}

// Target resolves a partition, once for all its records.
func (p *Producer) Target(partition kafka.Partition) *Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byName[partition]
	if t == nil {
		t = &Target{p: p, partition: partition, acked: -1, limit: p.c.batchLimit(partition.Topic)}
		p.byName[partition] = t
		p.targets = append(p.targets, t)
	}
	return t
}

// Acked returns the offset after the last record of this target that was acknowledged, or
// -1 before the first. It is valid after Wait or Commit.
func (t *Target) Acked() int64 {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	return t.acked
}

// Add buffers a record with a time in milliseconds since 1970, and sends what is buffered
// when it has become much. It copies nothing and, once warm, allocates nothing: key, value
// and hs must stay as they are until Wait or Commit has returned nil, or Abort or Close
// has returned.
//
// An error that Fits does not give may be about an earlier record.
func (p *Producer) Add(t *Target, key, value []byte, hs []kafka.Header, ms int64) error {
	size, err := t.measure(key, value, hs, ms)
	if err != nil {
		return err
	}
	if t.open != nil && t.open.size+size > t.limit {
		if err := p.Flush(); err != nil {
			return err
		}
	}
	if t.open == nil {
		t.open = p.pool.batch(ms)
	}
	t.open.add(&p.pool, key, value, hs, ms, size)
	if p.buffered += size; p.buffered >= p.o.FlushBytes {
		return p.Flush()
	}
	return nil
}

// Fits says why Add will not take a record. What it lets pass a broker may still refuse.
func (t *Target) Fits(key, value []byte, hs []kafka.Header, ms int64) error {
	_, err := t.measure(key, value, hs, ms)
	return err
}

// measure is the most bytes that a record takes, or why it cannot be written.
func (t *Target) measure(key, value []byte, hs []kafka.Header, ms int64) (size int, err error) {
	size = encodedSize(key, value, hs)
	if size+batchOverhead > t.limit {
		// What a topic takes is counted after compression.
		if most := t.p.c.cfg.Producer.MaxMessageBytes; t.p.codec == sarama.CompressionNone || size+batchOverhead > most {
			return size, &RecordTooLargeError{t.partition, size, t.limit - batchOverhead}
		}
	}
	if ms < 0 || ms > latestTime {
		return size, &RefusedError{t.partition, fmt.Errorf("broker: a record for %v has the time %d ms, which Kafka cannot keep: want 0 to %d (1970 to 2262)", t.partition, ms, latestTime)}
	}
	return size, nil
}

// Flush sends what is buffered. It does not wait for the acknowledgements, but for room:
// while more than MaxBufferedBytes are on their way.
func (p *Producer) Flush() error {
	if err := p.join(); err != nil {
		return p.fail(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held > p.o.MaxBufferedBytes && p.err == nil {
		p.wake.Wait()
	}
	if p.err != nil {
		return p.err
	}
	if p.held == 0 {
		p.progress = time.Now()
	}
	for _, t := range p.targets {
		if b := t.open; b != nil {
			t.open, t.used = nil, true
			b.Version, b.Codec, b.CompressionLevel = 2, p.codec, sarama.CompressionLevelDefault
			b.ProducerID, b.ProducerEpoch, b.IsTransactional = p.id, p.epoch, p.o.TransactionalID != ""
			b.seal(t.next)
			t.next = int32(uint32(t.next+int32(len(b.Records))) & 0x7fffffff) // wraps to 0
			t.queue = append(t.queue, b)
			p.held += b.size
		}
	}
	p.buffered = 0
	p.wake.Broadcast()
	return nil
}

// Wait sends what is buffered and returns when all of it was acknowledged.
func (p *Producer) Wait() error {
	if err := p.Flush(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held > 0 && p.err == nil {
		p.wake.Wait()
	}
	return p.err
}

// fail keeps the first error, wakes everybody, and returns what was kept.
func (p *Producer) fail(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.wake.Broadcast()
	return p.err
}

// Close stops the producer at once: what waits for it returns with an error, and what was
// not acknowledged may or may not be written. An open transaction is left to a successor
// with the same id, or to its timeout; Abort it before.
func (p *Producer) Close() {
	p.cancel(errProducerClosed)
	<-p.stopped
}

var errProducerClosed = errors.New("broker: the producer is closed")

// ErrNoLease means that a producer will not be let send any more.
var ErrNoLease = errors.New("broker: the producer may not send any more: others do its work")
