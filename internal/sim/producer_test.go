package sim

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/broker"
	cl "github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// sealed is a batch on its way.
type sealed struct {
	at          kafka.Partition
	records     []kafka.Record
	producer    int64
	epoch       int16
	transaction *transaction
	target      *target   // to tell
	from        time.Time // when it may arrive
	lurks       time.Time // since when it waits for the next transaction of its id, the worst moment; zero: it does not
}

// pounces reports that a batch that lurks would be part of another transaction now, were its
// epoch not checked.
func (b *sealed) pounces() bool {
	t := b.transaction
	return !b.lurks.IsZero() && t.begun.After(b.lurks) && slices.Contains(t.joined, b.at)
}

// producer is what broker.Producer is to its worker.
type producer struct {
	client      *client
	o           broker.ProducerOptions
	id          int64
	epoch       int16
	transaction *transaction // nil: without
	targets     []*target
	queue       []*sealed // of all targets
	buffered    int       // records
	err         error
}

// target is a partition that is written.
type target struct {
	at     kafka.Partition
	open   []kafka.Record
	joined bool
	acked  int64
}

func (t *target) Acked() int64 { return t.acked }

// Fits is true: no record is large here.
func (t *target) Fits(_, _ []byte, _ []kafka.Header, _ int64) error { return nil }

var errProducer = errors.New("sim: the producer was closed")

func (c *client) newProducer(o broker.ProducerOptions) (*producer, error) {
	p := &producer{client: c, o: o, id: -1, epoch: -1}
	if err := p.init(); err != nil {
		return nil, err
	}
	c.producers = append(c.producers, p)
	return p, nil
}

// init takes an id, or the next epoch.
func (p *producer) init() error {
	k := p.client.k
	if p.o.TransactionalID == "" {
		return p.client.call("InitProducerId", func() error {
			k.producers++
			p.id, p.epoch = k.producers, 0
			return nil
		})
	}
	return p.client.calls("InitProducerId "+p.o.TransactionalID, func() error {
		t, err := k.take(p.o.TransactionalID, p.id, p.epoch, p.o.TransactionTimeout)
		if err == nil {
			p.transaction, p.id, p.epoch = t, t.producer, t.epoch
		}
		return err
	})
}

func (p *producer) Target(at kafka.Partition) cl.Target {
	for _, t := range p.targets {
		if t.at == at {
			return t
		}
	}
	t := &target{at: at, acked: -1}
	p.targets = append(p.targets, t)
	return t
}

func (p *producer) Add(to cl.Target, key, value []byte, hs []kafka.Header, ms int64) error {
	t := to.(*target)
	t.open = append(t.open, kafka.Record{Key: key, Value: value, Headers: hs, Time: ms})
	if p.buffered++; p.buffered >= p.client.p.w.flushRecords {
		return p.Flush()
	}
	return nil
}

// join makes partitions part of the transaction.
func (p *producer) join() error {
	var ps []kafka.Partition
	for _, t := range p.targets {
		if len(t.open) > 0 && !t.joined {
			ps = append(ps, t.at)
		}
	}
	if p.transaction == nil || len(ps) == 0 {
		return nil
	}
	err := p.client.calls("AddPartitionsToTxn", func() error { return p.transaction.join(p.epoch, ps) })
	if err != nil {
		return err
	}
	for _, t := range p.targets {
		t.joined = t.joined || slices.Contains(ps, t.at)
	}
	return nil
}

func (p *producer) Flush() error {
	if p.err != nil {
		return p.err
	}
	if err := p.join(); err != nil {
		return p.fail(err)
	}
	for _, t := range p.targets {
		if len(t.open) > 0 {
			p.queue = append(p.queue, &sealed{at: t.at, records: t.open, producer: p.id, epoch: p.epoch, transaction: p.transaction, target: t, from: p.client.p.w.later(2 * time.Second)})
			t.open = nil
		}
	}
	p.buffered = 0
	return p.err
}

func (p *producer) Wait() error {
	if err := p.Flush(); err != nil {
		return err
	}
	for len(p.queue) > 0 && p.err == nil {
		p.client.p.pause(func() bool { return len(p.queue) == 0 || p.err != nil }, noTime)
	}
	return p.err
}

func (p *producer) fail(err error) error {
	if p.err == nil {
		p.err = err
	}
	return p.err
}

// heads are the batches of which one may arrive next: the first of each partition.
func (p *producer) heads() (bs []*sealed) {
	for i, b := range p.queue {
		if !slices.ContainsFunc(p.queue[:i], func(o *sealed) bool { return o.at == b.at }) {
			bs = append(bs, b)
		}
	}
	return bs
}

// leased says whether the producer may send now. Without a lease it always may: the epoch of
// its transactions tells.
func (p *producer) leased() bool {
	if p.o.Lease == nil {
		return true
	}
	until, ok := p.o.Lease()
	if !ok {
		p.fail(broker.ErrNoLease)
	}
	return ok && p.client.p.w.now.Before(until)
}

// wire leaves to the cluster what is on its way, when nobody waits for the answer any more.
func (p *producer) wire(later bool) {
	if p.leased() {
		p.client.k.wire(p.queue, later)
	}
}

// arrive brings a batch to its leader, and maybe the answer back.
func (p *producer) arrive(b *sealed) {
	if p.err != nil {
		return
	}
	w := p.client.p.w
	p.queue = slices.DeleteFunc(p.queue, func(o *sealed) bool { return o == b })
	err := p.client.k.produce(b)
	w.tracef("%s: produce %d records to %v as %d of epoch %d: %v", p.client.p.name, len(b.records), b.at, b.producer, b.epoch, err)
	if err != nil {
		p.fail(err)
		return
	}
	if w.chance(w.rates.unanswered) {
		p.fail(errNoAnswer)
		return
	}
	b.target.acked = p.client.k.partitions[b.at].end
}

func (p *producer) Commit(m broker.Member, offsets map[kafka.Partition]kafka.Offset) error {
	err := p.commit(m, offsets)
	if err != nil && !errors.Is(err, broker.ErrStaleGeneration) { // after that the transaction goes on
		return p.fail(err)
	}
	return err
}

func (p *producer) commit(m broker.Member, offsets map[kafka.Partition]kafka.Offset) error {
	t, g := p.transaction, p.client.k.group
	if p.err != nil {
		return p.err
	}
	if len(offsets) > 0 {
		if err := p.client.calls("AddOffsetsToTxn", func() error {
			if err := t.check(p.epoch); err != nil {
				return err
			}
			t.begin()
			t.withGroup = true
			return nil
		}); err != nil {
			return err
		}
		if err := p.Flush(); err != nil {
			return err
		}
		if err := p.client.calls("TxnOffsetCommit", func() error {
			if err := g.check(m, true); err != nil {
				return err
			}
			if err := t.check(p.epoch); err != nil {
				return err
			}
			if !t.withGroup {
				return sarama.ErrInvalidTxnState
			}
			if p.client.k.offsetsApart {
				maps.Copy(g.committed, offsets)
				return nil
			}
			g.pend(p.id, offsets)
			return nil
		}); err != nil {
			return err
		}
	}
	if err := p.Wait(); err != nil {
		return err
	}
	if t.begun.IsZero() && len(offsets) == 0 {
		return nil
	}
	if err := p.client.calls("EndTxn", func() error { return t.finish(p.epoch) }); err != nil {
		return err
	}
	for _, t := range p.targets {
		t.joined = false
	}
	return nil
}

func (p *producer) Abort() error {
	p.drop()
	if err := p.init(); err != nil {
		return err
	}
	p.err = nil
	return nil
}

// drop forgets what is buffered. Of what is on the wire some may arrive.
func (p *producer) drop() {
	p.fail(errors.New("sim: aborting"))
	p.wire(p.client.k.sloppyEpochs)
	p.queue, p.buffered = nil, 0
	for _, t := range p.targets {
		t.open, t.joined = nil, false
	}
}

func (p *producer) Close() {
	p.drop()
	p.fail(errProducer)
	p.client.producers = slices.DeleteFunc(p.client.producers, func(o *producer) bool { return o == p })
}
