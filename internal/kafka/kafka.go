// Package kafka holds the plain data that passes between the broker and the tasks:
// what a record, a batch and a partition are, apart from how they get here.
package kafka

import "fmt"

// Partition names one partition of a topic.
type Partition struct {
	Topic string
	Index int32
}

func (p Partition) String() string { return fmt.Sprintf("%s/%d", p.Topic, p.Index) }

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a partition. A nil Key or Value is Kafka's null; an empty one
// is not nil. Key and Value alias the answer they came in: copy what is kept.
type Record struct {
	Key, Value []byte
	Headers    []Header
	Time       int64 // milliseconds since 1970
	Offset     int64
}

// Batch is a run of records of one partition, in order. It may hold none, when only the
// position moved: past transaction markers, aborted data or a hole that compaction left.
type Batch struct {
	Records []Record
	Next    int64 // the position after the batch
	End     int64 // the end of the partition when it was fetched, as a reader of this isolation sees it
	Bytes   int   // of the records, for accounting
	Epoch   int   // of the subscription: an older one was fetched before a Seek
}

// Offset is a committed position and what was stored beside it.
type Offset struct {
	At       int64
	Metadata string
}
