// Package ktable works on tables: the latest value of every key. Tables in, tables
// out; what turns a stream into a table, or a table into a stream, is in kstream.
//
// A table is read from a compacted topic ([From]), or is what kstream's aggregations
// give. Its updates pass from step to step in the order in which they happened for each
// key; a delete passes as one, whatever V is.
package ktable

import (
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// Table is a step whose latest value of every key can be read. A function that gives nil
// for a row deletes it.
type Table[K, V any] graph.Table[K, V]

// From reads a compacted topic as a table: the last value of a key is its row, a null
// value deletes it, and a record with a null key is dropped and counted. An older record
// replaces a newer one that came before it: the order of the topic counts, not the time.
//
// What needs the rows, a join or a processor, keeps them in the topic's store, t.Store();
// the topic itself is the changelog.
func From[K, V any](b *topology.Builder, t topology.Topic[K, V]) Table[K, V] {
	return Table[K, V]{Step: graph.TableSource((*graph.Builder)(b), t.Spec(), t.Store())}
}

// Global is a table that every instance holds whole: a stream is joined with it by any
// key, and need not be repartitioned.
type Global[K, V any] graph.Global[K, V]

// GlobalFrom reads a topic as a global table and keeps it in the topic's store, t.Store().
// The topic itself is the changelog. It is restored before the application processes, and
// then follows its topic by itself: a join sees the rows that are there at that moment,
// whatever their times.
func GlobalFrom[K, V any](b *topology.Builder, t topology.Topic[K, V]) Global[K, V] {
	return Global[K, V](graph.GlobalSource((*graph.Builder)(b), t.Spec(), t.Store()))
}

// Materialize keeps the rows of t in a store: to be queried, viewed by processors, read
// faster, or with History. A table that is kept already cannot be kept twice.
//
// A table with History takes a row that comes late among its old versions, and drops and
// counts one that is older than that. It has a changelog of its own even when it comes
// straight from a topic, since a compacted topic forgets old versions.
func Materialize[K, V any](t Table[K, V], in state.Store[K, V]) Table[K, V] {
	if name, ok := t.Step.Kept(); ok {
		t.Step.Builder().Fail("Materialize in store %q: the table is kept in store %q already; use that one", in.Name, name)
		return t
	}
	if graph.Materialize[K, V](t.Step, in) {
		return t
	}
	return Table[K, V]{Step: graph.Stored(t.Step, "materialize", in)}
}

// To writes every update to a topic; a deleted row becomes a null value.
func To[K, V any](t Table[K, V], topic topology.Topic[K, V]) {
	graph.SinkChanges(t.Step, topic.Spec())
}

// Filter keeps the rows for which keep is true. A row that is not kept passes as a
// delete, also if it was not there before; only if t is kept in a store or a join, or if
// what follows needs to know, is that known, and nothing passes then. Keep is called again
// when a row is looked up, unless the result is kept.
func Filter[K, V any](t Table[K, V], keep func(K, V) bool) Table[K, V] {
	s := graph.MapTable(t.Step, "filter", true, func(k K, v V) (V, bool) { return v, keep(k, v) })
	if t.Step.KnowsOld() {
		s.NeedOld()
	}
	return Table[K, V]{Step: s}
}

// MapValues changes every value. It is not called for deletes, and is called again when a
// row is looked up, unless the table is kept.
func MapValues[K, V, W any](t Table[K, V], f func(V) W) Table[K, W] {
	return Table[K, W]{Step: graph.MapTable(t.Step, "map-values", false, func(_ K, v V) (W, bool) { return f(v), true })}
}

// MapValuesWithKey is MapValues that also sees the key.
func MapValuesWithKey[K, V, W any](t Table[K, V], f func(K, V) W) Table[K, W] {
	return Table[K, W]{Step: graph.MapTable(t.Step, "map-values", false, func(k K, v V) (W, bool) { return f(k, v), true })}
}
