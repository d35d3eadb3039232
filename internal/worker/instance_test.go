package worker

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// When a process is gone, the first of those that stayed ends its transactions. Whoever
// leads the group may be new, and not know of it.
func TestTransactionsOfTheGoneAreEnded(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		app := kafkatest.Topic(t)
		client, err := broker.Dial(t.Context(), broker.Options{Brokers: brokers})
		require.NoError(t, err)
		defer client.Close()
		require.NoError(t, client.CreateTopic(t.Context(), broker.TopicSpec{Name: app, Partitions: 1, Replication: -1}))
		p := kafka.Partition{Topic: app}
		gone, err := client.NewProducer(t.Context(), broker.ProducerOptions{TransactionalID: transactionalID(app, "gone", 1)})
		require.NoError(t, err)
		defer gone.Close()
		require.NoError(t, gone.Add(gone.Target(p), nil, []byte("in a transaction"), nil, 1))
		require.NoError(t, gone.Wait())

		// readable is how far a reader of committed records comes.
		readable := func() int64 {
			ends, err := client.ListOffsets(t.Context(), []kafka.Partition{p}, broker.Latest, true)
			require.NoError(t, err)
			return ends[p]
		}
		assigned := func(process string, before map[string]int) {
			n := &Instance{c: Config{App: app, Process: process, ExactlyOnce: true, Client: client, Log: slog.New(slog.DiscardHandler)}, life: t.Context()}
			n.processes = before
			n.endTransactions(map[string]int{"a-new": 2, "first": 1, "second": 1})
			n.helpers.Wait()
		}
		before := map[string]int{"first": 1, "gone": 2, "second": 1}
		assigned("a-new", nil)
		assigned("second", before)
		require.Zero(t, readable(), "the transaction is open")
		assigned("first", before)
		require.Eventually(t, func() bool { return readable() == 2 }, 30*time.Second, 5*time.Millisecond, "the record and a marker")
	})
}
