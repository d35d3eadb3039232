package broker

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

func TestEmptyPartitionIsReportedOnce(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic := createTopic(t, c, 2, nil)
		f := newFetcher(t, c, FetchOptions{})
		r := read(t, f, kafka.Partition{Topic: topic, Index: 0}, 0)
		require.Equal(t, kafka.Batch{}, r.next(), "empty, and nothing more at the broker")

		// Another partition's news pass through the same requests; this one has none.
		to := kafka.Partition{Topic: topic, Index: 1}
		p := newProducer(t, c, ProducerOptions{})
		other := read(t, f, to, 0)
		for i := range int64(5) {
			add(t, p, to, "v", 1)
			require.NoError(t, p.Wait())
			other.to(i + 1)
		}
		require.Empty(t, r.batches)
	})
}

func TestCaughtUpIsReportedOnlyWhereABatchDidNotSayIt(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		p := newProducer(t, c, ProducerOptions{})
		add(t, p, to, "v", 5)
		require.NoError(t, p.Wait())
		r := read(t, newFetcher(t, c, FetchOptions{}), to, 0)
		b := r.next()
		require.Equal(t, int64(5), b.Next)
		require.Equal(t, int64(5), b.End, "it says so itself")

		epoch := r.s.SeekTo(5)
		b = r.next()
		require.Equal(t, kafka.Batch{Next: 5, End: 5, Epoch: epoch}, b, "after a seek it has to be said again")
		add(t, p, to, "v", 1)
		require.NoError(t, p.Wait())
		require.Len(t, r.next().Records, 1, "and not more often")
	})
}

func TestMarkersAndAbortedDataMoveThePosition(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to, id := kafka.Partition{Topic: createTopic(t, c, 1, nil)}, kafkatest.Topic(t)
		p := newProducer(t, c, ProducerOptions{TransactionalID: id})
		r := read(t, newFetcher(t, c, FetchOptions{ReadCommitted: true}), to, 0)
		r.next() // empty

		add(t, p, to, "v", 3)
		require.NoError(t, p.Commit(Member{}, nil))
		require.Equal(t, values("v", 3), r.to(4), "three records and a marker")

		add(t, p, to, "aborted", 3)
		require.NoError(t, p.Wait())
		require.NoError(t, p.Abort())
		require.Equal(t, values("v", 3), r.to(8), "nothing to see, but the position is the log's")
		require.Equal(t, r.last.Next, r.last.End)
	})
}

func TestOpenTransactionIsTheEndForACommittedReader(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to, id := kafka.Partition{Topic: createTopic(t, c, 1, nil)}, kafkatest.Topic(t)
		first := newProducer(t, c, ProducerOptions{})
		add(t, first, to, "v", 2)
		require.NoError(t, first.Wait())
		p := newProducer(t, c, ProducerOptions{TransactionalID: id})
		add(t, p, to, "open", 2)
		require.NoError(t, p.Wait())

		committed := read(t, newFetcher(t, c, FetchOptions{ReadCommitted: true}), to, 0)
		committed.to(2)
		require.Equal(t, int64(2), committed.last.End)
		uncommitted := read(t, newFetcher(t, c, FetchOptions{}), to, 0)
		require.Equal(t, append(values("v", 2), values("open", 2)...), uncommitted.to(4))
		require.Equal(t, int64(4), uncommitted.last.End)
		require.NoError(t, p.Abort())
	})
}

func TestSeekGoesBackAndMarksWhatCameBefore(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		p := newProducer(t, c, ProducerOptions{})
		add(t, p, to, "v", 10)
		require.NoError(t, p.Wait())
		r := read(t, newFetcher(t, c, FetchOptions{}), to, 0)
		require.Zero(t, r.next().Epoch)
		for want := 1; want <= 3; want++ {
			epoch := r.s.SeekTo(int64(want))
			require.Equal(t, want, epoch)
			b := r.next()
			for b.Epoch < epoch { // fetched before
				b = r.next()
			}
			require.Equal(t, int64(want), b.Records[0].Offset)
		}
	})
}

func TestPartitionOutsideOfItsLogIsParkedUntilASeek(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic := createTopic(t, c, 2, nil)
		lost, fine := kafka.Partition{Topic: topic, Index: 0}, kafka.Partition{Topic: topic, Index: 1}
		p := newProducer(t, c, ProducerOptions{})
		add(t, p, lost, "v", 3)
		add(t, p, fine, "v", 3)
		require.NoError(t, p.Wait())
		type parked struct {
			p        kafka.Partition
			epoch    int
			position int64
			err      error
		}
		errs := make(chan parked, 10)
		f := newFetcher(t, c, FetchOptions{OnError: func(p kafka.Partition, epoch int, position int64, err error) {
			errs <- parked{p, epoch, position, err}
		}})
		r := read(t, f, lost, 1000)
		got := <-errs
		require.Equal(t, parked{lost, 0, 1000, got.err}, got)
		require.ErrorIs(t, got.err, sarama.ErrOffsetOutOfRange)
		require.ErrorContains(t, got.err, lost.String()+" at offset 1000")

		other := read(t, f, fine, 0)
		require.Equal(t, values("v", 3), other.to(3), "the others are read")
		r.s.SeekTo(0)
		require.Equal(t, values("v", 3), r.to(3))
		require.Empty(t, errs)
	})
}

func TestFullPartitionIsLeftOutAndTheOthersGoOn(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic := createTopic(t, c, 2, nil)
		slow, fast := kafka.Partition{Topic: topic, Index: 0}, kafka.Partition{Topic: topic, Index: 1}
		p := newProducer(t, c, ProducerOptions{FlushBytes: 2000})
		for range 200 {
			for _, to := range []kafka.Partition{slow, fast} {
				require.NoError(t, p.Add(p.Target(to), nil, bytes.Repeat([]byte("x"), 1000), nil, 1))
			}
		}
		require.NoError(t, p.Wait())

		const limit = 20_000
		f := newFetcher(t, c, FetchOptions{MaxPartitionBytes: 2000, MaxQueuedBytes: limit})
		var queued, most atomic.Int64
		batches := make(chan kafka.Batch, 1000)
		s := f.Subscribe(slow, 0, func(b kafka.Batch) {
			q := queued.Add(int64(b.Bytes))
			most.Store(max(most.Load(), q))
			batches <- b
		})
		// When the other has read all of it, over the same connection, this one has had its turns.
		require.Len(t, read(t, f, fast, 0).to(200), 200)
		require.Less(t, queued.Load(), int64(limit+10_000))
		require.GreaterOrEqual(t, queued.Load(), int64(limit))

		seen := 0
		for seen < 200 {
			b := <-batches
			seen += len(b.Records)
			queued.Add(-int64(b.Bytes))
			s.Done(b)
		}
		require.Less(t, most.Load(), int64(limit+10_000))
	})
}

func TestClosedSubscriptionIsNotReadAndANewOneReplacesIt(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		p := newProducer(t, c, ProducerOptions{})
		f := newFetcher(t, c, FetchOptions{})
		first := read(t, f, to, 0)
		first.next()
		second := read(t, f, to, 0)
		second.next()
		first.s.Close() // the one that was replaced: the second is not touched
		add(t, p, to, "v", 2)
		require.NoError(t, p.Wait())
		require.Equal(t, values("v", 2), second.to(2))
		require.Empty(t, first.batches)

		second.s.Close()
		add(t, p, to, "w", 1)
		require.NoError(t, p.Wait())
		require.Equal(t, append(values("v", 2), "w0"), read(t, f, to, 0).to(3))
		require.Empty(t, second.batches)
	})
}

func TestFetcherClosesAtOnceWhileARequestWaits(t *testing.T) {
	direct := onEmbedded(t)
	to := kafka.Partition{Topic: createTopic(t, direct, 1, nil)}
	px := badnet.Before(t, direct.seeds[0])[0]
	f := newFetcher(t, dial(t, []string{px.Addr()}), FetchOptions{})
	read(t, f, to, 0).next()
	defer px.Freeze()() // the next answer will not come
	within(t, readTimeout/2, f.Close)
	f.Close()
}

func TestPartitionOfAMissingTopicIsReadWhenItExists(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		name := kafkatest.Topic(t)
		r := read(t, newFetcher(t, c, FetchOptions{}), kafka.Partition{Topic: name}, 0)
		require.NoError(t, c.CreateTopic(t.Context(), TopicSpec{Name: name, Partitions: 1, Replication: -1}))
		require.Equal(t, kafka.Batch{}, r.next())
	})
}

// Records are handed over in memory that is used again, so what has been Done must not
// show through in what comes later.
func TestRecordsOfABatchAreUsedAgainOnlyAfterDone(t *testing.T) {
	c := onEmbedded(t)
	to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
	p := newProducer(t, c, ProducerOptions{FlushBytes: 1000})
	add(t, p, to, "v", 2000)
	require.NoError(t, p.Wait())
	batches := make(chan kafka.Batch, 10_000)
	f := newFetcher(t, c, FetchOptions{MaxPartitionBytes: 2000})
	s := f.Subscribe(to, 0, func(b kafka.Batch) { batches <- b })
	seen := 0
	var before *kafka.Batch
	for seen < 2000 {
		b := <-batches
		for _, k := range b.Records {
			require.Equal(t, fmt.Sprint("v", seen), string(k.Value))
			seen++
		}
		if before != nil { // one is kept while the next is read
			s.Done(*before)
		}
		before = &b
	}
}

func TestSpoiltPartitionIsParkedAndTheOthersGoOn(t *testing.T) {
	direct := onEmbedded(t)
	topic := createTopic(t, direct, 3, nil)
	p := newProducer(t, direct, ProducerOptions{})
	spoilt := kafka.Partition{Topic: topic, Index: 1}
	px := badnet.Before(t, direct.seeds[0])[0]
	px.Spoil(func(answer []byte) {
		if i := bytes.Index(answer, []byte("spoil me")); i >= 0 {
			answer[i]++
		}
	})
	for i := range int32(3) {
		to := kafka.Partition{Topic: topic, Index: i}
		add(t, p, to, "v", 3)
		if to == spoilt {
			require.NoError(t, p.Wait())
			require.NoError(t, p.Add(p.Target(to), nil, []byte("spoil me"), nil, 1))
		}
	}
	require.NoError(t, p.Wait())

	errs := make(chan error, 10)
	f := newFetcher(t, dial(t, []string{px.Addr()}), FetchOptions{OnError: func(p kafka.Partition, _ int, _ int64, err error) {
		require.Equal(t, spoilt, p)
		errs <- err
	}})
	bad := read(t, f, spoilt, 0)
	for _, i := range []int32{0, 2} {
		r := read(t, f, kafka.Partition{Topic: topic, Index: i}, 0)
		require.Equal(t, values("v", 3), r.to(3))
	}
	require.ErrorContains(t, <-errs, "broker: decode "+spoilt.String())
	px.Spoil(nil)
	bad.s.SeekTo(0)
	require.Equal(t, append(values("v", 3), "spoil me"), bad.to(4))
}

// An answer whose records cannot be decoded says nothing of whose they are.
func TestSpoiltPartitionIsFoundAmongOthers(t *testing.T) {
	var parked []kafka.Partition
	f := &Fetcher{c: &Client{log: discard}, subs: map[kafka.Partition]*Subscription{}}
	f.o = FetchOptions{MaxQueuedBytes: 1, MaxBytes: 100, OnError: func(p kafka.Partition, _ int, _ int64, _ error) { parked = append(parked, p) }}
	for i := range int32(5) {
		p := kafka.Partition{Topic: "t", Index: i}
		f.subs[p] = &Subscription{f: f, partition: p, leader: leader{addr: "a"}}
	}
	spoilt := kafka.Partition{Topic: "t", Index: 3}
	l := &fetchLoop{f: f, addr: "a"}
	require.Len(t, l.wanted(), 5)
	l.isolate(l.wanted(), errMalformed)
	require.Empty(t, parked)
	for range 5 {
		wanted := l.wanted()
		require.Len(t, wanted, 1, "each alone")
		if wanted[0].s.partition == spoilt {
			l.isolate(wanted, errMalformed)
		} else {
			l.take(wanted, &sarama.FetchResponse{})
		}
	}
	require.Equal(t, []kafka.Partition{spoilt}, parked)
	require.Len(t, l.wanted(), 4, "the others together again")
}

func TestDoneOfAnOldEpochFreesNothing(t *testing.T) {
	f := &Fetcher{c: &Client{log: discard}, o: FetchOptions{MaxQueuedBytes: 10, MaxBytes: 100}}
	s := &Subscription{f: f, queued: 7}
	s.SeekTo(3)
	s.queued = 2
	s.Done(kafka.Batch{Bytes: 7, Epoch: 0})
	require.Equal(t, 2, s.queued)
	s.Done(kafka.Batch{Bytes: 2, Epoch: 1})
	require.Zero(t, s.queued)
}

// All of an answer stays in memory until the last of its batches is done.
func TestAnswersAreHeldWhole(t *testing.T) {
	f := &Fetcher{c: &Client{log: discard}, o: FetchOptions{MaxQueuedBytes: 1000, MaxBytes: 100}, subs: map[kafka.Partition]*Subscription{}}
	var of answer
	var ss []*Subscription
	for i := range int32(3) {
		s := &Subscription{f: f, partition: kafka.Partition{Topic: "t", Index: i}, leader: leader{addr: "a"}}
		f.subs[s.partition] = s
		ss = append(ss, s)
	}
	f.hold(ss[0], &of, kafka.Batch{Bytes: 60, Next: 6})
	f.hold(ss[1], &of, kafka.Batch{Bytes: 40, Next: 4})
	ss[0].Done(kafka.Batch{Bytes: 60, Next: 6})
	require.Equal(t, 100, f.held)
	l := &fetchLoop{f: f, addr: "a"}
	require.Empty(t, l.wanted())
	f.Starve()
	require.Len(t, l.wanted(), 2, "those that have nothing")
	f.hold(ss[2], new(answer), kafka.Batch{Bytes: 1, Next: 1})
	require.Empty(t, l.wanted(), "what has come may be enough")
	ss[1].SeekTo(0)
	require.Equal(t, 1, f.held)
	require.Len(t, l.wanted(), 3)
}

// compacted is for topics that the cleaner cleans as often as it comes by.
var compacted = map[string]string{
	"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0", "delete.retention.ms": "0",
	"segment.bytes": "1048576", // the least that Kafka allows
}

// The cleaner leaves an empty batch where a producer's last records were. One that ends a
// segment is all that an answer holds.
func TestEmptyBatchAtTheEndOfASegmentIsPassed(t *testing.T) {
	t.Parallel() // it waits for long, and does next to nothing meanwhile
	c := dial(t, kafkatest.Brokers(t))
	to := kafka.Partition{Topic: createTopic(t, c, 1, compacted)}
	// Two producers fill the first segment. Others overwrite all of it in the second, and
	// begin a third, so that the second is closed and may be cleaned with.
	for _, w := range []struct {
		prefix string
		keys   int
	}{{"a", 8}, {"b", 1}, {"a", 8}, {"b", 1}, {"c", 5}} {
		p := newProducer(t, c, ProducerOptions{})
		for i := range w.keys {
			require.NoError(t, p.Add(p.Target(to), fmt.Appendf(nil, "%s%d", w.prefix, i), make([]byte, 110_000), nil, time.Now().UnixMilli()))
		}
		require.NoError(t, p.Wait())
	}
	end := int64(8 + 1 + 8 + 1 + 5)
	eventually(t, "the cleaner came by", func() bool {
		f := c.NewFetcher(FetchOptions{})
		defer f.Close()
		r := read(t, f, to, 0)
		r.to(end)
		require.Equal(t, end, r.last.Next)
		return len(r.all) == 8+1+5
	})
}

// Markers, aborted records, holes: what is left of a changelog is read to its end, and has
// the right contents, while the cleaner works on it.
func TestCompactedLogIsReadToItsEnd(t *testing.T) {
	t.Parallel() // it waits for long, and does next to nothing meanwhile
	c := dial(t, kafkatest.Brokers(t))
	config := maps.Clone(compacted)
	config["segment.ms"] = "100"
	to := kafka.Partition{Topic: createTopic(t, c, 1, config)}
	want := map[string]string{}
	var p *Producer
	for round := range 20 {
		if round%5 == 0 {
			p = newProducer(t, c, ProducerOptions{TransactionalID: fmt.Sprint(to.Topic, round)})
		}
		next := map[string]string{}
		for i := range 300 {
			k, v := fmt.Sprint("k", (i*7+round*13)%400), fmt.Sprint(round, "-", i, "-", strings.Repeat("x", 50))
			require.NoError(t, p.Add(p.Target(to), []byte(k), []byte(v), nil, time.Now().UnixMilli()))
			next[k] = v
		}
		if round%4 == 3 {
			require.NoError(t, p.Wait())
			require.NoError(t, p.Abort())
			continue
		}
		require.NoError(t, p.Commit(Member{}, nil))
		maps.Copy(want, next)
	}
	restore := func() int {
		ends, err := c.ListOffsets(t.Context(), []kafka.Partition{to}, Latest, true)
		require.NoError(t, err)
		f := c.NewFetcher(FetchOptions{ReadCommitted: true})
		defer f.Close()
		r := read(t, f, to, 0)
		r.to(ends[to])
		got := map[string]string{}
		for _, k := range r.all {
			got[string(k.Key)] = string(k.Value)
		}
		require.Equal(t, want, got)
		return len(r.all)
	}
	before := restore()
	eventually(t, "the cleaner came by", func() bool { return restore() < before/2 })
}
