package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// floor is what the connections can do: records go from topic to topic as they are, with
// the fetcher, the producer and the commits that the framework's worker uses, and nothing
// between them.
var floor = workload{"floor", "a bare loop over the same connections, always measured", numberedInput, runFloor, application{}}

const (
	flushInterval  = 5 * time.Millisecond // as a worker's
	commitInterval = 100 * time.Millisecond

	// maxQueued is four times a worker's, as a batch is held until it is committed: the
	// records are sent from the memory they were read into.
	maxQueued = 16 << 20
)

// loop is the bare loop.
type loop struct {
	client   *broker.Client
	producer *broker.Producer
	exactly  bool
	member   broker.Member
	from     []kafka.Partition
	subs     []*broker.Subscription
	to       []*broker.Target

	left      int // records
	offsets   map[kafka.Partition]kafka.Offset
	held      []mail       // read and not committed
	meter     func() meter // made by the first call
	flushed   time.Time
	committed time.Time

	arrived chan struct{}
	mu      sync.Mutex
	queue   []mail
	failed  error
}

// mail is a batch of one of the loop's partitions.
type mail struct {
	slot  int
	batch kafka.Batch
}

func runFloor(ctx context.Context, b *bench, inputs []input) (s sample, err error) {
	id, in := newID(), inputs[0]
	defer func() { err = errors.Join(err, b.drop(id)) }()
	out := id + "-out"
	if err := b.create(ctx, out, nil); err != nil {
		return s, err
	}
	l := &loop{
		client: b.client, exactly: b.guarantee == streams.ExactlyOnce,
		member: broker.Member{Group: id, Generation: -1}, // of a group without members
		from:   partitionsOf(in.topic), left: in.records,
		offsets: map[kafka.Partition]kafka.Offset{}, arrived: make(chan struct{}, 1),
		meter: sync.OnceValue(newMeter),
	}
	var o broker.ProducerOptions
	if l.exactly {
		o.TransactionalID = id
	}
	if l.producer, err = b.client.NewProducer(ctx, o); err != nil {
		return s, err
	}
	defer l.producer.Close()
	for _, p := range partitionsOf(out) {
		l.to = append(l.to, l.producer.Target(p))
	}
	if err := l.run(ctx); err != nil {
		return s, err
	}
	// The same end as that of an application, which is not told when it has committed.
	if err := b.await(ctx, id, 0, in.topic); err != nil {
		return s, err
	}
	s = l.meter().sample(in.records)
	return s, b.checkResults(ctx, out, in.records)
}

// run moves all records.
func (l *loop) run(ctx context.Context) error {
	fetcher := l.client.NewFetcher(broker.FetchOptions{
		ReadCommitted: l.exactly, MaxQueuedBytes: maxQueued,
		OnError: func(_ kafka.Partition, _ int, _ int64, err error) { l.push(mail{}, err) },
	})
	defer fetcher.Close()
	for i, p := range l.from {
		l.subs = append(l.subs, fetcher.Subscribe(p, 0, func(b kafka.Batch) { l.push(mail{i, b}, nil) }))
	}
	l.flushed, l.committed = time.Now(), time.Now()
	for l.left > 0 {
		queue, err := l.take(ctx)
		if err != nil {
			return err
		}
		if len(queue) == 0 {
			err = l.due()
		}
		for _, m := range queue {
			if err = l.move(m); err != nil {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return l.commit()
}

// push runs on the fetcher's goroutines.
func (l *loop) push(m mail, err error) {
	l.mu.Lock()
	if err != nil {
		l.failed = err
	} else {
		l.queue = append(l.queue, m)
	}
	l.mu.Unlock()
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// take gives what has arrived. It waits for something to arrive, but no longer than until
// something is to be sent or committed.
func (l *loop) take(ctx context.Context) ([]mail, error) {
	select {
	case <-l.arrived:
	case <-time.After(flushInterval):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.queue
	l.queue = nil
	return queue, l.failed
}

// move hands the records of a batch to the producer.
func (l *loop) move(m mail) error {
	l.meter()
	for i := range m.batch.Records {
		r := &m.batch.Records[i]
		if err := l.producer.Add(l.to[m.slot], r.Key, r.Value, r.Headers, r.Time); err != nil {
			return err
		}
	}
	l.left -= len(m.batch.Records)
	l.offsets[l.from[m.slot]] = kafka.Offset{At: m.batch.Next}
	l.held = append(l.held, m)
	return l.due()
}

// due sends and commits when it is time to.
func (l *loop) due() error {
	now := time.Now()
	if now.Sub(l.committed) >= commitInterval {
		return l.commit()
	}
	if now.Sub(l.flushed) >= flushInterval {
		l.flushed = now
		return l.producer.Flush()
	}
	return nil
}

// commit makes what was moved durable, with the offsets.
func (l *loop) commit() error {
	if l.exactly {
		if err := l.producer.Commit(l.member, l.offsets); err != nil {
			return err
		}
	} else {
		if err := l.producer.Wait(); err != nil {
			return err
		}
		if err := l.client.CommitOffsets(l.member, l.offsets); err != nil {
			return err
		}
	}
	for _, m := range l.held {
		l.subs[m.slot].Done(m.batch)
	}
	clear(l.offsets)
	clear(l.held)
	l.held = l.held[:0]
	l.committed = time.Now()
	l.flushed = l.committed
	return nil
}
