// Package cluster is where the runtime meets Kafka: what it needs of a client, as
// interfaces, so that a simulation can take the broker's place. What each call promises is
// said in internal/broker.
package cluster

import (
	"context"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// Cluster is a client of Kafka.
type Cluster interface {
	Topics(ctx context.Context, names ...string) (map[string]broker.Topic, error)
	CreateTopic(ctx context.Context, t broker.TopicSpec) error
	TopicConfig(ctx context.Context, name string) (map[string]string, error)
	DeleteRecords(ctx context.Context, before map[kafka.Partition]int64) error

	ListOffsets(ctx context.Context, ps []kafka.Partition, at int64, readCommitted bool) (map[kafka.Partition]int64, error)
	Committed(ctx context.Context, group string, ps []kafka.Partition) (map[kafka.Partition]kafka.Offset, error)
	LearnLimit(ctx context.Context, refusal error) bool
	CommitOffsets(m broker.Member, offsets map[kafka.Partition]kafka.Offset) error

	NewFetcher(o broker.FetchOptions) Fetcher
	NewProducer(ctx context.Context, o broker.ProducerOptions) (Producer, error)
	NewGroup(c broker.GroupConfig) Group
}

// Fetcher reads partitions.
type Fetcher interface {
	Subscribe(p kafka.Partition, offset int64, deliver func(kafka.Batch)) Subscription
	Starve()
	Close()
}

// Subscription is one partition that is being read.
type Subscription interface {
	Done(b kafka.Batch)
	Close()
}

// Producer writes partitions.
type Producer interface {
	Target(p kafka.Partition) Target
	// Add takes only targets of its own.
	Add(t Target, key, value []byte, hs []kafka.Header, ms int64) error
	Flush() error
	Wait() error
	Commit(m broker.Member, offsets map[kafka.Partition]kafka.Offset) error
	Abort() error
	Close()
}

// Target is one partition that is being written.
type Target interface {
	Acked() int64
	Fits(key, value []byte, hs []kafka.Header, ms int64) error
}

// Group is one member of a group.
type Group interface {
	Run(ctx context.Context) error
	Rejoin(reason string)
	Hurry()
	Refused(as broker.Member, refusal error)
}

// Of is the cluster that a client speaks to.
func Of(c *broker.Client) Cluster { return client{c} }

type client struct{ *broker.Client }

func (c client) NewFetcher(o broker.FetchOptions) Fetcher { return fetcher{c.Client.NewFetcher(o)} }
func (c client) NewGroup(g broker.GroupConfig) Group      { return c.Client.NewGroup(g) }

func (c client) NewProducer(ctx context.Context, o broker.ProducerOptions) (Producer, error) {
	p, err := c.Client.NewProducer(ctx, o)
	if err != nil {
		return nil, err
	}
	return producer{p}, nil
}

type fetcher struct{ *broker.Fetcher }

func (f fetcher) Subscribe(p kafka.Partition, offset int64, deliver func(kafka.Batch)) Subscription {
	return f.Fetcher.Subscribe(p, offset, deliver)
}

type producer struct{ *broker.Producer }

func (p producer) Target(at kafka.Partition) Target { return p.Producer.Target(at) }

func (p producer) Add(t Target, key, value []byte, hs []kafka.Header, ms int64) error {
	return p.Producer.Add(t.(*broker.Target), key, value, hs, ms)
}
