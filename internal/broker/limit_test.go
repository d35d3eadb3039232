package broker

import (
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// Many small records for a topic that takes small batches only: the first batch is refused,
// and what is learnt from that makes the next ones fit. A record that is too large alone is
// refused beforehand from then on.
func TestBatchesGetAsSmallAsTheTopicWants(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, map[string]string{"max.message.bytes": "2000"})}
		for _, mode := range []string{"", to.Topic} {
			p := newProducer(t, c, ProducerOptions{TransactionalID: mode})
			target := p.Target(to)
			if mode == "" {
				add(t, p, to, "v", 1000)
				err := p.Wait()
				require.ErrorIs(t, err, sarama.ErrMessageSizeTooLarge)
				at, ok := Refused(err)
				require.True(t, ok)
				require.Equal(t, to, at)
				require.True(t, c.LearnLimit(t.Context(), err))
				require.False(t, c.LearnLimit(t.Context(), err), "it is no news the second time")
				require.NoError(t, target.Fits(nil, make([]byte, 2000), nil, 1), "a producer learns it in Abort")
				require.NoError(t, p.Abort())
			}
			add(t, p, to, mode+"v", 1000)
			if mode == "" {
				require.NoError(t, p.Wait())
			} else {
				require.NoError(t, p.Commit(Member{}, nil))
			}
			large := strings.Repeat("l", 2000)
			for _, err := range []error{target.Fits(nil, []byte(large), nil, 1), p.Add(target, nil, []byte(large), nil, 1)} {
				var tooLarge *RecordTooLargeError
				require.ErrorAs(t, err, &tooLarge)
				require.Equal(t, 2000-batchOverhead, tooLarge.Limit)
			}
		}
		require.Equal(t, append(values("v", 1000), values(to.Topic+"v", 1000)...), readAll(t, c, to, false))
	})
}

// What a topic takes is measured after compression: only a broker can tell.
func TestCompressedRecordsAreNotRefusedBeforehand(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, map[string]string{"max.message.bytes": "2000"})}
		c.limits[to.Topic] = 2000
		p := newProducer(t, c, ProducerOptions{Compression: "gzip"})
		large := strings.Repeat("l", 100_000)
		require.NoError(t, p.Add(p.Target(to), nil, []byte(large), nil, 1))
		require.NoError(t, p.Wait())
		require.Equal(t, []string{large}, readAll(t, c, to, false))
		require.Error(t, p.Target(to).Fits(nil, make([]byte, 2<<20), nil, 1), "but by the sarama configuration")
	})
}

// What a broker says about the records, and not about itself, is a refusal.
func TestRefusals(t *testing.T) {
	c := dial(t, kafkatest.Brokers(t))
	for config, wrong := range map[[2]string]struct {
		key  []byte
		ms   int64
		code sarama.KError
	}{
		{"cleanup.policy", "compact"}:                  {nil, 1, sarama.ErrInvalidRecord},
		{"message.timestamp.before.max.ms", "3600000"}: {[]byte("k"), 1, sarama.ErrInvalidTimestamp},
		{"max.message.bytes", "100"}:                   {make([]byte, 200), 1, sarama.ErrMessageSizeTooLarge},
	} {
		to := kafka.Partition{Topic: createTopic(t, c, 1, map[string]string{config[0]: config[1]})}
		for _, id := range []string{"", to.Topic} {
			p := newProducer(t, c, ProducerOptions{TransactionalID: id})
			require.NoError(t, p.Add(p.Target(to), wrong.key, []byte("v"), nil, wrong.ms))
			err := p.Wait()
			require.ErrorIs(t, err, wrong.code)
			at, ok := Refused(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, to, at)
			require.NoError(t, p.Abort())
		}
	}
	_, ok := Refused(sarama.ErrProducerFenced)
	require.False(t, ok)
}
