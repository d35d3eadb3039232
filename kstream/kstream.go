// Package kstream works on streams: unbounded sequences of records.
//
// A stream is read from a topic ([From]), changed step by step, joined with tables,
// grouped and folded into tables, and written to topics ([To]). Records of one partition
// stay in their order through every step. What a step sends, the next one has processed
// before the next record is taken: there is no queue inside a task.
package kstream

import (
	"context"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// Stream is a node that is an unbounded sequence of records. Where null is mentioned
// it is a key or a value that is nil, or a key that is missing: see [topology.Topic].
type Stream[K, V any] topology.Node[K, V]

// From reads one topic, or several of the same types, as a stream. Where several have
// data, the record with the least time comes first.
func From[K, V any](b *topology.Builder, t topology.Topic[K, V], more ...topology.Topic[K, V]) Stream[K, V] {
	s := Stream[K, V](topology.Source(b, t))
	if len(more) == 0 {
		return s
	}
	rest := make([]Stream[K, V], len(more))
	for i, t := range more {
		rest[i] = Stream[K, V](topology.Source(b, t))
	}
	return Merge(s, rest...)
}

// To writes the stream to a topic. The record keeps its time and headers; the topic's
// PartitionOf, or the hash of the key, chooses the partition.
func To[K, V any](s Stream[K, V], t topology.Topic[K, V]) { topology.Sink(topology.Node[K, V](s), t) }

// ToEach writes each record to the topic that pick names. Apart from the name, like
// describes the topics. A topic that does not exist makes the record a bad one.
func ToEach[K, V any](s Stream[K, V], pick func(topology.Record[K, V]) string, like topology.Topic[K, V]) {
	topology.SinkEach(topology.Node[K, V](s), pick, like)
}

// add adds a step behind s.
func add[K, V, K2, V2 any](s Stream[K, V], kind string, wire func(w *graph.Wiring, next graph.Handler[K2, V2]) graph.Handler[K, V]) Stream[K2, V2] {
	return Stream[K2, V2]{Step: graph.Map(s.Step, kind, wire)}
}

// Merge is one stream of the records of several. Records of one stream keep their order;
// those of different streams come in the order of their times as far as it is known.
func Merge[K, V any](s Stream[K, V], more ...Stream[K, V]) Stream[K, V] {
	parents := []*graph.Step{s.Step}
	for _, m := range more {
		parents = append(parents, m.Step)
	}
	return Stream[K, V]{Step: s.Step.Builder().Add("merge", parents, func(w *graph.Wiring, s *graph.Step) any {
		return graph.Next[K, V](w, s)
	})}
}

// Split sends each record one of two ways. Split the rest again for more ways.
func Split[K, V any](s Stream[K, V], is func(K, V) bool) (yes, rest Stream[K, V]) {
	rest = Filter(s, func(k K, v V) bool { return !is(k, v) })
	return Filter(s, is), rest
}

// Repartition sends the stream through a topic of the application, so that records of
// one key meet in one task. The topic's name is the application's id, Name and
// "-repartition"; it has as many partitions as the topics that the stream comes from,
// unless through.Partitions says otherwise, and is purged behind the application. Records
// keep their times and headers; null values pass.
//
// Records with a null key meet no others: they are dropped and counted before they reach
// the topic. Where a left or an outer join of the stream follows, which sends them on without
// a partner, all of them pass, and stay in the partition of their task.
//
// What groups or joins a stream whose key was changed needs it first: Build says where.
func Repartition[K, V any](s Stream[K, V], through topology.Topic[K, V]) Stream[K, V] {
	return Stream[K, V]{Step: graph.Through(s.Step, through.Spec())}
}

// KeyBy is SelectKey and Repartition.
func KeyBy[K, V, K2 any](s Stream[K, V], f func(K, V) K2, through topology.Topic[K2, V]) Stream[K2, V] {
	return Repartition(SelectKey(s, f), through)
}

// ForEach ends the stream in f. What f does outside Kafka is done again when a record is
// processed again: after a crash, and after a commit that failed. Its context ends when
// the task does. An error makes the record a bad one.
func ForEach[K, V any](s Stream[K, V], f func(context.Context, topology.Record[K, V]) error) {
	type none = struct{}
	Process(s, "for-each", func(c *topology.Context[none, none]) (topology.Processor[K, V], error) {
		return func(r topology.Record[K, V]) error { return f(c.Context(), r) }, nil
	})
}

// Process hands the stream to a processor of your own: see [topology.Process].
func Process[K, V, K2, V2 any](s Stream[K, V], name string, start func(*topology.Context[K2, V2]) (topology.Processor[K, V], error), stores ...state.Any) Stream[K2, V2] {
	return Stream[K2, V2](topology.Process(topology.Node[K, V](s), name, start, stores...))
}

// ProcessValues is Process for a processor that keeps the key: see [topology.ProcessValues].
func ProcessValues[K, V, W any](s Stream[K, V], name string, start func(*topology.Context[K, W]) (topology.Processor[K, V], error), stores ...state.Any) Stream[K, W] {
	return Stream[K, W](topology.ProcessValues(topology.Node[K, V](s), name, start, stores...))
}

// keyed is a record's meta once a step has chosen its key.
type keyed[K any] struct {
	null func(K, *plan.Meta) bool
	m    plan.Meta
}

func newKeyed[K any]() *keyed[K] { return &keyed[K]{null: graph.NullKey[K]()} }

// as is m with the key k.
func (k *keyed[K]) as(key K, m *plan.Meta) *plan.Meta {
	k.m = plan.Meta{Time: m.Time, Headers: m.Headers}
	k.m.NoKey = k.null(key, &k.m)
	return &k.m
}
