//go:build unix

package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/embedded"
	framework "github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

const vocabulary = 20 // words

// restoreEnds runs an application, has something done to its changelog, and runs it again
// without its disk: it is ready within seconds, and its table is right.
func restoreEnds(t *testing.T, c *counter, g streams.Guarantee, end func(changelog string)) {
	t.Helper()
	settings := config(t, c.kafka, c.name)
	first := run(t, counting(t, c.name, nil), settings)
	first.awaitReady(patience)
	c.count(vocabulary, 3)
	first.stop()

	end(c.name + "-counts-changelog")
	settings.StateDir, settings.Guarantee = t.TempDir(), g
	second := run(t, counting(t, c.name, nil), settings)
	took := second.awaitReady(soon)
	c.count(vocabulary, 2)
	second.stop()
	t.Logf("ready after %v", took)
}

func TestRestoreEndsAtCommitMarker(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		restoreEnds(t, newCounter(k, name), streams.ExactlyOnce, func(changelog string) {
			for p := range int32(2) {
				last, end := k.look(changelog, p, false)
				require.Less(t, last, end-1, "the log does not end in a marker")
			}
		})
	})
}

func TestRestoreEndsInAbortedData(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		restoreEnds(t, newCounter(k, name), streams.ExactlyOnce, func(changelog string) {
			k.abort(changelog, 1, func() {})
			for p := range int32(2) {
				seen, _ := k.look(changelog, p, false)
				committed, _ := k.look(changelog, p, true)
				require.Less(t, committed, seen, "the log has no aborted data at its end")
			}
		})
	})
}

// An application that ran with exactly-once may have left aborted rows behind.
func TestRestoreAfterChangeOfGuarantee(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		restoreEnds(t, newCounter(k, name), streams.AtLeastOnce, func(changelog string) { k.abort(changelog, 1, func() {}) })
	})
}

func TestRestoreOfNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c := newCounter(k, name)
		a := run(t, counting(t, name, nil), config(t, k, name))
		took := a.awaitReady(soon)
		for p := range int32(2) {
			_, end := k.look(name+"-counts-changelog", p, false)
			require.Zero(t, end)
		}
		c.count(vocabulary, 1)
		a.stop()
		t.Logf("ready after %v", took)
	})
}

func TestRestoreEndsInCompactedLog(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		b, err := embedded.Start()
		require.NoError(t, err)
		t.Cleanup(b.Close)
		k := connect(t, b.Addrs())
		restoreEnds(t, newCounter(k, "app"), streams.ExactlyOnce, func(changelog string) {
			k.abort(changelog, 1, func() {})
			b.Compact()
			for p := range int32(2) {
				last, end := k.look(changelog, p, false)
				require.Less(t, last, end-2, "the log does not end in a hole")
			}
		})
	})
	t.Run("kafka", func(t *testing.T) {
		// The broker cleans up all the time.
		k := connect(t, kafkatest.Start(t, kafkatest.Options{Config: map[string]string{"log.cleaner.backoff.ms": "100"}}).Addrs())
		const changelog = "app-counts-changelog"
		const segment = 200 * time.Millisecond
		k.create(map[string]string{
			"cleanup.policy": "compact", "segment.ms": fmt.Sprint(segment.Milliseconds()),
			"min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0",
		}, 2, changelog)
		restoreEnds(t, newCounter(k, "app"), streams.ExactlyOnce, func(string) {
			// The aborted rows are the last of their segment: after that many milliseconds their
			// marker begins another, and the cleaner leaves a batch without records before it.
			k.abort(changelog, 5000, func() { <-time.After(2 * segment) })
			for p := range int32(2) {
				await(t, patience, func() bool {
					last, end := k.look(changelog, p, false)
					return last < end-5000/2*vocabulary
				}, "%s/%d is cleaned", changelog, p)
			}
		})
	})
}

// Windows of long ago are in use while the past is replayed: a changelog must not lose them
// to a broker that compares their times with its clock.
func TestRestoreOfThePast(t *testing.T) {
	t.Parallel()
	k := connect(t, kafkatest.Borrow(t, eagerRetention))
	for _, g := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		t.Run(g.String(), func(t *testing.T) {
			name, k := kafkatest.Topic(t), connect(t, k.addrs)
			k.create(map[string]string{"retention.ms": "-1"}, 1, name+"-visits", name+"-daily")
			k.create(map[string]string{"cleanup.policy": "compact,delete", "retention.ms": "1000"}, 1, name+"-canary")
			longAgo := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
			write := func(topic string) {
				k.produce(clientConfig(), &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("home"), Timestamp: longAgo, Value: sarama.StringEncoder("x")})
			}
			daily := k.table(name + "-daily")
			settings := config(t, k, name)
			settings.Guarantee = g
			for visits := range int64(2) {
				settings.StateDir = t.TempDir()
				a := run(t, perDay(t, name), settings)
				write(name + "-visits")
				await(t, patience, func() bool { return daily.count() == int(visits+1) }, "the visit is counted")
				a.stop()
				daily.locked(func() {
					for _, n := range daily.rows {
						require.Equal(t, visits+1, n, "visits of the day")
					}
				})
				write(name + "-canary")
				await(t, patience, func() bool {
					start, err := k.client.GetOffset(name+"-canary", 0, sarama.OffsetOldest)
					return err == nil && start == visits+1
				}, "the broker has deleted what is too old for it")
			}
			// Nor may the broker end a segment with every week of a replay.
			changelog := &sarama.ConfigResource{Type: sarama.TopicResource, Name: name + "-counts-changelog", ConfigNames: []string{"segment.ms"}}
			results, err := k.admin().DescribeConfigs([]*sarama.ConfigResource{changelog}, sarama.DescribeConfigsOptions{})
			require.NoError(t, err)
			require.Len(t, results, 1)
			require.Len(t, results[0].Configs, 1)
			require.Equal(t, fmt.Sprint(math.MaxInt64), results[0].Configs[0].Value)
		})
	}
}

// perDay counts visits by day.
func perDay(t *testing.T, name string) *topology.Topology {
	t.Helper()
	day := window.Tumbling{Size: 24 * time.Hour}
	keys := window.Keys(serde.String, day)
	counts := state.Store[window.Key[string], int64]{Name: "counts", Key: keys, Value: serde.Int64}
	daily := topology.Topic[window.Key[string], int64]{Name: name + "-daily", Key: keys, Value: serde.Int64}
	return build(t, func(b *topology.Builder) {
		visits := kstream.GroupByKey(kstream.From(b, text(name+"-visits")))
		ktable.To(kstream.Count(kstream.WindowedBy(visits, day), counts), daily)
	})
}

// abort writes wrong rows to a changelog, some of each word, in a transaction that it
// aborts after something else is done.
func (k *kafka) abort(changelog string, times int, before func()) {
	k.t.Helper()
	c := clientConfig()
	c.Producer.Transaction.ID = kafkatest.Topic(k.t)
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Transaction.Retry.Max = 100
	p, err := sarama.NewSyncProducer(k.addrs, c)
	require.NoError(k.t, err)
	defer p.Close()
	require.NoError(k.t, p.BeginTxn())
	var rows []*sarama.ProducerMessage
	for partition := range int32(2) {
		for range times {
			for i := range vocabulary {
				rows = append(rows, &sarama.ProducerMessage{
					Topic: changelog, Partition: partition, Key: sarama.StringEncoder(fmt.Sprintf("word-%d", i)),
					Value: sarama.ByteEncoder(fmt.Appendf(nil, "%08d", rand.IntN(100_000_000))),
				})
			}
		}
	}
	require.NoError(k.t, p.SendMessages(rows))
	before()
	require.NoError(k.t, p.AbortTxn())
}

// look reads a partition to its end. It returns the offset of the last record, -1 without
// any, and the end.
func (k *kafka) look(topic string, partition int32, committed bool) (last, end int64) {
	k.t.Helper()
	at := framework.Partition{Topic: topic, Index: partition}
	c, err := broker.Dial(k.t.Context(), broker.Options{Brokers: k.addrs, ClientID: "e2e"})
	require.NoError(k.t, err)
	defer c.Close()
	starts, err := c.ListOffsets(k.t.Context(), []framework.Partition{at}, broker.Earliest, false)
	require.NoError(k.t, err)
	ends, err := c.ListOffsets(k.t.Context(), []framework.Partition{at}, broker.Latest, false)
	require.NoError(k.t, err)
	f := c.NewFetcher(broker.FetchOptions{ReadCommitted: committed})
	defer f.Close()
	batches := make(chan framework.Batch, 1000)
	last, end = -1, ends[at]
	read := f.Subscribe(at, starts[at], func(b framework.Batch) { batches <- b })
	deadline := time.After(patience)
	for next := starts[at]; next < end; {
		select {
		case b := <-batches:
			next = b.Next
			if n := len(b.Records); n > 0 {
				last = b.Records[n-1].Offset
			}
			read.Done(b)
		case <-deadline:
			require.FailNow(k.t, "too slow", "%v is read to %d of %d within %v", at, next, end, patience)
		}
	}
	return last, end
}
