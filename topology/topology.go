// Package topology is the graph that a stream program is, and the low-level way to
// write one: sources, processors and sinks. Packages kstream and ktable build on it: a
// kstream.Stream is a [Node], by conversion.
//
// A program describes its topics as [Topic]s, adds steps to a [Builder], and has Build
// check the whole. Mistakes are all found there, each with the line that made it.
package topology

import (
	"time"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
)

// Topic describes a Kafka topic whose keys are K and whose values are V. It is declared
// once and named by sources, sinks, tests and queries.
//
// Null is nil: where K or V is a pointer or an interface, Kafka's null is read as nil
// and nil is written as null. Other types have no null. A null value then deletes a row
// of a table, and is dropped and counted on a stream; a null key is K's zero value, with
// NoKey set in its [Record].
type Topic[K, V any] struct {
	Name  string
	Key   serde.Serde[K]
	Value serde.Serde[V]

	// TimeOf is the event time of a record, which has its own by default. The greatest
	// so far of its partition is given too, zero at first. Without ok, and before 1970,
	// the record is dropped and counted. A null that V does not have keeps its own time.
	TimeOf func(r Record[K, V], partition time.Time) (t time.Time, ok bool)

	StartAt     Offset                                 // where a source begins without a committed offset; Earliest by default
	Partitions  int32                                  // of a topic that the application creates; as its inputs by default
	PartitionOf func(k K, v V, partitions int32) int32 // Kafka's murmur2 of the key by default
}

// Store describes the store of a table that is read from t. It has the topic's name.
func (t Topic[K, V]) Store() state.Store[K, V] {
	return state.Store[K, V]{Name: t.Name, Key: t.Key, Value: t.Value}
}

// Spec is t as the packages of this module read it.
func (t Topic[K, V]) Spec() graph.Topic[K, V] {
	s := graph.Topic[K, V]{Name: t.Name, Key: t.Key, Value: t.Value, StartAt: int64(t.StartAt), Partitions: t.Partitions, PartitionOf: t.PartitionOf}
	if t.TimeOf != nil {
		s.TimeOf = func(k K, v V, m *plan.Meta, partition int64) (int64, bool) {
			var last time.Time
			if partition >= 0 {
				last = time.UnixMilli(partition).UTC()
			}
			at, ok := t.TimeOf(recordOf(k, v, m), last)
			return at.UnixMilli(), ok
		}
	}
	return s
}

// Nullable is t with its nulls shown: a null value is nil, and what is not null is as in
// t. A stream from it sees deletes, and a test can send and read them.
func Nullable[K, V any](t Topic[K, V]) Topic[K, *V] {
	n := Topic[K, *V]{Name: t.Name, Key: t.Key, Value: serde.Nullable(t.Value), StartAt: t.StartAt, Partitions: t.Partitions}
	if f := t.TimeOf; f != nil {
		n.TimeOf = func(r Record[K, *V], partition time.Time) (time.Time, bool) {
			if r.Value == nil {
				return r.Time, true
			}
			return f(Record[K, V]{Key: r.Key, Value: *r.Value, Time: r.Time, Headers: r.Headers, NoKey: r.NoKey}, partition)
		}
	}
	if f := t.PartitionOf; f != nil {
		n.PartitionOf = func(k K, v *V, partitions int32) int32 {
			var zero V
			if v == nil {
				v = &zero
			}
			return f(k, *v, partitions)
		}
	}
	return n
}

// Offset is a place to start reading.
type Offset int64

const (
	// Earliest is the first record that the topic still has.
	Earliest Offset = plan.StartEarliest
	// Latest is behind the last record.
	Latest Offset = plan.StartLatest
	// None fails without a committed offset.
	None Offset = plan.StartNone
)

// Ago starts at the records that are d old, in milliseconds at the finest.
func Ago(d time.Duration) Offset { return Offset(min(-d.Milliseconds(), -1)) }

// Record is one record inside a task.
type Record[K, V any] struct {
	Key     K
	Value   V
	Time    time.Time // event time, in milliseconds
	Headers []Header
	NoKey   bool // Kafka's key is null, and Key is K's zero value; a nil Key sets it
}

// Header is one header of a record: a Key, a string, and a Value, bytes.
type Header = kafka.Header

// recordOf is a record as the packages of this module pass it from node to node.
func recordOf[K, V any](k K, v V, m *plan.Meta) Record[K, V] {
	return Record[K, V]{Key: k, Value: v, Time: time.UnixMilli(m.Time).UTC(), Headers: m.Headers, NoKey: m.NoKey}
}

// Builder collects the steps of a program. Mistakes are kept with the line that made
// them, and returned by Build.
type Builder graph.Builder

// NewBuilder returns an empty builder.
func NewBuilder() *Builder { return (*Builder)(graph.New()) }

// Build checks the graph and returns it, or every mistake found (errors.Join).
func (b *Builder) Build() (*Topology, error) {
	p, err := (*graph.Builder)(b).Compile()
	return (*Topology)(p), err
}

// Topology is a checked, immutable graph.
type Topology plan.Plan

// Node is a step that produces records of K and V.
type Node[K, V any] graph.Node[K, V]

// Source reads a topic.
func Source[K, V any](b *Builder, t Topic[K, V]) Node[K, V] {
	return Node[K, V]{Step: graph.Source((*graph.Builder)(b), t.Spec())}
}

// SinkEach writes each record to the topic that pick names. Apart from the name, like
// describes the topics. A topic that does not exist makes the record a bad one.
func SinkEach[K, V any](n Node[K, V], pick func(Record[K, V]) string, like Topic[K, V]) {
	graph.SinkEach(n.Step, func(k K, v V, m *plan.Meta) string { return pick(recordOf(k, v, m)) }, like.Spec())
}

// Sink writes to a topic.
func Sink[K, V any](n Node[K, V], t Topic[K, V]) { graph.Sink(n.Step, t.Spec()) }
