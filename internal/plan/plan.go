// Package plan is what a topology compiles to and what the runtime runs: plain data, the
// functions that wire one task, and the context in which wired nodes live. It has no
// clock, no goroutine and no I/O of its own.
package plan

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/store"
)

// Plan is a checked topology: sub-topologies that share no node and no store, joined by
// topics alone.
type Plan struct {
	Subtopologies []*Subtopology
	Globals       []Global
}

// Subtopology is a connected part of the graph. It runs as one task for each partition
// of its source topics.
type Subtopology struct {
	ID      int
	Nodes   []Node
	Sources []Source // by input slot
	Sinks   []Sink   // by output slot
	Stores  []Store  // by store slot

	// Copartitioned lists sets of input slots whose topics must have as many partitions
	// as each other, because records of one key have to meet in one task.
	Copartitioned [][]int

	// Wire makes the nodes of one task and fills the context's Inputs.
	Wire func(*Context) error `json:"-"`
}

// Node is one step of the graph, for drawings and errors.
type Node struct {
	Name    string // "filter-3"
	At      string // the line of the program that made it: "main.go:42"
	Parents []int
	Stores  []int // slots, of stores that it writes or looks rows up in
	Looks   []int // those of Stores that it never writes
	Globals []int // numbers of global tables
	Source  int   // input slot, or -1
	Sink    int   // output slot, or -1
}

func (n Node) String() string {
	if n.At == "" {
		return n.Name
	}
	return n.Name + " at " + n.At
}

// Topic names a topic before the application's id is known.
type Topic struct {
	Name        string
	Repartition bool  // of the application: <id>-<name>-repartition
	Partitions  int32 // wanted of a repartition topic; 0: as many as what writes to it reads
}

// In is the topic's name in Kafka, for an application.
func (t Topic) In(app string) string {
	if t.Repartition {
		return app + "-" + t.Name + "-repartition"
	}
	return t.Name
}

// Source is a topic that a sub-topology reads.
type Source struct {
	Topic
	Types
	StartAt int64 // StartEarliest, StartLatest, StartNone, or how old in ms as a negative number
}

// Where a source begins without a committed offset.
const (
	StartEarliest = 0
	StartLatest   = 1
	StartNone     = 2
)

// Sink is a topic that a sub-topology writes.
type Sink struct {
	Topic
	Types
	Each bool // every record names its topic; Topic has no name
}

// Store is a store of each task of a sub-topology.
type Store struct {
	store.Spec
	Types
	NoChangelog bool
	NoCache     bool

	// Source is the input slot whose topic is the store's changelog, or -1. Convert
	// turns a record of it into a row; without ok it makes none. It is called by one
	// goroutine at a time.
	Source  int
	Convert func() func(kafka.Record) (row kafka.Record, ok bool) `json:"-"`

	// Node is the first that has the store: a store of a later one has what came of this one's.
	Node int `json:"-"`
}

// StoreSpec describes a store that a program names.
type StoreSpec struct {
	store.Spec
	Types
	NoChangelog bool
	NoCache     bool
	Describe    string // types and settings, which must agree wherever the store is named
	Windows     string // of a window store: what its windows are
	Err         error  // what is wrong with the description
}

// Changelog is the name of the store's own changelog topic.
func (s Store) Changelog(app string) string { return app + "-" + s.Name + "-changelog" }

// Origin says what the rows of a store on disk come from: a partition, which topic of its
// name that was, and of a store whose rows the program makes of the topic's records, or keeps
// nowhere else, which program.
func (s Store) Origin(p kafka.Partition, topicID, fingerprint string) string {
	if s.NoChangelog || s.Source >= 0 {
		return MadeOrigin(p, topicID, fingerprint)
	}
	return fmt.Sprintf("%s %s", p, topicID)
}

// MadeOrigin is the origin of rows that the program makes, such as those of global tables.
func MadeOrigin(p kafka.Partition, topicID, fingerprint string) string {
	return fmt.Sprintf("%s %s topology %s", p, topicID, fingerprint)
}

// TaskID names one task: a sub-topology and a partition.
type TaskID struct {
	Subtopology int
	Partition   int32
}

// String is the id as Kafka Streams prints it: "0_3".
func (id TaskID) String() string { return fmt.Sprintf("%d_%d", id.Subtopology, id.Partition) }

// Compare orders ids by sub-topology, then by partition.
func (id TaskID) Compare(o TaskID) int {
	return cmp.Or(cmp.Compare(id.Subtopology, o.Subtopology), cmp.Compare(id.Partition, o.Partition))
}

// MarshalText is how ids are written: as String does.
func (id TaskID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *TaskID) UnmarshalText(b []byte) error {
	sub, partition, ok := strings.Cut(string(b), "_")
	s, err := strconv.ParseUint(sub, 10, 31)
	p, err2 := strconv.ParseUint(partition, 10, 31)
	if !ok || err != nil || err2 != nil {
		return fmt.Errorf("%q is no task: one is a sub-topology and a partition, such as 0_3", b)
	}
	*id = TaskID{int(s), int32(p)}
	return nil
}
