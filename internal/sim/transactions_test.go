package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// transaction is what the coordinator knows of a transactional id.
type transaction struct {
	k         *cluster
	id        string
	producer  int64
	epoch     int16
	previous  int16 // an epoch whose owner may take the next one, though it was fenced: nobody else has; else -1
	timeout   time.Duration
	begun     time.Time // zero: none is open
	joined    []kafka.Partition
	withGroup bool

	// Decided, and not yet told to all: markers are on their way.
	commit  bool
	unsaid  []kafka.Partition
	unsaidG bool // to the group
	from    time.Time
}

func (t *transaction) ending() bool { return len(t.unsaid) > 0 || t.unsaidG }

// take gives a new epoch, once nothing of the id is open any more.
func (k *cluster) take(id string, producer int64, epoch int16, timeout time.Duration) (*transaction, error) {
	t := k.transactions[id]
	if t == nil {
		k.producers++
		t = &transaction{k: k, id: id, producer: k.producers, epoch: -1, previous: -1}
		k.transactions[id] = t
	}
	if producer >= 0 && (producer != t.producer || epoch != t.epoch && epoch != t.previous) {
		return nil, sarama.ErrProducerFenced
	}
	if t.ending() {
		return nil, sarama.ErrConcurrentTransactions
	}
	if !t.begun.IsZero() {
		if !k.sloppyEpochs {
			if producer >= 0 {
				t.previous = epoch
			}
			t.epoch++
		}
		t.end(false)
		if t.ending() {
			return nil, sarama.ErrConcurrentTransactions
		}
	}
	if !k.sloppyEpochs || t.epoch < 0 {
		t.epoch++
	}
	t.timeout, t.previous = timeout, -1
	return t, nil
}

// check refuses who was replaced.
func (t *transaction) check(epoch int16) error {
	if epoch != t.epoch {
		return sarama.ErrProducerFenced
	}
	if t.ending() {
		return sarama.ErrConcurrentTransactions
	}
	return nil
}

func (t *transaction) begin() {
	if t.begun.IsZero() {
		t.begun = t.k.w.now
	}
}

// join adds partitions to the transaction.
func (t *transaction) join(epoch int16, ps []kafka.Partition) error {
	if err := t.check(epoch); err != nil {
		return err
	}
	t.begin()
	for _, p := range ps {
		if !slices.Contains(t.joined, p) {
			t.joined = append(t.joined, p)
		}
	}
	return nil
}

// finish ends the transaction as its producer asks. Asking again is answered like the
// first time.
func (t *transaction) finish(epoch int16) error {
	if epoch != t.epoch {
		return sarama.ErrProducerFenced
	}
	if !t.ending() && !t.begun.IsZero() {
		t.end(true)
	}
	return nil
}

// end decides. The markers are written later.
func (t *transaction) end(commit bool) {
	t.k.w.tracef("transaction %s of epoch %d: commit %v", t.id, t.epoch, commit)
	t.commit, t.unsaid, t.unsaidG = commit, t.joined, t.withGroup
	t.begun, t.joined, t.withGroup = time.Time{}, nil, false
	t.from = t.k.w.later(5 * time.Second)
}

// say writes one of the markers that are due. The next one may come later.
func (t *transaction) say(i int) {
	t.from = t.k.w.later(5 * time.Second)
	if i == len(t.unsaid) {
		t.unsaidG = false
		offsets := t.k.group.pending[t.producer]
		delete(t.k.group.pending, t.producer)
		if t.commit {
			maps.Copy(t.k.group.committed, offsets)
		}
		return
	}
	p := t.unsaid[i]
	t.unsaid = slices.Delete(t.unsaid, i, i+1)
	t.k.partitions[p].mark(t.producer, t.epoch, t.commit)
}

// expire aborts a transaction that takes too long, and fences its producer.
func (t *transaction) expire() {
	if !t.begun.IsZero() && !t.ending() && t.k.w.now.Sub(t.begun) >= t.timeout {
		t.previous = t.epoch
		t.epoch++
		t.end(false)
	}
}

// produce appends a batch to a partition, as its leader does.
func (k *cluster) produce(b *sealed) error {
	p := k.partitions[b.at]
	if b.transaction == nil {
		p.append(b.records, b.producer, false)
		return nil
	}
	t := b.transaction
	if b.epoch < p.epochs[b.producer] {
		return sarama.ErrInvalidProducerEpoch
	}
	// The leader asks the coordinator whether the partition is part of the transaction.
	if b.epoch != t.epoch || t.begun.IsZero() || !slices.Contains(t.joined, b.at) {
		return sarama.ErrInvalidTxnState
	}
	p.epochs[b.producer] = b.epoch
	p.append(b.records, b.producer, true)
	return nil
}
