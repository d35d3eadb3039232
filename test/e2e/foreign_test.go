//go:build unix

package e2e

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// consumer is a plain member of a group, by another library.
type consumer struct{ claimed chan map[string][]int32 }

func (c consumer) Setup(s sarama.ConsumerGroupSession) error {
	c.claimed <- s.Claims()
	return nil
}
func (consumer) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (consumer) ConsumeClaim(s sarama.ConsumerGroupSession, _ sarama.ConsumerGroupClaim) error {
	<-s.Context().Done()
	return nil
}

// impostor has the name of the way in which the library assigns, and nothing else of it.
type impostor struct{ sarama.BalanceStrategy }

func (impostor) Name() string { return "streams" }

// consume is a member of a group until the test ends. It returns the error that ends it
// before.
func (k *kafka) consume(group, topic string, by sarama.BalanceStrategy) (claimed chan map[string][]int32, failed chan error) {
	k.t.Helper()
	c := clientConfig()
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{by}
	g, err := sarama.NewConsumerGroup(k.addrs, group, c)
	require.NoError(k.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	claimed, failed = make(chan map[string][]int32, 100), make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if err := g.Consume(ctx, []string{topic}, consumer{claimed}); err != nil {
				failed <- err
				return
			}
		}
	}()
	k.t.Cleanup(func() {
		cancel()
		<-ended
		g.Close()
	})
	return claimed, failed
}

// A plain consumer with the application's id: whoever is there first stays, and the other
// one is told.
func TestForeignMemberOfTheGroup(t *testing.T) {
	t.Parallel()
	brokers := kafkatest.Brokers(t)
	t.Run("comes second", func(t *testing.T) {
		k, name := connect(t, brokers), kafkatest.Topic(t)
		c := newCounter(k, name)
		a := run(t, counting(t, name, nil), config(t, k, name))
		a.awaitReady(patience)
		_, failed := k.consume(name, name+"-lines", sarama.NewBalanceStrategyRange())
		select {
		case err := <-failed:
			require.ErrorIs(t, err, sarama.ErrInconsistentGroupProtocol)
		case <-time.After(patience):
			require.Fail(t, "the foreign member was let in")
		}
		c.count(vocabulary, 1)
		a.stop()
	})
	t.Run("was there first", func(t *testing.T) {
		k, name := connect(t, brokers), kafkatest.Topic(t)
		newCounter(k, name)
		claimed, _ := k.consume(name, name+"-lines", sarama.NewBalanceStrategyRange())
		require.Len(t, (<-claimed)[name+"-lines"], 2)
		err := run(t, counting(t, name, nil), config(t, k, name)).wait(patience)
		requireSays(t, err, name, "members of the group are no instances of this application", "another ApplicationID")
	})
	t.Run("speaks as if it were one of us", func(t *testing.T) {
		k, name := connect(t, brokers), kafkatest.Topic(t)
		c := newCounter(k, name)
		var log logBuffer
		settings := config(t, k, name)
		settings.Logger = slog.New(slog.NewTextHandler(&log, nil))
		a := run(t, counting(t, name, nil), settings)
		a.awaitReady(patience)
		claimed, _ := k.consume(name, name+"-lines", impostor{sarama.NewBalanceStrategyRange()})
		require.Empty(t, <-claimed, "it is given nothing")
		c.count(vocabulary, 1)
		a.stop()
		require.True(t, bytes.Contains([]byte(log.String()), []byte("a member of the group is refused")), log.String())
		require.Contains(t, log.String(), "not of this library")
	})
}
