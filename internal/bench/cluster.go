package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// partitions is how many every topic has.
const partitions = 8

// cluster is the Kafka that is measured against.
type cluster struct {
	addrs  []string
	client *broker.Client // the framework's own, as the floor is to use the same
	admin  sarama.ClusterAdmin
}

func dial(ctx context.Context, brokers []string) (*cluster, error) {
	client, err := broker.Dial(ctx, broker.Options{Brokers: brokers, ClientID: "bench"})
	if err != nil {
		return nil, err
	}
	c := sarama.NewConfig()
	c.Version = sarama.V3_9_0_0
	c.Admin.Timeout = time.Minute
	admin, err := sarama.NewClusterAdmin(brokers, c)
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("reach Kafka at %v: %w", brokers, err)
	}
	return &cluster{addrs: brokers, client: client, admin: admin}, nil
}

func (c *cluster) close() {
	c.client.Close()
	c.admin.Close() // nothing is under way
}

// partitionsOf are all partitions of topics.
func partitionsOf(topics ...string) (ps []kafka.Partition) {
	for _, t := range topics {
		for i := range int32(partitions) {
			ps = append(ps, kafka.Partition{Topic: t, Index: i})
		}
	}
	return ps
}

// create creates a topic that keeps its records, however old their times are, unless the
// settings say otherwise.
func (c *cluster) create(ctx context.Context, topic string, settings map[string]string) error {
	if settings == nil {
		settings = map[string]string{"retention.ms": "-1"}
	}
	return c.client.CreateTopic(ctx, broker.TopicSpec{Name: topic, Partitions: partitions, Replication: -1, Config: settings})
}

// drop deletes what a run made: the group of its name, and all topics whose names begin
// with that.
func (c *cluster) drop(name string) error {
	errs := []error{c.dropGroup(name)}
	topics, err := c.admin.ListTopics()
	if err != nil {
		errs = append(errs, fmt.Errorf("list topics: %w", err))
	}
	for t := range topics {
		if !strings.HasPrefix(t, name) {
			continue
		}
		if err := c.admin.DeleteTopic(t); err != nil {
			errs = append(errs, fmt.Errorf("delete topic %s: %w", t, err))
		}
	}
	return errors.Join(errs...)
}

// dropGroup deletes a group, if there is one.
func (c *cluster) dropGroup(name string) error {
	if err := c.admin.DeleteConsumerGroup(name); err != nil && !errors.Is(err, sarama.ErrGroupIDNotFound) {
		return fmt.Errorf("delete group %s: %w", name, err)
	}
	return nil
}

// provide makes sure that the topic of an input exists and holds all of its records.
func (c *cluster) provide(ctx context.Context, in input, log io.Writer) error {
	found, err := c.client.Topics(ctx, in.topic)
	if err != nil {
		return err
	}
	if _, exists := found[in.topic]; exists {
		held, err := c.held(ctx, in.topic)
		if err != nil || held == in.records {
			return err
		}
		fmt.Fprintf(log, "%s holds %d records, not %d; writing it anew\n", in.topic, held, in.records)
		if err := c.remove(ctx, in.topic); err != nil {
			return err
		}
	}
	if err := c.create(ctx, in.topic, in.settings); err != nil {
		return err
	}
	if in.records == 0 {
		return nil
	}
	fmt.Fprintf(log, "writing %d records to %s\n", in.records, in.topic)
	if err := c.write(ctx, in); err != nil {
		return fmt.Errorf("write %s: %w", in.topic, err)
	}
	return nil
}

// remove deletes a topic, and returns when a new one can have its name.
func (c *cluster) remove(ctx context.Context, topic string) error {
	if err := c.admin.DeleteTopic(topic); err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	for {
		found, err := c.client.Topics(ctx, topic)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// held is how many records there are in a topic that nobody wrote to in transactions.
func (c *cluster) held(ctx context.Context, topic string) (n int, err error) {
	ends, err := c.client.ListOffsets(ctx, partitionsOf(topic), broker.Latest, false)
	if err != nil {
		return 0, err
	}
	starts, err := c.client.ListOffsets(ctx, partitionsOf(topic), broker.Earliest, false)
	for p, end := range ends {
		n += int(end - starts[p])
	}
	return n, err
}

// write writes the records of an input, each to the partition of its key.
func (c *cluster) write(ctx context.Context, in input) error {
	p, err := c.client.NewProducer(ctx, broker.ProducerOptions{})
	if err != nil {
		return err
	}
	defer p.Close()
	var targets [partitions]*broker.Target
	for i, at := range partitionsOf(in.topic) {
		targets[i] = p.Target(at)
	}
	next := in.generate()
	for i := range in.records {
		if i%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r := next(i)
		if err := p.Add(targets[graph.Partition(r.Key, partitions)], r.Key, r.Value, nil, r.Time); err != nil {
			return err
		}
	}
	return p.Wait()
}

// Committed offsets are looked at this often: more often as the end comes near, so that it
// is not seen late, and never so often that it takes CPU time worth mentioning.
const (
	slowest = 50 * time.Millisecond
	fastest = 5 * time.Millisecond
)

// patience is how long nothing may be committed before a run has failed.
const patience = 2 * time.Minute

// await returns when a group has committed that it read topics to their ends, less so many
// offsets in each partition. The topics do not grow meanwhile.
func (c *cluster) await(ctx context.Context, group string, less int64, topics ...string) error {
	ps := partitionsOf(topics...)
	ends, err := c.client.ListOffsets(ctx, ps, broker.Latest, false)
	if err != nil {
		return err
	}
	begun := time.Now()
	last, moved := int64(-1), begun
	for {
		committed, err := c.client.Committed(ctx, group, ps)
		if err != nil {
			return err
		}
		var done, left int64
		for p, end := range ends {
			done += committed[p].At
			left += max(end-less-committed[p].At, 0)
		}
		now := time.Now()
		if done != last {
			last, moved = done, now
		}
		switch {
		case left == 0:
			return nil
		case now.Sub(moved) > patience:
			return fmt.Errorf("group %s has committed nothing for %v, and has %d offsets of %v left", group, patience, left, topics)
		}
		pause := slowest
		if done > 0 {
			rest := time.Duration(now.Sub(begun).Seconds() * float64(left) / float64(done) * float64(time.Second))
			pause = min(max(rest/2, fastest), slowest)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// committed is how many records of a topic that nobody wrote to in transactions a group has
// committed.
func (c *cluster) committed(ctx context.Context, group, topic string) (n int, err error) {
	offsets, err := c.client.Committed(ctx, group, partitionsOf(topic))
	for _, o := range offsets {
		n += int(o.At)
	}
	return n, err
}

// sleep returns early, with the reason, when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
