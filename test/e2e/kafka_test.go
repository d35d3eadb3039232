//go:build unix

package e2e

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

const (
	partitions = 4
	// patience is how long a test waits for what must happen. It is only used up by a failure.
	patience = 4 * time.Minute
)

// eagerRetention has a broker delete what its topics' retention ends as soon as it can, and
// not some minutes later, so that a retention which is wrong shows.
var eagerRetention = map[string]string{"log.initial.task.delay.ms": "100", "log.retention.check.interval.ms": "500", "log.cleaner.backoff.ms": "500"}

// eachOwn is kafkatest.Each for programs whose topics' names are fixed: the real Kafka is
// lent to the test alone.
func eachOwn(t *testing.T, f func(t *testing.T, k *kafka)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b, err := embedded.Start()
		require.NoError(t, err)
		t.Cleanup(b.Close)
		k := connect(t, b.Addrs())
		k.embedded = true
		f(t, k)
	})
	t.Run("kafka", func(t *testing.T) {
		t.Parallel()
		f(t, connect(t, kafkatest.Borrow(t, eagerRetention)))
	})
}

// each runs f on the embedded broker and on the shared Kafka, with a name for its topics.
func each(t *testing.T, f func(t *testing.T, k *kafka, name string)) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		k := connect(t, brokers)
		k.embedded = strings.HasSuffix(t.Name(), "/embedded")
		f(t, k, kafkatest.Topic(t))
	})
}

// kafka is a Kafka, looked at by sarama's own clients: what the tests count does not
// depend on how the framework reads.
type kafka struct {
	t        *testing.T
	addrs    []string
	embedded bool
	client   sarama.Client
}

func connect(t *testing.T, addrs []string) *kafka {
	t.Helper()
	client, err := sarama.NewClient(addrs, clientConfig())
	require.NoError(t, err)
	k := &kafka{t: t, addrs: addrs, client: client}
	t.Cleanup(func() { client.Close() })
	return k
}

func clientConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_9_0_0
	c.ClientID = "e2e"
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.MaxWaitTime = 50 * time.Millisecond
	c.Consumer.Return.Errors = true
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Retry.Max, c.Metadata.Retry.Max = 100, 100 // a busy machine may keep a broker waiting
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	c.Net.MaxOpenRequests = 1
	c.Admin.Timeout = time.Minute
	return c
}

// create creates topics, each of the same number of partitions.
func (k *kafka) create(config map[string]string, partitions int32, names ...string) {
	k.t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(k.client)
	require.NoError(k.t, err)
	entries := map[string]*string{}
	for name, value := range config {
		entries[name] = &value
	}
	for _, name := range names {
		detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: -1, ConfigEntries: entries}
		require.NoError(k.t, admin.CreateTopic(name, detail, false), "create topic %s", name)
		await(k.t, patience, func() bool {
			if k.client.RefreshMetadata(name) != nil { // of a topic that was there before, an old answer is kept
				return false
			}
			ps, err := k.client.Partitions(name)
			return err == nil && len(ps) == int(partitions)
		}, "topic %s is there", name)
	}
}

// produce writes records, and returns when all are acknowledged.
func (k *kafka) produce(config *sarama.Config, messages ...*sarama.ProducerMessage) {
	k.t.Helper()
	p, err := sarama.NewSyncProducer(k.addrs, config)
	require.NoError(k.t, err)
	defer p.Close()
	require.NoError(k.t, p.SendMessages(messages))
}

// send writes values without keys to a topic.
func (k *kafka) send(topic string, values ...string) {
	k.t.Helper()
	var messages []*sarama.ProducerMessage
	for _, v := range values {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(v)})
	}
	k.produce(clientConfig(), messages...)
}

// tail reads a topic from its beginning on, all partitions at once, committed records only.
type tail struct {
	k      *kafka
	topic  string
	handle func(*sarama.ConsumerMessage)

	mu      sync.Mutex // held while handle runs
	records int
	last    []time.Time     // when a partition had its last record, by partition
	silence []time.Duration // the longest since it was asked for, by partition
	ended   int             // partitions that were read to their end
}

// theEnd is the key of the records that finish writes.
const theEnd = "e2e: the end"

// follow reads a topic until the test ends. The handler gets one record at a time.
func (k *kafka) follow(topic string, handle func(*sarama.ConsumerMessage)) *tail {
	k.t.Helper()
	consumer, err := sarama.NewConsumer(k.addrs, clientConfig())
	require.NoError(k.t, err)
	ps, err := consumer.Partitions(topic)
	require.NoError(k.t, err)
	x := &tail{k: k, topic: topic, handle: handle, last: make([]time.Time, len(ps)), silence: make([]time.Duration, len(ps))}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	k.t.Cleanup(func() {
		close(stop)
		wg.Wait()
		consumer.Close()
	})
	for _, p := range ps {
		var pc sarama.PartitionConsumer
		await(k.t, patience, func() bool { // a topic that was just made may have no leader yet
			pc, err = consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
			return err == nil
		}, "%s/%d is read", topic, p)
		wg.Go(func() {
			defer pc.Close()
			for {
				select {
				case m := <-pc.Messages():
					x.take(m)
				case err := <-pc.Errors():
					k.t.Errorf("read %s/%d: %v", topic, p, err)
					return
				case <-stop:
					return
				}
			}
		})
	}
	return x
}

func (x *tail) take(m *sarama.ConsumerMessage) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if string(m.Key) == theEnd {
		x.ended++
		return
	}
	now := time.Now()
	if last := x.last[m.Partition]; !last.IsZero() {
		x.silence[m.Partition] = max(x.silence[m.Partition], now.Sub(last))
	}
	x.last[m.Partition] = now
	x.records++
	x.handle(m)
}

// count is how many records were read.
func (x *tail) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.records
}

// listen begins to measure how long partitions are silent.
func (x *tail) listen() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for p := range x.last {
		x.last[p], x.silence[p] = time.Now(), 0
	}
}

// silences is, by partition, the longest time without a record since listen.
func (x *tail) silences() []time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	longest := make([]time.Duration, len(x.last))
	for p := range longest {
		longest[p] = max(x.silence[p], time.Since(x.last[p])).Round(time.Millisecond)
	}
	return longest
}

// locked runs f while no record is handled.
func (x *tail) locked(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

// finish returns when everything was read that is in the topic. It writes a last record to
// every partition: nobody else may write, or read, any more. A transaction that was left
// open would hold it up.
func (x *tail) finish() {
	x.k.t.Helper()
	c := clientConfig()
	c.Producer.Partitioner = sarama.NewManualPartitioner
	var ends []*sarama.ProducerMessage
	for p := range x.last {
		ends = append(ends, &sarama.ProducerMessage{Topic: x.topic, Partition: int32(p), Key: sarama.StringEncoder(theEnd)})
	}
	x.k.produce(c, ends...)
	await(x.k.t, patience, func() (all bool) {
		x.locked(func() { all = x.ended == len(x.last) })
		return all
	}, "topic %s is read to its end", x.topic)
}

// table is the last value of every key of a topic whose values are numbers.
type table struct {
	*tail
	rows map[string]int64
}

// table reads a topic as a table.
func (k *kafka) table(topic string) *table {
	k.t.Helper()
	x := &table{rows: map[string]int64{}}
	x.tail = k.follow(topic, func(m *sarama.ConsumerMessage) {
		if len(m.Value) != 8 {
			k.t.Errorf("%s/%d, offset %d: %q is not a number of 8 bytes", topic, m.Partition, m.Offset, m.Value)
			return
		}
		x.rows[string(m.Key)] = int64(binary.BigEndian.Uint64(m.Value))
	})
	return x
}

// reaches says whether every row has at least the value that it has in exact.
func (x *table) reaches(exact map[string]int64) bool {
	reached := true
	x.locked(func() {
		for key, n := range exact {
			reached = reached && x.rows[key] >= n
		}
	})
	return reached
}

// members are the ids of the members of a group that have partitions, once it rests with
// n of them and no other.
func (k *kafka) members(group string, n int) (ids []string, ok bool) {
	admin, err := sarama.NewClusterAdminFromClient(k.client)
	require.NoError(k.t, err)
	groups, err := admin.DescribeConsumerGroups([]string{group})
	if err != nil || len(groups) != 1 || groups[0].State != "Stable" {
		return nil, false
	}
	for id, m := range groups[0].Members {
		if a, err := m.GetMemberAssignment(); err == nil && a != nil && len(a.Topics) > 0 {
			ids = append(ids, id)
		}
	}
	return ids, len(ids) == n && len(groups[0].Members) == n
}

// awaitMembers waits until all n members of a group have partitions, and at most the given
// number of them are among those that were members before. It returns their ids.
func (k *kafka) awaitMembers(group string, n, survivors int, before []string) (ids []string) {
	k.t.Helper()
	await(k.t, patience, func() bool {
		var ok bool
		ids, ok = k.members(group, n)
		left := 0
		for _, id := range ids {
			if slices.Contains(before, id) {
				left++
			}
		}
		return ok && left <= survivors
	}, "%d members of group %s work, %d of them as before", n, group, survivors)
	return ids
}

// processed is how far a group has committed a topic, of all partitions together.
func (k *kafka) processed(group, topic string) (sum int64) {
	k.t.Helper()
	time.Sleep(100 * time.Millisecond) // it is asked again and again
	admin, err := sarama.NewClusterAdminFromClient(k.client)
	require.NoError(k.t, err)
	answer, err := admin.ListConsumerGroupOffsets(group, nil)
	require.NoError(k.t, err)
	for _, b := range answer.Blocks[topic] {
		sum += max(b.Offset, 0)
	}
	return sum
}
