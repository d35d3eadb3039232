package streams

import (
	"fmt"

	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/topology"
)

// BadRecord is a record that could not be decoded or processed, or of which Kafka refused
// what came of it. As an error of Run it is the one that stopped the application.
type BadRecord struct {
	Task      string // as Kafka Streams prints it: "0_3"
	Topic     string // empty for a schedule of a processor
	Partition int32
	Offset    int64
	Record    topology.Record[[]byte, []byte] // as it was read
	Node      string                          // the step that failed, and the line that made it
	Attempt   int                             // how often it was processed since its task began here; 1 at first
	Err       error
}

func (b *BadRecord) Error() string {
	if b.Topic == "" {
		return fmt.Sprintf("streams: task %s: a schedule of node %s: %v", b.Task, b.Node, b.Err)
	}
	return fmt.Sprintf("streams: task %s: bad record at topic %s, partition %d, offset %d, node %s: %v; correct the program or the record, or have Config.OnBadRecord skip it or send it to Config.DeadLetterTopic",
		b.Task, b.Topic, b.Partition, b.Offset, b.Node, b.Err)
}

// Unwrap is the cause.
func (b *BadRecord) Unwrap() error { return b.Err }

// Decision is what to do with a bad record. Whatever it is, nothing is left of what the
// record did before it failed, and the records of its partition keep their order.
type Decision int

const ( // in the order of task.Verdict
	// Fail commits what came before the record and stops the instance with an error.
	Fail Decision = iota
	// Skip leaves the record out, and counts it.
	Skip
	// DeadLetter leaves the record out, counts it, and sends it as it was read to
	// Config.DeadLetterTopic, in one transaction with the position behind it. Headers say
	// which record it was and why, under the names that Kafka Streams uses:
	// __streams.errors.topic, partition, offset, exception, message and stacktrace. It fails
	// where that cannot be.
	DeadLetter
	// Retry processes the record again, 100 ms later, and twice as long after each further
	// attempt. Its task waits for it; other tasks, and commits, do not. After ten attempts,
	// 51 s, it is Fail: to have something else done, look at BadRecord.Attempt.
	Retry
)

func badRecord(e *task.Error) *BadRecord {
	return &BadRecord{
		Task: e.Task.String(), Topic: e.Partition.Topic, Partition: e.Partition.Index, Offset: e.Offset, Node: e.Node, Attempt: e.Attempt, Err: e.Err,
		Record: topology.Record[[]byte, []byte]{Key: e.Record.Key, Value: e.Record.Value, Time: timeOf(e.Record.Time), Headers: e.Record.Headers, NoKey: e.Record.Key == nil},
	}
}
