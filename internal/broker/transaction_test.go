package broker

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

func TestTransactionShowsAllOrNothing(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, id := createTopic(t, c, 2, nil), kafkatest.Topic(t)
		a, b := kafka.Partition{Topic: topic, Index: 0}, kafka.Partition{Topic: topic, Index: 1}
		in := kafka.Partition{Topic: topic, Index: 0}
		p := newProducer(t, c, ProducerOptions{TransactionalID: id})
		commit := func(at int64) {
			require.NoError(t, p.Commit(Member{Group: id, Generation: -1}, map[kafka.Partition]kafka.Offset{in: {At: at, Metadata: "m"}}))
		}
		add(t, p, a, "first", 3)
		add(t, p, b, "first", 2)
		commit(10)
		require.Equal(t, int64(3), p.Target(a).Acked())

		add(t, p, a, "aborted", 4)
		require.NoError(t, p.Wait())
		require.NoError(t, p.Abort())
		add(t, p, b, "dropped", 1) // never sent
		require.NoError(t, p.Abort())
		require.NoError(t, p.Abort(), "twice does no harm")

		add(t, p, a, "second", 2)
		commit(20)
		require.NoError(t, p.Commit(Member{}, nil), "nothing to commit")

		committed := readAll(t, c, a, true)
		require.Equal(t, append(values("first", 3), values("second", 2)...), committed)
		require.Equal(t, values("first", 2), readAll(t, c, b, true))
		require.Equal(t, append(values("first", 3), append(values("aborted", 4), values("second", 2)...)...), readAll(t, c, a, false))
		offsets, err := c.Committed(t.Context(), id, []kafka.Partition{in})
		require.NoError(t, err)
		require.Equal(t, kafka.Offset{At: 20, Metadata: "m"}, offsets[in])
	})
}

// The partitions of two transactions join the next one all at once. Those that it does not need
// stay out of the one after, and do no harm when they are gone.
func TestPartitionsOfTheLastTransactionsJoinTheNext(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, short := createTopic(t, c, 2, nil), createTopic(t, c, 1, nil)
		a, b, gone := kafka.Partition{Topic: topic}, kafka.Partition{Topic: topic, Index: 1}, kafka.Partition{Topic: short}
		p := newProducer(t, c, ProducerOptions{TransactionalID: kafkatest.Topic(t)})
		joined := func(to ...kafka.Partition) (joined []bool) {
			for _, at := range to {
				add(t, p, at, "v", 1)
				require.NoError(t, p.Flush())
			}
			joined = []bool{p.Target(a).joined, p.Target(b).joined, p.Target(gone).joined}
			require.NoError(t, p.Commit(Member{}, nil))
			return joined
		}
		require.Equal(t, []bool{true, false, false}, joined(a))
		require.Equal(t, []bool{true, true, true}, joined(a, b, gone))
		require.Equal(t, []bool{true, false, false}, joined(a), "they were needed once")
		require.Equal(t, []bool{true, true, true}, joined(a, b, gone))
		require.Equal(t, []bool{true, true, true}, joined(a, b, gone))
		require.Equal(t, []bool{true, true, true}, joined(a), "others join with it")
		require.Equal(t, []bool{true, false, false}, joined(a), "they were not needed")

		joined(a, gone)
		joined(a, gone)
		require.NoError(t, c.DeleteTopics(t.Context(), short))
		begun := time.Now()
		require.Equal(t, []bool{true, false, false}, joined(a), "one of them is gone")
		require.Less(t, time.Since(begun), p.o.Timeout/2, "and nobody waits for it")
		require.Len(t, readAll(t, c, b, true), 3)
		require.Len(t, readAll(t, c, a, true), 10)
	})
}

func TestOffsetsAloneAreATransaction(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		in, id := kafka.Partition{Topic: createTopic(t, c, 1, nil)}, kafkatest.Topic(t)
		p := newProducer(t, c, ProducerOptions{TransactionalID: id})
		for at := range int64(5) { // back to back: the broker is still busy with the one before
			want := map[kafka.Partition]kafka.Offset{in: {At: at}}
			require.NoError(t, p.Commit(Member{Group: id, Generation: -1}, want))
			got, err := c.Committed(t.Context(), id, []kafka.Partition{in})
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
}

func TestSuccessorFencesAndAbortsItsPredecessor(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c := dial(t, brokers)
		to, id := kafka.Partition{Topic: createTopic(t, c, 1, nil)}, kafkatest.Topic(t)
		old := newProducer(t, c, ProducerOptions{TransactionalID: id})
		add(t, old, to, "open", 3)
		require.NoError(t, old.Wait())

		within(t, 10*time.Second, func() { // not the transaction's timeout
			successor := newProducer(t, c, ProducerOptions{TransactionalID: id})
			add(t, successor, to, "v", 2)
			require.NoError(t, successor.Commit(Member{}, nil))
		})
		add(t, old, to, "zombie", 1)
		require.Error(t, old.Commit(Member{}, nil))
		if slices.Equal(brokers, kafkatest.Brokers(t)) { // the embedded broker takes the old epoch for a recovery
			err := old.Abort()
			require.True(t, Fenced(err), "%v", err)
			require.ErrorContains(t, err, id)
		}
		require.Equal(t, values("v", 2), readAll(t, c, to, true))
	})
}

func TestProducerOutlivesItsOwnTransactionTimeout(t *testing.T) {
	t.Parallel() // it waits for long, and does next to nothing meanwhile
	each(t, func(t *testing.T, c *Client) {
		to, id := kafka.Partition{Topic: createTopic(t, c, 1, nil)}, kafkatest.Topic(t)
		p := newProducer(t, c, ProducerOptions{TransactionalID: id, TransactionTimeout: 3 * time.Second})
		add(t, p, to, "late", 2)
		require.NoError(t, p.Wait())
		// The broker aborts it when it gets to it: then a committed reader's end moves.
		eventually(t, "the transaction timed out", func() bool {
			ends, err := c.ListOffsets(t.Context(), []kafka.Partition{to}, Latest, true)
			return err == nil && ends[to] == 3
		})
		require.Error(t, p.Commit(Member{}, nil))
		require.NoError(t, p.Abort(), "nobody took over")
		add(t, p, to, "v", 2)
		require.NoError(t, p.Commit(Member{}, nil))
		require.Equal(t, values("v", 2), readAll(t, c, to, true))
	})
}

func TestAfterAFailedCommitNothingIsSentBeforeAbort(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to, id := kafka.Partition{Topic: createTopic(t, c, 1, nil)}, kafkatest.Topic(t)
		p := newProducer(t, c, ProducerOptions{TransactionalID: id, TransactionTimeout: 3 * time.Second})
		add(t, p, to, "lost", 2)
		require.NoError(t, p.Wait())
		eventually(t, "the transaction timed out", func() bool {
			ends, err := c.ListOffsets(t.Context(), []kafka.Partition{to}, Latest, true)
			return err == nil && ends[to] == 3
		})
		failed := p.Commit(Member{}, nil)
		require.Error(t, failed)
		require.Equal(t, failed, p.Commit(Member{}, nil), "its records must not be committed without its offsets")
		require.NoError(t, p.Abort())
		require.NoError(t, p.Commit(Member{}, nil))
		require.Empty(t, readAll(t, c, to, true))
	})
}

// A commit as a member that the group does not know, or of another generation, fails; the
// transaction goes on, and may be committed as another or be dropped.
func TestAfterAStaleGenerationTheTransactionGoesOn(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to, id := kafka.Partition{Topic: createTopic(t, c, 1, nil)}, kafkatest.Topic(t)
		p := newProducer(t, c, ProducerOptions{TransactionalID: id})
		stranger := Member{Group: id, ID: "nobody", Generation: 7}
		add(t, p, to, "lost", 2)
		failed := p.Commit(stranger, map[kafka.Partition]kafka.Offset{to: {At: 9}})
		require.ErrorIs(t, failed, ErrStaleGeneration)
		require.ErrorContains(t, failed, to.String())
		require.NoError(t, p.Abort())
		require.NoError(t, p.Commit(Member{}, nil))

		add(t, p, to, "v", 1)
		require.ErrorIs(t, p.Commit(stranger, map[kafka.Partition]kafka.Offset{to: {At: 9}}), ErrStaleGeneration)
		nobody := Member{Group: id, Generation: -1} // as of a group without members
		require.NoError(t, p.Commit(nobody, map[kafka.Partition]kafka.Offset{to: {At: 9}}))
		require.Equal(t, values("v", 1), readAll(t, c, to, true))
		at, err := c.Committed(t.Context(), id, []kafka.Partition{to})
		require.NoError(t, err)
		require.EqualValues(t, 9, at[to].At)
	})
}

func TestCommitNeedsATransactionalID(t *testing.T) {
	p := newProducer(t, onEmbedded(t), ProducerOptions{})
	require.ErrorContains(t, p.Commit(Member{}, nil), "CommitOffsets")
}

func TestAbortWithoutTransactionsDropsWhatIsBuffered(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		p := newProducer(t, c, ProducerOptions{})
		add(t, p, to, "kept", 1)
		require.NoError(t, p.Wait())
		add(t, p, to, "dropped", 3)
		require.NoError(t, p.Abort())
		add(t, p, to, "then", 1)
		require.NoError(t, p.Wait())
		require.Equal(t, []string{"kept0", "then0"}, readAll(t, c, to, false))
		require.Equal(t, int64(2), p.Target(to).Acked())
	})
}

func TestImpossibleTransactionTimeoutSaysWhatItMayBe(t *testing.T) {
	c := dial(t, kafkatest.Brokers(t))
	_, err := c.NewProducer(t.Context(), ProducerOptions{TransactionalID: kafkatest.Topic(t), TransactionTimeout: 24 * time.Hour})
	require.ErrorContains(t, err, "transaction.max.timeout.ms")
}
