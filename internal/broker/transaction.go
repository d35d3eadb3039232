package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

func (p *Producer) transactionalID() *string {
	if p.o.TransactionalID == "" {
		return nil
	}
	return &p.o.TransactionalID
}

func (p *Producer) findCoordinator(ctx context.Context) (string, error) {
	if p.o.TransactionalID == "" { // any broker hands out producer ids
		return p.c.nextAddress(ctx)
	}
	return p.c.findCoordinator(ctx, sarama.CoordinatorTransaction, p.o.TransactionalID)
}

// ask puts a question to l until it is answered, the producer's timeout has passed, or the
// producer is closed. A producer that has failed asks nothing.
func (p *Producer) ask(l *link, q question) error {
	p.mu.Lock()
	err := p.err
	p.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, end := p.c.bound(p.ctx, p.o.Timeout)
	defer end()
	return l.ask(ctx, q)
}

// init takes a producer id, or a new epoch for the one there is. That also aborts an open
// transaction of the id, so whoever calls it need not know how far one got.
func (p *Producer) init(ctx context.Context) error {
	ctx, end := p.c.bound(ctx, p.o.Timeout)
	defer end()
	err := p.coordinator.ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.InitProducerID(&sarama.InitProducerIDRequest{
			Version: 4, TransactionalID: p.transactionalID(), TransactionTimeout: p.o.TransactionTimeout,
			ProducerID: p.id, ProducerEpoch: p.epoch,
		})
		if err != nil {
			return 0, err
		}
		if r.Err == sarama.ErrNoError {
			p.id, p.epoch = r.ProducerID, r.ProducerEpoch
		}
		return r.Err, nil
	})
	if p.o.TransactionalID == "" {
		err = needs(err, "IdempotentWrite", "the cluster", "kafka-cluster")
	}
	err = needs(err, "Write", "transactional id", p.o.TransactionalID)
	if err != nil {
		return fmt.Errorf("broker: take a producer id (transactional id %q): %w", p.o.TransactionalID, err)
	}
	for _, t := range p.targets {
		t.next = 0
	}
	return nil
}

// join makes the partitions with open batches part of the transaction. A broker refuses
// records of one that is not. Those of the last two transactions join with them: most are needed
// again, and each question holds everything up. One that is not needed costs a marker.
func (p *Producer) join() error {
	if p.o.TransactionalID == "" {
		return nil
	}
	needed := p.joining(func(t *Target) bool { return t.open != nil })
	if len(needed) == 0 {
		return nil
	}
	p.began = true // before the answer: it may get lost
	if more := p.joining(func(t *Target) bool { return t.open != nil || t.streak > 1 }); len(more) > len(needed) {
		gone, err := p.addPartitions(more, false)
		if _, refused := Refused(err); !gone && !refused {
			return err
		}
		for _, t := range p.targets { // maybe it was for one that is not needed
			t.streak = 0
		}
	}
	_, err := p.addPartitions(needed, true)
	return err
}

// joining are the partitions that are not part of the transaction, and are to be.
func (p *Producer) joining(wanted func(*Target) bool) (ts []*Target) {
	for _, t := range p.targets {
		if !t.joined && wanted(t) {
			ts = append(ts, t)
		}
	}
	return ts
}

// addPartitions waits for a partition that is not there only if it is to; else it is gone.
func (p *Producer) addPartitions(joining []*Target, wait bool) (gone bool, err error) {
	partitions := map[string][]int32{}
	for _, t := range joining {
		partitions[t.partition.Topic] = append(partitions[t.partition.Topic], t.partition.Index)
	}
	var at kafka.Partition
	err = p.ask(p.coordinator, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.AddPartitionsToTxn(&sarama.AddPartitionsToTxnRequest{
			Version: 3, TransactionalID: p.o.TransactionalID, ProducerID: p.id, ProducerEpoch: p.epoch, TopicPartitions: partitions,
		})
		if err != nil {
			return 0, err
		}
		for topic, answers := range r.Errors {
			for _, a := range answers {
				if a.Err == sarama.ErrUnknownTopicOrPartition && !wait {
					gone = true
					return sarama.ErrNoError, nil
				}
				// One refusal, and the others were not attempted.
				if a.Err != sarama.ErrNoError && a.Err != sarama.ErrOperationNotAttempted {
					at = kafka.Partition{Topic: topic, Index: a.Partition}
					return a.Err, nil
				}
			}
		}
		return sarama.ErrNoError, nil
	})
	if err != nil {
		err = fmt.Errorf("broker: add partitions to the transaction of %q: %w", p.o.TransactionalID, needs(about(at, err), "Write", "topic", at.Topic))
		var code sarama.KError
		errors.As(err, &code)
		return false, refusal(at, code, err)
	}
	for _, t := range joining {
		t.joined = !gone
	}
	return gone, nil
}

// Commit sends what is buffered, commits the offsets with it, and ends the transaction:
// all of it, or none. With no records and no offsets it does nothing.
//
// After ErrStaleGeneration the transaction goes on, and Commit may be called again. After
// another error call Abort, which tells whether the producer can go on. The error may hide a
// success: the answer to the last request got lost. What was committed can be read after
// Abort with Committed.
func (p *Producer) Commit(m Member, offsets map[kafka.Partition]kafka.Offset) error {
	if p.o.TransactionalID == "" {
		return errors.New("broker: commit without a transactional id: use Wait and CommitOffsets")
	}
	err := p.commit(m, offsets)
	if err != nil && !errors.Is(err, ErrStaleGeneration) {
		return p.fail(err)
	}
	return err
}

func (p *Producer) commit(m Member, offsets map[kafka.Partition]kafka.Offset) error {
	if len(offsets) > 0 {
		// Before the records are waited for: these two round trips overlap with theirs.
		if err := p.addOffsets(m.Group); err != nil {
			return err
		}
		if err := p.Flush(); err != nil {
			return err
		}
		if err := p.commitOffsets(m, offsets); err != nil {
			return err
		}
	}
	if err := p.Wait(); err != nil {
		return err
	}
	return p.end()
}

func (p *Producer) addOffsets(group string) error {
	p.began = true
	err := p.ask(p.coordinator, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.AddOffsetsToTxn(&sarama.AddOffsetsToTxnRequest{
			Version: 3, TransactionalID: p.o.TransactionalID, ProducerID: p.id, ProducerEpoch: p.epoch, GroupID: group,
		})
		if err != nil {
			return 0, err
		}
		return r.Err, nil
	})
	if err != nil {
		return fmt.Errorf("broker: add the offsets of group %q to the transaction of %q: %w", group, p.o.TransactionalID, needs(err, "Read", "group", group))
	}
	return nil
}

func (p *Producer) commitOffsets(m Member, offsets map[kafka.Partition]kafka.Offset) error {
	topics := map[string][]*sarama.PartitionOffsetMetadata{}
	for at, o := range offsets {
		topics[at.Topic] = append(topics[at.Topic], &sarama.PartitionOffsetMetadata{Partition: at.Index, Offset: o.At, LeaderEpoch: -1, Metadata: &o.Metadata})
	}
	var at kafka.Partition
	err := p.ask(p.groupLink(m.Group), func(b *sarama.Broker) (sarama.KError, error) {
		req := &sarama.TxnOffsetCommitRequest{
			Version: 3, TransactionalID: p.o.TransactionalID, ProducerID: p.id, ProducerEpoch: p.epoch,
			GroupID: m.Group, MemberID: m.ID, GenerationID: m.Generation, GroupInstanceID: m.instance(), Topics: topics,
		}
		r, err := b.TxnOffsetCommit(req)
		if err != nil {
			return 0, err
		}
		if req.Version < 3 { // lowered to what the broker knows: it checked no generation
			return sarama.ErrUnsupportedVersion, nil
		}
		for topic, answers := range r.Topics {
			for _, a := range answers {
				if a.Err != sarama.ErrNoError {
					at = kafka.Partition{Topic: topic, Index: a.Partition}
					return a.Err, nil
				}
			}
		}
		return sarama.ErrNoError, nil
	})
	if err != nil {
		return fmt.Errorf("broker: commit offsets of group %q as member %q, generation %d, in the transaction of %q: %w",
			m.Group, m.ID, m.Generation, p.o.TransactionalID, about(at, stale(err)))
	}
	return nil
}

// groupLink is this producer's own connection to the coordinator of the group.
func (p *Producer) groupLink(group string) *link {
	if p.group == nil || p.groupName != group {
		if p.group != nil {
			p.group.close()
		}
		p.groupName, p.group = group, p.c.link(p.ctx, p.c.groupCoordinator(group))
	}
	return p.group
}

// end commits the transaction. One that never began must not be ended.
func (p *Producer) end() error {
	if !p.began {
		return nil
	}
	err := p.ask(p.coordinator, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.EndTxn(&sarama.EndTxnRequest{
			Version: 3, TransactionalID: p.o.TransactionalID, ProducerID: p.id, ProducerEpoch: p.epoch, TransactionResult: true,
		})
		if err != nil {
			return 0, err
		}
		return r.Err, nil
	})
	if err != nil {
		return fmt.Errorf("broker: end the transaction of %q: %w", p.o.TransactionalID, err)
	}
	p.began = false
	for _, t := range p.targets {
		if t.streak++; !t.used {
			t.streak = 0
		}
		t.joined, t.used = false, false
	}
	return nil
}

// Abort drops what is buffered and, in a transaction, what was written since the last
// Commit. It waits for what is on the wire, and takes a new epoch, so that nothing late
// of the old one is accepted. Acked keeps what it says: positions do not go back.
//
// Without a transactional id it drops what was not acknowledged, which may have been
// written nevertheless, and takes a new producer id.
//
// An error that Fenced knows means that there is a successor: Close this producer. After
// another error Abort may be tried again, or a new producer made.
func (p *Producer) Abort() error {
	p.stop()
	if p.o.TransactionalID == "" {
		p.id, p.epoch = -1, -1
	}
	if err := p.init(p.ctx); err != nil {
		return replaced(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return p.err
	}
	p.err, p.began = nil, false
	return nil
}

var errAborting = errors.New("broker: the producer is aborting")

// stop makes the sender send nothing more, waits for what is on the wire, and forgets
// everything that was buffered.
func (p *Producer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = errAborting
	}
	for p.inFlight > 0 {
		p.wake.Wait()
	}
	for _, t := range p.targets {
		if t.open != nil {
			p.pool.put(t.open)
		}
		for _, b := range t.queue {
			p.pool.put(b)
		}
		clear(t.queue)
		t.open, t.joined, t.used, t.streak, t.limit = nil, false, false, 0, p.c.batchLimit(t.partition.Topic)
		t.queue, t.sent, t.heard, t.last = t.queue[:0], 0, time.Time{}, nil
	}
	p.buffered, p.held = 0, 0
}
