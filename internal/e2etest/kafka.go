//go:build unix

package e2etest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka is a cluster as the tests see it: through a client that is not the framework's, so
// that what they count does not depend on how the framework reads and writes.
type Kafka struct {
	t      testing.TB
	addrs  []string
	client *kgo.Client
}

// Connect makes a client that lives as long as the test. It bears what brokers go through.
func Connect(t testing.TB, addrs []string) *Kafka {
	t.Helper()
	k := &Kafka{t: t, addrs: addrs}
	k.client = k.dial(kgo.ProducerLinger(2*time.Millisecond), kgo.MaxBufferedRecords(200_000), kgo.RecordPartitioner(partitioner))
	return k
}

// partitioner puts a key where any producer does by default.
var partitioner = kgo.StickyKeyPartitioner(nil)

// PartitionOf is the partition of n that records of a key go to.
func PartitionOf(key string, n int32) int32 {
	return int32(partitioner.ForTopic("").Partition(&kgo.Record{Key: []byte(key)}, int(n)))
}

// dial makes a client for which no outage is too long.
func (k *Kafka) dial(opts ...kgo.Opt) *kgo.Client {
	k.t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(k.addrs...), kgo.ClientID("test"), kgo.RequestRetries(1000),
		kgo.RecordRetries(1<<30), kgo.UnknownTopicRetries(-1), kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryTimeout(5*time.Minute))...)
	require.NoError(k.t, err)
	k.t.Cleanup(c.Close)
	return c
}

// Create creates topics, each of the same number of partitions, and returns when all of
// these have leaders.
func (k *Kafka) Create(partitions int32, config map[string]string, names ...string) {
	k.t.Helper()
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, -1
		for key, value := range config {
			topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: &value})
		}
		req := kmsg.NewPtrCreateTopicsRequest()
		req.TimeoutMillis, req.Topics = 30_000, []kmsg.CreateTopicsRequestTopic{topic}
		Await(k.t, 2*time.Minute, func() bool {
			res, err := req.RequestWith(context.Background(), k.client)
			if err != nil {
				return false
			}
			err = kerr.ErrorForCode(res.Topics[0].ErrorCode)
			return err == nil || errors.Is(err, kerr.TopicAlreadyExists)
		}, "topic %s is made", name)
		k.AwaitPartitions(name, partitions)
	}
}

// Delete deletes a topic, and returns when no broker knows it any more.
func (k *Kafka) Delete(name string) {
	k.t.Helper()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis, req.TopicNames, req.Topics = 30_000, []string{name}, []kmsg.DeleteTopicsRequestTopic{topic}
	res := k.Request(req).(*kmsg.DeleteTopicsResponse)
	require.NoError(k.t, kerr.ErrorForCode(res.Topics[0].ErrorCode), "delete topic %s", name)
	k.AwaitPartitions(name, 0)
}

// AwaitPartitions waits until all partitions of a topic have leaders, by every broker that
// answers.
func (k *Kafka) AwaitPartitions(name string, partitions int32) {
	k.t.Helper()
	Await(k.t, 2*time.Minute, func() bool {
		asked := 0
		for _, b := range k.client.DiscoveredBrokers() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			n, err := led(ctx, b, name)
			cancel()
			if err == nil && n != partitions {
				return false
			}
			if err == nil {
				asked++
			}
		}
		return asked > 0
	}, "topic %s has %d partitions with leaders", name, partitions)
}

// Partitions is how many partitions a topic has; 0: there is none.
func (k *Kafka) Partitions(name string) int32 {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	n, _ := led(ctx, k.client, name) // an error is none
	return n
}

// led is how many partitions of a topic have leaders.
func led(ctx context.Context, at interface {
	Request(context.Context, kmsg.Request) (kmsg.Response, error)
}, name string) (n int32, err error) {
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{topic}
	res, err := at.Request(ctx, req)
	if err != nil {
		return 0, err
	}
	for _, p := range res.(*kmsg.MetadataResponse).Topics[0].Partitions {
		if p.ErrorCode == 0 && p.Leader >= 0 {
			n++
		}
	}
	return n, nil
}

// topics is what the cluster says about topics; about all without names.
func (k *Kafka) topics(names ...string) ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	res, err := k.client.Request(ctx, req)
	if err != nil {
		return nil, err
	}
	return res.(*kmsg.MetadataResponse).Topics, nil
}

// InSync says whether no replica of any partition lags behind its leader.
func (k *Kafka) InSync() bool {
	topics, err := k.topics()
	if err != nil {
		return false
	}
	for _, t := range topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
				return false
			}
		}
	}
	return true
}

// AwaitInSync waits until that is so.
func (k *Kafka) AwaitInSync() {
	k.t.Helper()
	Await(k.t, 2*time.Minute, k.InSync, "all replicas are in sync")
}

// Leaders are who leads the partitions of topics.
func (k *Kafka) Leaders(names ...string) map[string]map[int32]int32 {
	k.t.Helper()
	topics, err := k.topics(names...)
	require.NoError(k.t, err)
	leaders := map[string]map[int32]int32{}
	for _, t := range topics {
		of := map[int32]int32{}
		for _, p := range t.Partitions {
			of[p.Partition] = p.Leader
		}
		leaders[*t.Topic] = of
	}
	return leaders
}

// Produce hands a record to the client. What cannot be written fails the test.
func (k *Kafka) Produce(topic, key string, value []byte) {
	k.ProduceRecord(&kgo.Record{Topic: topic, Key: []byte(key), Value: value}, nil)
}

// ProduceRecord is Produce for a whole record; done, if given, runs when it is written.
func (k *Kafka) ProduceRecord(r *kgo.Record, done func(*kgo.Record)) {
	k.client.Produce(context.Background(), r, func(r *kgo.Record, err error) {
		switch {
		case errors.Is(err, kgo.ErrClientClosed): // the test has ended
		case err != nil:
			k.t.Errorf("write to %s: %v", r.Topic, err)
		case done != nil:
			done(r)
		}
	})
}

// Flush returns when all that was produced is written.
func (k *Kafka) Flush() {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	require.NoError(k.t, k.client.Flush(ctx), "what was produced is written")
}

// Request sends a request; the cluster's answer has to come.
func (k *Kafka) Request(req kmsg.Request) kmsg.Response {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	res, err := k.client.Request(ctx, req)
	require.NoError(k.t, err)
	return res
}

// Tail reads a topic from its beginning on, all partitions at once.
type Tail struct {
	k      *Kafka
	topic  string
	client *kgo.Client
	handle func(*kgo.Record)

	mu   sync.Mutex // held while handle runs
	next map[int32]int64
}

// Follow reads the committed records of a topic until the test ends. The handler gets one
// at a time.
func (k *Kafka) Follow(topic string, handle func(*kgo.Record)) *Tail {
	k.t.Helper()
	return k.follow(topic, kgo.ReadCommitted(), handle)
}

// FollowUncommitted is Follow of all records, as soon as they are in the topic.
func (k *Kafka) FollowUncommitted(topic string, handle func(*kgo.Record)) *Tail {
	k.t.Helper()
	return k.follow(topic, kgo.ReadUncommitted(), handle)
}

func (k *Kafka) follow(topic string, level kgo.IsolationLevel, handle func(*kgo.Record)) *Tail {
	k.t.Helper()
	x := &Tail{k: k, topic: topic, handle: handle, next: map[int32]int64{}}
	x.client = k.dial(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(level), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.MetadataMaxAge(5*time.Second), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	k.t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			x.take(x.client.PollFetches(ctx))
		}
	})
	return x
}

func (x *Tail) take(f kgo.Fetches) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f.EachRecord(func(r *kgo.Record) {
		x.next[r.Partition] = r.Offset + 1
		if !r.Attrs.IsControl() {
			x.handle(r)
		}
	})
}

// Locked runs f while no record is handled.
func (x *Tail) Locked(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

// Finish returns when everything was read that is in the topic now. Transactions that are
// left open hold it up.
func (x *Tail) Finish(limit time.Duration) {
	x.k.t.Helper()
	ends := x.k.Ends(x.topic)
	Await(x.k.t, limit, func() (all bool) {
		x.Locked(func() {
			all = true
			for p, end := range ends {
				all = all && x.next[p] >= end
			}
		})
		return all
	}, "topic %s is read to its end", x.topic)
}

// Ends are the ends of a topic's partitions, also of what is not committed.
func (k *Kafka) Ends(topic string) map[int32]int64 {
	k.t.Helper()
	ends := map[int32]int64{}
	Await(k.t, 2*time.Minute, func() bool {
		partitions := k.Partitions(topic)
		req := kmsg.NewPtrListOffsetsRequest()
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for p := range partitions {
			part := kmsg.NewListOffsetsRequestTopicPartition()
			part.Partition, part.Timestamp = p, -1
			t.Partitions = append(t.Partitions, part)
		}
		req.Topics = append(req.Topics, t)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, shard := range k.client.RequestSharded(ctx, req) {
			if shard.Err == nil {
				take(ends, shard.Resp.(*kmsg.ListOffsetsResponse))
			}
		}
		return partitions > 0 && len(ends) == int(partitions)
	}, "the ends of %s are known", topic)
	return ends
}

func take(ends map[int32]int64, res *kmsg.ListOffsetsResponse) {
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				ends[p.Partition] = p.Offset
			}
		}
	}
}
