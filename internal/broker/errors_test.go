package broker

import (
	"errors"
	"fmt"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

func TestFenced(t *testing.T) {
	for code, want := range map[error]bool{
		sarama.ErrProducerFenced:                      true,
		sarama.ErrIllegalGeneration:                   true,
		sarama.ErrUnknownMemberId:                     true,
		sarama.ErrFencedInstancedId:                   true,
		sarama.ErrInvalidProducerEpoch:                false, // Abort tells
		replaced(sarama.ErrProducerFenced):            true,
		replaced(sarama.ErrNotCoordinatorForConsumer): false,
		replaced(sarama.ErrInvalidProducerEpoch):      true, // of brokers before 2.7
		sarama.ErrRebalanceInProgress:                 false,
		errClosed:                                     false,
	} {
		require.Equal(t, want, Fenced(fmt.Errorf("context: %w", code)), "%v", code)
	}
	require.False(t, Fenced(nil))
	require.NoError(t, replaced(nil))
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	err := needs(explain(sarama.ErrTopicAuthorizationFailed), "Read", "topic", "t")
	require.ErrorIs(t, err, sarama.ErrTopicAuthorizationFailed)
	require.ErrorContains(t, err, `: allow this user Read on topic "t"`)
	require.Equal(t, err, needs(err, "Read", "topic", "t"), "once")
	require.Equal(t, error(sarama.ErrUnknown), needs(sarama.ErrUnknown, "Read", "topic", "t"))
	require.NoError(t, needs(nil, "Read", "topic", "t"))
	require.Equal(t, error(sarama.ErrUnknown), explain(sarama.ErrUnknown))
	require.True(t, errors.Is(explain(sarama.ErrProducerFenced), sarama.ErrProducerFenced))
}
