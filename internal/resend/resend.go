// Package resend sends dead letters to the topics that they came from, each once: what was
// sent again is remembered in Kafka, in the same transaction.
package resend

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/deadletter"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// Letter is a dead letter.
type Letter struct {
	At     kafka.Partition // where it lies
	Record kafka.Record    // as it lies there
	Reason deadletter.Reason
	// After is an offset from which on there is nothing before the letter that is not sent
	// again: markers of transactions, and letters that were. At most the letter's own.
	After int64
}

// batch is how many letters, and how many bytes of them, one transaction has at most.
const (
	batchLetters = 1000
	batchBytes   = 8 << 20
)

// Sender sends letters again. It belongs to one goroutine.
type Sender struct {
	Ledger   *Ledger // what was sent again, with what this sender has
	c        *broker.Client
	starts   map[kafka.Partition]int64
	topics   map[string]int32 // partitions
	producer *broker.Producer

	waiting []Letter
	bytes   int
	sent    int64
}

// NewSender returns a sender of the letters of a topic, whose partitions are given. Another
// one of the topic that is at work somewhere fails, so no letter is sent by both.
func NewSender(ctx context.Context, c *broker.Client, ps []kafka.Partition) (*Sender, error) {
	p, err := c.NewProducer(ctx, broker.ProducerOptions{TransactionalID: "resend-" + ps[0].Topic})
	if err != nil {
		return nil, err
	}
	s := &Sender{c: c, topics: map[string]int32{}, producer: p}
	if s.starts, err = c.ListOffsets(ctx, ps, broker.Earliest, false); err == nil {
		s.Ledger, err = ReadLedger(ctx, c, ps) // now that nobody else can change it
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return s, nil
}

// Add sends a letter again, with the next transaction.
func (s *Sender) Add(ctx context.Context, l Letter) error {
	if err := s.check(ctx, l); err != nil {
		return err
	}
	s.waiting = append(s.waiting, l)
	s.bytes += len(l.Record.Key) + len(l.Record.Value)
	if len(s.waiting) < batchLetters && s.bytes < batchBytes {
		return nil
	}
	return s.Flush()
}

// check refuses a letter whose partition does not exist any more.
func (s *Sender) check(ctx context.Context, l Letter) error {
	n, known := s.topics[l.Reason.Topic]
	if !known {
		found, err := s.c.Topics(ctx, l.Reason.Topic)
		if err != nil {
			return err
		}
		n = found[l.Reason.Topic].Partitions
		s.topics[l.Reason.Topic] = n
	}
	if l.Reason.Partition < 0 || l.Reason.Partition >= n {
		return fmt.Errorf("letter %s@%d is from %s/%d, and there is no such partition", l.At, l.Record.Offset, l.Reason.Topic, l.Reason.Partition)
	}
	return nil
}

// Flush sends what waits, in one transaction with the ledger: all of it, or nothing.
func (s *Sender) Flush() error {
	if len(s.waiting) == 0 {
		return nil
	}
	if err := s.flush(); err != nil {
		// Nobody is to wait for the transaction. If this fails too, its timeout ends it.
		return errors.Join(err, s.producer.Abort())
	}
	s.sent += int64(len(s.waiting))
	s.waiting, s.bytes = s.waiting[:0], 0
	return nil
}

func (s *Sender) flush() error {
	sent := map[kafka.Partition][][2]int64{}
	for _, l := range s.waiting {
		to := s.producer.Target(kafka.Partition{Topic: l.Reason.Topic, Index: l.Reason.Partition})
		r := l.Record
		if err := s.producer.Add(to, r.Key, r.Value, deadletter.Own(r.Headers), r.Time); err != nil {
			return fmt.Errorf("send letter %s@%d again: %w", l.At, r.Offset, err)
		}
		sent[l.At] = append(sent[l.At], [2]int64{l.After, r.Offset})
	}
	commit, after := map[kafka.Partition]kafka.Offset{}, map[kafka.Partition]spans{}
	for p, all := range sent {
		var err error
		if commit[p], after[p], err = s.Ledger.with(p, s.starts[p], all); err != nil {
			return err
		}
	}
	member := broker.Member{Group: Group(s.waiting[0].At.Topic), Generation: -1}
	if err := s.producer.Commit(member, commit); err != nil {
		return fmt.Errorf("send letters again: %w; run it again: what was sent is not sent twice", err)
	}
	for p, a := range after {
		s.Ledger.sent[p] = a
	}
	return nil
}

// Sent is how many letters were sent again.
func (s *Sender) Sent() int64 { return s.sent }

// Close ends the sender. What was not flushed is not sent.
func (s *Sender) Close() { s.producer.Close() }
