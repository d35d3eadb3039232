package graph

import (
	"fmt"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/window"
)

// writer encodes records for a topic, for one task.
type writer[K, V any] struct {
	c          *plan.Context
	t          Topic[K, V]
	sink, node int
	partitions int32
	nilKey     func(K) bool
	nilVal     func(V) bool
	inner      window.Splitter[K] // of windowed keys, which the inner key alone partitions
	scratch    []byte
	topic      string // of a sink whose records name their topics: that of the record in hand
}

func newWriter[K, V any](w *Wiring, s *Step, t Topic[K, V]) *writer[K, V] {
	sink, each := w.sinks[s], s.each
	inner, _ := t.Key.(window.Splitter[K])
	partitions := int32(0)
	if !each {
		partitions = w.Partitions(sink)
	}
	return &writer[K, V]{
		c: w.Context, t: t, sink: sink, node: w.nodes[s], partitions: partitions,
		nilKey: typed.Nil[K](), nilVal: typed.Nil[V](), inner: inner,
	}
}

// send writes a record; without a value it is null.
func (w *writer[K, V]) send(k K, v V, has bool, m *plan.Meta) (err error) {
	w.c.Node = w.node
	out := plan.Out{Sink: w.sink, Topic: w.topic, Headers: m.Headers, Time: m.Time}
	if !m.NoKey && (w.nilKey == nil || !w.nilKey(k)) {
		if out.Key, err = plan.Encode(&w.c.Out, w.t.Key, k); err != nil {
			return fmt.Errorf("encode the key for topic %q: %w", w.t.Name, err)
		}
	}
	if has && (w.nilVal == nil || !w.nilVal(v)) {
		if out.Value, err = plan.Encode(&w.c.Out, w.t.Value, v); err != nil {
			return fmt.Errorf("encode the value for topic %q: %w", w.t.Name, err)
		}
	}
	if out.Partition, err = w.partition(k, v, out.Key); err != nil {
		return err
	}
	if out.Unusual() && w.c.Fits != nil {
		if err = w.c.Fits(out); err != nil {
			return err
		}
	}
	w.c.Out.Send(out)
	return nil
}

// partition chooses the partition: the topic's own function, or Kafka's murmur2 of the
// key, of a windowed key's inner one. A record without a key stays in the partition of
// its task, so that order is kept.
func (w *writer[K, V]) partition(k K, v V, key []byte) (int32, error) {
	switch {
	case w.t.PartitionOf != nil:
		p := w.t.PartitionOf(k, v, w.partitions)
		if p < 0 || p >= w.partitions {
			return 0, fmt.Errorf("topic %q: PartitionOf chose partition %d of %d", w.t.Name, p, w.partitions)
		}
		return p, nil
	case key == nil:
		return w.c.Task.Partition % w.partitions, nil
	case w.inner != nil:
		var err error
		if w.scratch, _, _, err = w.inner.Split(w.scratch[:0], k); err != nil {
			return 0, fmt.Errorf("partition a windowed key for topic %q: %w", w.t.Name, err)
		}
		return Partition(w.scratch, w.partitions), nil
	}
	return Partition(key, w.partitions), nil
}

// Sink adds a step that writes the stream to a topic.
func Sink[K, V any](parent *Step, t Topic[K, V]) *Step {
	t.check(parent.b)
	return addSink(parent, "sink", t, &plan.Topic{Name: t.Name})
}

// SinkEach adds a step that writes each record to the topic that pick names.
func SinkEach[K, V any](parent *Step, pick func(K, V, *plan.Meta) string, like Topic[K, V]) *Step {
	like.Name = "-"
	like.check(parent.b)
	s := parent.b.Add("sink-each", []*Step{parent}, func(w *Wiring, s *Step) any {
		out := newWriter(w, s, like)
		return Handler[K, V](func(k K, v V, m *plan.Meta) (err error) {
			w.Node = out.node
			topic := pick(k, v, m)
			if topic != out.topic {
				if !validName(topic) {
					return fmt.Errorf("ToEach chose %q, which is no name of a topic", topic)
				}
				out.t.Name, out.topic = topic, topic
			}
			if out.partitions, err = w.PartitionsOf(topic); err != nil {
				return err
			}
			return out.send(k, v, true, m)
		})
	})
	s.topic, s.each, s.data = &plan.Topic{}, true, like.types()
	return s
}

func addSink[K, V any](parent *Step, kind string, t Topic[K, V], topic *plan.Topic) *Step {
	s := parent.b.Add(kind, []*Step{parent}, func(w *Wiring, s *Step) any {
		out := newWriter(w, s, t)
		return Handler[K, V](func(k K, v V, m *plan.Meta) error { return out.send(k, v, true, m) })
	})
	s.topic, s.data = topic, t.types()
	return s
}

// SinkChanges adds a step that writes every update of a table to a topic.
func SinkChanges[K, V any](parent *Step, t Topic[K, V]) *Step {
	t.check(parent.b)
	s := parent.b.Add("sink", []*Step{parent}, func(w *Wiring, s *Step) any {
		out := newWriter(w, s, t)
		return Handler[K, Change[V]](func(k K, c Change[V], m *plan.Meta) error { return out.send(k, c.New, c.HasNew, m) })
	})
	s.topic, s.data = &plan.Topic{Name: t.Name}, t.types()
	return s
}

// Partition is the partition that Kafka's default partitioner chooses for a key: murmur2
// of its bytes.
func Partition(key []byte, partitions int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % partitions
}

// murmur2 is Kafka's hash, of org.apache.kafka.common.utils.Utils.
func murmur2(data []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> 24
		k *= m
		h *= m
		h ^= k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}
