package graph

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/typed"
)

// reader decodes the records of a topic for one task. A source that needs the decoded
// record for its time keeps it for the call of Process that follows.
type reader[K, V any] struct {
	t      Topic[K, V]
	nilKey bool // K has a nil, which is null
	nilVal func(V) bool
	key    K
	value  V
	has    bool // there is a value; else it is null
	ready  bool // decoded already, for its time
	meta   plan.Meta
}

func newReader[K, V any](t Topic[K, V]) *reader[K, V] {
	return &reader[K, V]{t: t, nilKey: typed.Nil[K]() != nil, nilVal: typed.Nil[V]()}
}

// read decodes a record.
func (d *reader[K, V]) read(r *kafka.Record) (err error) {
	var k K
	var v V
	if r.Key != nil {
		if k, err = d.t.Key.Decode(r.Key); err != nil {
			return fmt.Errorf("decode the key: %w", err)
		}
	}
	if r.Value != nil {
		if v, err = d.t.Value.Decode(r.Value); err != nil {
			return fmt.Errorf("decode the value: %w", err)
		}
	}
	d.key, d.value, d.has = k, v, r.Value != nil && (d.nilVal == nil || !d.nilVal(v))
	d.meta = plan.Meta{Time: r.Time, Headers: r.Headers, NoKey: r.Key == nil}
	return nil
}

// time is the event time by the topic's own function.
func (d *reader[K, V]) time(r *kafka.Record, partition int64) (int64, bool, error) {
	d.ready = false
	if err := d.read(r); err != nil {
		return 0, false, err
	}
	d.ready = true
	if !d.has && d.nilVal == nil {
		return r.Time, true, nil
	}
	ms, ok := d.t.TimeOf(d.key, d.value, &d.meta, partition)
	return ms, ok, nil
}

// input is the wired source: it decodes a record, unless that is done, and hands it on.
func (d *reader[K, V]) input(w *Wiring, s *Step, next func(*reader[K, V]) error) plan.Input {
	c, node := w.Context, w.nodes[s]
	in := plan.Input{Process: func(r *kafka.Record, ms int64) error {
		c.Node = node
		if !d.ready {
			if err := d.read(r); err != nil {
				return err
			}
		}
		d.ready = false
		d.meta.Time = ms
		return next(d)
	}}
	if d.t.TimeOf != nil {
		in.Time = func(r *kafka.Record, partition int64) (int64, bool, error) {
			c.Node = node
			return d.time(r, partition)
		}
	}
	return in
}

// Source adds a source that reads a topic as a stream. Null values that V does not have
// are dropped and counted. A topic that is read twice has one source.
func Source[K, V any](b *Builder, t Topic[K, V]) *Step {
	t.check(b)
	s := b.source("source", t.Name, typesOf[K, V](), t.StartAt, &plan.Topic{Name: t.Name}, streamInput(t))
	s.data = t.types()
	return s
}

func streamInput[K, V any](t Topic[K, V]) func(*Wiring, *Step) any {
	return func(w *Wiring, s *Step) any {
		next := Next[K, V](w, s)
		return newReader(t).input(w, s, func(d *reader[K, V]) error {
			if !d.has && d.nilVal == nil {
				w.Drop(plan.NullValue)
				return nil
			}
			return next(d.key, d.value, &d.meta)
		})
	}
}

// typesOf says what a topic's keys and values are: "string and int64".
func typesOf[K, V any]() string {
	return fmt.Sprintf("%v and %v", reflect.TypeFor[K](), reflect.TypeFor[V]())
}

// source adds a source step, or finds the one that reads the topic in the same way.
func (b *Builder) source(kind, name, types string, startAt int64, topic *plan.Topic, wire func(*Wiring, *Step) any) *Step {
	if s := b.sources[name]; s != nil {
		if s.kind != kind || s.types != types {
			b.Fail("topic %q is read here as a %s of %s, at %s as a %s of %s: read it once, and share the stream", name, kind, types, s.at, s.kind, s.types)
		}
		return s
	}
	for _, g := range b.globals {
		if g.Topic == name {
			b.Fail("topic %q is read as a %s here, and as a global table elsewhere: read it once", name, kind)
		}
	}
	s := b.Add(kind, nil, wire)
	s.topic, s.isSource, s.startAt, s.types = topic, true, startAt, types
	b.sources[name] = s
	return s
}

// Through sends a stream through a topic of the application and gives the source behind
// it. Records keep their times and headers. Records with a null key, which belong to no
// task, are dropped and counted, unless a step behind the topic has a use for them.
func Through[K, V any](parent *Step, t Topic[K, V]) *Step {
	var behind *Step
	behind = ThroughAll(dropNullKeys[K, V](parent, func() bool { return behind.keptNull() }), t)
	return behind
}

// ThroughAll is Through with null keys.
func ThroughAll[K, V any](parent *Step, t Topic[K, V]) *Step {
	b := parent.b
	t.check(b)
	if at := b.through[t.Name]; at != nil {
		b.Fail("repartition topic %q is used twice, here and at %s: share the stream, or give this one another name", t.Name, at.at)
		return at
	}
	topic := &plan.Topic{Name: t.Name, Repartition: true, Partitions: t.Partitions}
	sink := addSink(parent, "repartition", t, topic)
	behind := b.Add("repartition-source", nil, streamInput(t))
	behind.topic, behind.isSource, behind.data = topic, true, t.types()
	sink.feeds = behind
	b.through[t.Name] = behind
	return behind
}

// dropNullKeys adds the step in front of a repartition topic. It is there also when it
// keeps all, as in Kafka Streams, so that what follows does not change the steps before.
func dropNullKeys[K, V any](parent *Step, keep func() bool) *Step {
	return Map(parent, "drop-null-key", func(w *Wiring, next Handler[K, V]) Handler[K, V] {
		if keep() {
			return next
		}
		null := NullKey[K]()
		return func(k K, v V, m *plan.Meta) error {
			if null(k, m) {
				w.Drop(plan.NullKey)
				return nil
			}
			return next(k, v, m)
		}
	})
}

// KeepNull says that the step has a use for records with a null key.
func (s *Step) KeepNull() *Step { s.keepsNull = true; return s }

// keptNull says whether s or a step behind it has, before the next repartition topic. No
// table has rows with a null key.
func (s *Step) keptNull() bool {
	return s.table == nil && (s.keepsNull || slices.ContainsFunc(s.children, (*Step).keptNull))
}

// NullKey says how to tell that a record's key is null.
func NullKey[K any]() func(k K, m *plan.Meta) bool {
	if isNil := typed.Nil[K](); isNil != nil {
		return func(k K, m *plan.Meta) bool { return m.NoKey || isNil(k) }
	}
	return func(_ K, m *plan.Meta) bool { return m.NoKey }
}

// HasNil says whether a T can be nil, and so null.
func HasNil[T any]() bool { return typed.Nil[T]() != nil }

// NullValue says how to tell that a value is null.
func NullValue[V any]() func(V) bool {
	if isNil := typed.Nil[V](); isNil != nil {
		return isNil
	}
	return func(V) bool { return false }
}
