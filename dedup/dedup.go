// Package dedup drops records that were seen before, as they come from clients that retry
// and from systems that send at least once. It is built on the public API alone, as an
// operator of your own would be.
package dedup

import (
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// Seen describes the store of the ids that were seen: its name, and for how long of
// event time an id is remembered.
type Seen[ID any] struct {
	Name   string
	Key    serde.Serde[ID]
	Within time.Duration // in whole milliseconds
}

// By drops a record if one with the same id came within Within of its time, before it or
// after it. A record that is dropped does not prolong the memory of its id. Of what is
// late by more than Within, behind the greatest time of the task, it may have forgotten
// whether the id was seen; such a record may pass twice. An id that Key does not encode, such
// as nil, makes the record a bad one.
//
// It needs the stream to be keyed so that one id always comes to one task. The ids are
// kept in a store with a changelog, written in one transaction with the results: with
// ExactlyOnce a record passes once, whatever crashes. The first of several records with
// one id passes, in the order of the topic.
//
// A check costs some microseconds, mostly without touching the disk; an id costs about 20
// bytes there and 1.5 in memory.
func By[K, V, ID any](s kstream.Stream[K, V], id func(K, V) ID, seen Seen[ID]) kstream.Stream[K, V] {
	ids := state.Store[window.Key[ID], bool]{
		Name:      seen.Name,
		Key:       window.Keys(seen.Key, window.Tumbling{Size: time.Millisecond}),
		Value:     serde.Bool,
		Retention: 2*seen.Within + time.Millisecond, // for a record that is late by Within
	}
	return kstream.ProcessValues(s, "dedup", func(c *topology.Context[K, V]) (topology.Processor[K, V], error) {
		store, err := topology.Open(c, ids)
		if err != nil {
			return nil, err
		}
		return func(r topology.Record[K, V]) error {
			id := id(r.Key, r.Value)
			for _, err := range state.Windows(store, id, r.Time.Add(-seen.Within), r.Time.Add(seen.Within)) {
				return err // seen, or the store failed
			}
			if err := store.Put(window.Key[ID]{Key: id, Start: r.Time}, true); err != nil {
				return err
			}
			return c.Emit(r)
		}, nil
	}, ids)
}
