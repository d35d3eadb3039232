package streams

import (
	"fmt"

	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/topology"
)

// BadRecord is a record that could not be decoded or processed. As an error of Run it is
// the one that stopped the application.
type BadRecord struct {
	Task      string // as Kafka Streams prints it: "0_3"
	Topic     string // empty for a schedule of a processor
	Partition int32
	Offset    int64
	Record    topology.Record[[]byte, []byte] // as it was read
	Node      string                          // the step that failed, and the line that made it
	Err       error
}

func (b *BadRecord) Error() string {
	if b.Topic == "" {
		return fmt.Sprintf("streams: task %s: a schedule of node %s: %v", b.Task, b.Node, b.Err)
	}
	return fmt.Sprintf("streams: task %s: bad record at topic %s, partition %d, offset %d, node %s: %v; correct the program or the record, or have Config.OnBadRecord skip it",
		b.Task, b.Topic, b.Partition, b.Offset, b.Node, b.Err)
}

// Unwrap is the cause.
func (b *BadRecord) Unwrap() error { return b.Err }

// Decision is what to do with a bad record.
type Decision int

const (
	// Fail commits what came before the record and stops the instance with an error.
	Fail Decision = iota
	// Skip leaves the record out, and counts it.
	Skip
)

func badRecord(e *task.Error) *BadRecord {
	return &BadRecord{
		Task: e.Task.String(), Topic: e.Partition.Topic, Partition: e.Partition.Index, Offset: e.Offset, Node: e.Node, Err: e.Err,
		Record: topology.Record[[]byte, []byte]{Key: e.Record.Key, Value: e.Record.Value, Time: timeOf(e.Record.Time), Headers: e.Record.Headers, NoKey: e.Record.Key == nil},
	}
}
