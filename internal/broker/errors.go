package broker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// ErrTopicExists is what CreateTopic returns when the topic is there already.
var ErrTopicExists = errors.New("broker: the topic exists")

// ErrTopicRecreated is why a partition is read no further: its topic was deleted and made
// anew, and its offsets begin again.
var ErrTopicRecreated = errors.New("the topic was deleted and made anew")

// OutOfRange reports whether err says that a partition has no such offset: records there were
// deleted, or are not yet written.
func OutOfRange(err error) bool { return errors.Is(err, sarama.ErrOffsetOutOfRange) }

// RecordTooLargeError says that a record cannot be written, now or later. Nothing of it
// was buffered.
type RecordTooLargeError struct {
	Partition kafka.Partition
	Size      int // bytes, as Kafka counts them, at most
	Limit     int // bytes
}

func (e *RecordTooLargeError) Error() string {
	return fmt.Sprintf("broker: a record for %v has %d bytes, more than %d: make it smaller, or raise Producer.MaxMessageBytes of the sarama configuration and max.message.bytes of the topic",
		e.Partition, e.Size, e.Limit)
}

// ErrStaleGeneration is why offsets were refused whose member has missed that the group has
// a new generation, maybe without it. Nothing is lost: the same commit goes through under the
// generation that the next Assigned tells, unless Lost comes first.
var ErrStaleGeneration = errors.New("the group has a new generation")

// stale marks a refusal, if it is of that kind.
func stale(err error) error {
	for _, code := range []sarama.KError{sarama.ErrIllegalGeneration, sarama.ErrRebalanceInProgress, sarama.ErrUnknownMemberId} {
		if errors.Is(err, code) {
			return fmt.Errorf("%w: %w", ErrStaleGeneration, err)
		}
	}
	return err
}

// RefusedError says that a broker will not take a record, now or later: one of a batch, or
// any at all for the partition.
type RefusedError struct {
	Partition kafka.Partition
	Err       error
}

func (e *RefusedError) Error() string { return e.Err.Error() }

func (e *RefusedError) Unwrap() error { return e.Err }

// Refused says for which partition a record was refused that will be refused again. It is
// false for errors that have other reasons.
func Refused(err error) (at kafka.Partition, ok bool) {
	var large *RecordTooLargeError
	var refused *RefusedError
	switch {
	case errors.As(err, &large):
		return large.Partition, true
	case errors.As(err, &refused):
		return refused.Partition, true
	}
	return at, false
}

// isRefusal reports an answer that is about the records, or who writes them, and not about
// the broker.
func isRefusal(code sarama.KError) bool {
	switch code {
	case sarama.ErrMessageSizeTooLarge, sarama.ErrInvalidTimestamp, sarama.ErrInvalidRecord, sarama.ErrInvalidTopic,
		sarama.ErrPolicyViolation, sarama.ErrTopicAuthorizationFailed:
		return true
	}
	return false
}

// refusal marks what a broker answered about a partition, if it is one.
func refusal(at kafka.Partition, code sarama.KError, err error) error {
	if isRefusal(code) {
		return &RefusedError{at, err}
	}
	return err
}

// errReplaced marks what Abort learnt: a newer producer has this transactional id.
var errReplaced = errors.New("another producer took this transactional id over")

// replaced marks err, from taking a new epoch, if it means that the epoch was taken.
func replaced(err error) error {
	if errors.Is(err, sarama.ErrInvalidProducerEpoch) || errors.Is(err, sarama.ErrProducerFenced) {
		return fmt.Errorf("%w: %w", errReplaced, err)
	}
	return err
}

// Fenced reports whether err says that this producer or this member of the group was
// replaced by another one. What it did not commit is lost to it: its tasks belong to
// somebody else, or will.
//
// PRODUCER_FENCED is also the answer after a transaction ran into its timeout. Abort
// tells the two apart: it succeeds unless there is a successor.
func Fenced(err error) bool {
	for _, code := range []sarama.KError{
		sarama.ErrProducerFenced, sarama.ErrIllegalGeneration, sarama.ErrUnknownMemberId, sarama.ErrFencedInstancedId,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return errors.Is(err, errReplaced)
}

// isBusy reports an answer that will be another one within milliseconds.
func isBusy(code sarama.KError) bool {
	switch code {
	case sarama.ErrConcurrentTransactions, // the markers of the last transaction are being written
		sarama.ErrOffsetsLoadInProgress,
		sarama.ErrUnstableOffsetCommit: // a transaction with the offset is open, or just ended
		return true
	}
	return false
}

// isMoved reports that the asked broker does not, or not yet, have the role.
func isMoved(code sarama.KError) bool {
	switch code {
	case sarama.ErrNotCoordinatorForConsumer, sarama.ErrConsumerCoordinatorNotAvailable,
		sarama.ErrNotController, sarama.ErrBrokerNotAvailable:
		return true
	}
	return false
}

// isUnready reports an answer that an election, a new topic's first seconds or a quota
// explain.
func isUnready(code sarama.KError) bool {
	switch code {
	case sarama.ErrUnknownTopicOrPartition, sarama.ErrRequestTimedOut, sarama.ErrThrottlingQuotaExceeded:
		return true
	}
	return false
}

// isLeaderGone reports that a partition's leader is another one, or none for a while. It
// is found again through the metadata.
func isLeaderGone(code sarama.KError) bool {
	switch code {
	case sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition,
		sarama.ErrReplicaNotAvailable, sarama.ErrKafkaStorageError, sarama.ErrFencedLeaderEpoch,
		sarama.ErrUnknownLeaderEpoch, sarama.ErrOffsetNotAvailable:
		return true
	}
	return false
}

// isResendable reports a refused batch that may be sent again as it is.
func isResendable(code sarama.KError) bool {
	switch code {
	case sarama.ErrRequestTimedOut, sarama.ErrNetworkException, sarama.ErrConcurrentTransactions, sarama.ErrOffsetsLoadInProgress,
		sarama.ErrNotEnoughReplicas, // also: the transaction's coordinator cannot be asked
		sarama.ErrNotEnoughReplicasAfterAppend:
		return true
	}
	return isLeaderGone(code)
}

// hints are what to do about a broker's refusal.
var hints = map[sarama.KError]string{
	sarama.ErrMessageSizeTooLarge:         "raise max.message.bytes of the topic",
	sarama.ErrInvalidRecord:               "a compacted topic takes no record without a key",
	sarama.ErrInvalidTimestamp:            "the record's time is too far from the broker's clock: set message.timestamp.after.max.ms and message.timestamp.before.max.ms of the topic",
	sarama.ErrInvalidSessionTimeout:       "the session timeout must lie between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms",
	sarama.ErrInvalidTransactionTimeout:   "the transaction timeout must not be above the broker's transaction.max.timeout.ms",
	sarama.ErrInconsistentGroupProtocol:   "members of the group are no instances of this application, plain consumers maybe: give it another ApplicationID, or stop them",
	sarama.ErrGroupMaxSizeReached:         "raise group.max.size of the broker",
	sarama.ErrUnsupportedVersion:          "Kafka 2.5 or newer is needed",
	sarama.ErrPolicyViolation:             "a policy of the cluster forbids it",
	sarama.ErrInvalidReplicationFactor:    "the cluster has fewer brokers than replicas are wanted",
	sarama.ErrProducerFenced:              "producer fenced: another one has the transactional id, or the transaction timed out",
	sarama.ErrOutOfOrderSequenceNumber:    "acknowledged records are missing from the log, as after an unclean leader election",
	sarama.ErrFencedInstancedId:           "another process uses the same instance id",
	sarama.ErrOffsetMetadataTooLarge:      "raise offset.metadata.max.bytes of the broker",
	sarama.ErrUnsupportedForMessageFormat: "the topic has an old message format",
	sarama.ErrUnsupportedCompressionType:  "the broker does not know this compression",
	sarama.ErrOffsetOutOfRange:            "records there were deleted, or are not yet written",
	sarama.ErrInvalidTopic:                "the topic's name is not valid",
}

// explain adds to a broker's refusal what to do about it.
func explain(code sarama.KError) error {
	if hint := hints[code]; hint != "" {
		return fmt.Errorf("%w: %s", code, hint)
	}
	return code
}

// needs adds to a refused authorization what is to be allowed, such as "Read" on a topic.
func needs(err error, operation, resource, name string) error {
	if !denied(err) || strings.Contains(err.Error(), "allow this user") {
		return err
	}
	return fmt.Errorf("%w: allow this user %s on %s %q", err, operation, resource, name)
}

// denied reports that the broker knows who asks, and does not allow it.
func denied(err error) bool {
	for _, code := range []sarama.KError{
		sarama.ErrTopicAuthorizationFailed, sarama.ErrGroupAuthorizationFailed,
		sarama.ErrClusterAuthorizationFailed, sarama.ErrTransactionalIDAuthorizationFailed,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
