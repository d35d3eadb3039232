package broker

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

func TestRecordsComeBackAsTheyWereWritten(t *testing.T) {
	want := []kafka.Record{
		{Key: []byte("k"), Value: []byte("v"), Time: 1_700_000_000_000},
		{Key: nil, Value: []byte("null key"), Time: 1_700_000_000_001},
		{Key: []byte("null value"), Value: nil, Time: 5}, // earlier than the first of its batch
		{Key: []byte{}, Value: []byte{}, Time: 0},
		{Key: []byte("headers"), Value: []byte("v"), Time: 1_700_000_000_000, Headers: []kafka.Header{
			{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "", Value: []byte{}}, {Key: "null", Value: nil},
		}},
		{Key: []byte("late"), Value: []byte("v"), Time: 1_700_000_000_999},
	}
	for _, compression := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			each(t, func(t *testing.T, c *Client) {
				to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
				p := newProducer(t, c, ProducerOptions{Compression: compression})
				target := p.Target(to)
				require.Equal(t, int64(-1), target.Acked())
				for i := range want {
					want[i].Offset = int64(i)
					require.NoError(t, p.Add(target, want[i].Key, want[i].Value, want[i].Headers, want[i].Time))
				}
				require.NoError(t, p.Wait())
				require.Equal(t, int64(len(want)), target.Acked())

				r := read(t, newFetcher(t, c, FetchOptions{}), to, 0)
				r.to(int64(len(want)))
				require.Equal(t, want, r.all)
			})
		})
	}
}

func TestLogAppendTimeIsTheRecordsTime(t *testing.T) {
	c := dial(t, kafkatest.Brokers(t))
	to := kafka.Partition{Topic: createTopic(t, c, 1, map[string]string{"message.timestamp.type": "LogAppendTime"})}
	p := newProducer(t, c, ProducerOptions{})
	before := time.Now().UnixMilli()
	add(t, p, to, "v", 3)
	require.NoError(t, p.Wait())
	r := read(t, newFetcher(t, c, FetchOptions{}), to, 0)
	r.to(3)
	for _, k := range r.all {
		require.InDelta(t, before, k.Time, float64(time.Minute.Milliseconds()))
	}
}

func TestTargetIsTheSameForTheSamePartition(t *testing.T) {
	p := newProducer(t, onEmbedded(t), ProducerOptions{})
	a, b := kafka.Partition{Topic: "t", Index: 0}, kafka.Partition{Topic: "t", Index: 1}
	require.Same(t, p.Target(a), p.Target(a))
	require.NotSame(t, p.Target(a), p.Target(b))
}

func TestFlushSendsWithoutWaiting(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		p := newProducer(t, c, ProducerOptions{})
		r := read(t, newFetcher(t, c, FetchOptions{}), to, 0)
		add(t, p, to, "v", 3)
		require.NoError(t, p.Flush())
		require.Equal(t, values("v", 3), r.to(3))
	})
}

// Batches of the size a topic takes: sealed before they pass it, over many partitions and
// many requests.
func TestManyRecordsArriveCompleteAndInOrder(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		const partitions, records = 3, 30_000
		topic := createTopic(t, c, partitions, nil)
		p := newProducer(t, c, ProducerOptions{FlushBytes: 100_000, MaxBufferedBytes: 300_000})
		padding := bytes.Repeat([]byte("x"), 100)
		for i := range records {
			for q := range int32(partitions) {
				v := append(fmt.Appendf(nil, "%d ", i), padding...)
				require.NoError(t, p.Add(p.Target(kafka.Partition{Topic: topic, Index: q}), nil, v, nil, int64(i)))
			}
		}
		require.NoError(t, p.Wait())
		f := newFetcher(t, c, FetchOptions{})
		for q := range int32(partitions) {
			r := read(t, f, kafka.Partition{Topic: topic, Index: q}, 0)
			r.to(records)
			require.Len(t, r.all, records)
			for i, k := range r.all {
				require.Equal(t, int64(i), k.Time)
				require.Equal(t, int64(i), k.Offset)
			}
		}
	})
}

func TestLargestRecordIsWrittenAndALargerOneRefusedBeforehand(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		p := newProducer(t, c, ProducerOptions{})
		target := p.Target(to)
		largest := make([]byte, c.cfg.Producer.MaxMessageBytes-batchOverhead-recordOverhead)
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range largest {
			largest[i] = byte(rng.Uint32())
		}
		before, after := strings.Repeat("b", 1000), strings.Repeat("a", 1000) // batches of their own
		require.NoError(t, p.Add(target, nil, []byte(before), nil, 1))

		var tooLarge *RecordTooLargeError
		err := p.Add(target, []byte("k"), largest, nil, 1)
		require.ErrorAs(t, err, &tooLarge)
		require.Equal(t, to, tooLarge.Partition)
		require.Equal(t, tooLarge.Limit+1, tooLarge.Size)
		require.ErrorContains(t, err, to.String())
		require.ErrorContains(t, err, "max.message.bytes")

		require.NoError(t, p.Add(target, nil, largest, nil, 1), "the producer goes on")
		require.NoError(t, p.Add(target, nil, []byte(after), nil, 1))
		require.NoError(t, p.Wait())
		require.Equal(t, []string{before, string(largest), after}, readAll(t, c, to, false))
	})
}

func TestTopicWithASmallerLimitSaysWhatToRaise(t *testing.T) {
	c := dial(t, kafkatest.Brokers(t))
	to := kafka.Partition{Topic: createTopic(t, c, 1, map[string]string{"max.message.bytes": "1000"})}
	p := newProducer(t, c, ProducerOptions{})
	require.NoError(t, p.Add(p.Target(to), nil, make([]byte, 2000), nil, 1))
	err := p.Wait()
	require.ErrorIs(t, err, sarama.ErrMessageSizeTooLarge)
	require.ErrorContains(t, err, to.String())
	require.ErrorContains(t, err, "max.message.bytes")

	require.NoError(t, p.Abort(), "and the producer can go on")
	add(t, p, to, "v", 2)
	require.NoError(t, p.Wait())
	require.Equal(t, values("v", 2), readAll(t, c, to, false))
}

func TestTimesThatKafkaCannotKeepAreRefused(t *testing.T) {
	p := newProducer(t, onEmbedded(t), ProducerOptions{})
	target := p.Target(kafka.Partition{Topic: "t", Index: 3})
	for _, ms := range []int64{-1, latestTime + 1} {
		require.ErrorContains(t, p.Add(target, nil, nil, nil, ms), "t/3")
	}
}

func TestEveryTimeThatKafkaCanKeepIsKept(t *testing.T) {
	c := onEmbedded(t)
	to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
	p := newProducer(t, c, ProducerOptions{})
	times := []int64{latestTime, 0, latestTime - 1, 1, latestTime / 2}
	for _, ms := range times {
		require.NoError(t, p.Add(p.Target(to), nil, nil, nil, ms))
	}
	require.NoError(t, p.Wait())
	r := read(t, newFetcher(t, c, FetchOptions{}), to, 0)
	r.to(int64(len(times)))
	for i, k := range r.all {
		require.Equal(t, times[i], k.Time)
	}
}

func TestUnknownCompression(t *testing.T) {
	_, err := onEmbedded(t).NewProducer(t.Context(), ProducerOptions{Compression: "zip"})
	require.ErrorContains(t, err, `"zip"`)
	require.ErrorContains(t, err, "lz4")
}

func TestNoProgressIsAnErrorThatNamesThePartitions(t *testing.T) {
	c := onEmbedded(t)
	p := newProducer(t, c, ProducerOptions{Timeout: 300 * time.Millisecond})
	add(t, p, kafka.Partition{Topic: "missing", Index: 2}, "v", 1)
	err := p.Wait()
	require.ErrorContains(t, err, "missing/2")
	require.ErrorIs(t, err, sarama.ErrLeaderNotAvailable)
}

func TestCloseUnblocksWhatWaits(t *testing.T) {
	errs := make(chan error, 1)
	for name, wait := range map[string]func(*Producer, kafka.Partition) error{
		"Wait": func(p *Producer, to kafka.Partition) error {
			return errors.Join(p.Add(p.Target(to), nil, nil, nil, 1), p.Wait())
		},
		"Commit": func(p *Producer, to kafka.Partition) error {
			return errors.Join(p.Add(p.Target(to), nil, nil, nil, 1), p.Commit(Member{}, nil))
		},
		"Add": func(p *Producer, to kafka.Partition) error {
			for {
				if err := p.Add(p.Target(to), nil, make([]byte, 1000), nil, 1); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			direct := onEmbedded(t)
			to := kafka.Partition{Topic: createTopic(t, direct, 1, nil)}
			px := badnet.Before(t, direct.seeds[0])[0]
			o := ProducerOptions{MaxBufferedBytes: 10_000, FlushBytes: 5000}
			if name == "Commit" {
				o.TransactionalID = "t"
			}
			p := newProducer(t, dial(t, []string{px.Addr()}), o)
			px.Block()
			go func() { errs <- wait(p, to) }()
			eventually(t, "something is buffered or the coordinator is looked for", func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.held > 0 || name == "Commit"
			})
			within(t, readTimeout/2, func() {
				p.Close()
				require.ErrorIs(t, <-errs, errProducerClosed)
			})
		})
	}
}
