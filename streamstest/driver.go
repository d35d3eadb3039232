// Package streamstest runs a topology without Kafka and with time moved by hand, as
// net/http/httptest serves without a network.
//
// A [Driver] takes a record through the whole topology, through repartition topics too,
// before [Send] returns; then [Read] has what was written, and [Rows] what the stores hold.
// The code that runs is the code that runs over Kafka. For a test over Kafka itself there
// is [Kafka].
package streamstest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// Driver runs every task of a topology in the test's goroutine. Topics have one partition,
// stores are in memory, and everything is committed after each record.
type Driver struct {
	t       testing.TB
	plan    *plan.Plan
	tasks   []*task.Task
	stores  map[string]*store.Store
	globals []*plan.GlobalRows
	topics  map[string]*topic
	order   []string // of topics, as they came up
	wall    int64
}

// topic is the log of a topic.
type topic struct {
	records []kafka.Record
	read    int // by Read
	taken   int // by the tasks
	readers []reader
	global  func(kafka.Record) // of a global table
}

type reader struct {
	task *task.Task
	slot int
}

// app is the id of the application that a driver runs.
const app = "test"

// New starts a driver. Its wall clock is at the beginning of 1970.
func New(t testing.TB, topo *topology.Topology) *Driver {
	t.Helper()
	d := &Driver{t: t, plan: (*plan.Plan)(topo), stores: map[string]*store.Store{}, topics: map[string]*topic{}}
	for _, g := range d.plan.Globals {
		d.startGlobal(g)
	}
	ctx, cancel := context.WithCancel(context.Background())
	for _, s := range d.plan.Subtopologies {
		d.start(ctx, s)
	}
	t.Cleanup(func() {
		cancel()
		for _, task := range d.tasks {
			for _, err := range task.Close() {
				t.Errorf("streamstest: cleanup: %v", err)
			}
		}
	})
	return d
}

func (d *Driver) startGlobal(g plan.Global) {
	d.t.Helper()
	g.InMemory = true
	open, err := store.Open("", g.Spec, "", store.NewResources(store.ResourceLimits{}))
	if err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
	rows := &plan.GlobalRows{Partitions: []*store.Store{open}}
	d.globals = append(d.globals, rows)
	d.stores[g.Name] = open
	in, convert := d.topic(g.Topic), g.Convert()
	in.global = func(r kafka.Record) {
		if row, ok := convert(r); ok {
			if err := rows.Apply(0, []kafka.Record{row}, r.Offset+1); err != nil {
				d.t.Fatalf("streamstest: %v", err)
			}
		}
	}
}

func (d *Driver) start(ctx context.Context, s *plan.Subtopology) {
	d.t.Helper()
	resources := store.NewResources(store.ResourceLimits{})
	var stores []*store.Store
	for _, st := range s.Stores {
		st.InMemory = true
		open, err := store.Open("", st.Spec, "", resources)
		if err != nil {
			d.t.Fatalf("streamstest: %v", err)
		}
		stores = append(stores, open)
		d.stores[st.Name] = open
	}
	var inputs []kafka.Partition
	for _, src := range s.Sources {
		inputs = append(inputs, kafka.Partition{Topic: src.In(app)})
	}
	run, err := task.New(task.Config{
		ID: plan.TaskID{Subtopology: s.ID}, Plan: s, Inputs: inputs, Stores: stores, Globals: d.globals,
		Partitions:   func(int) int32 { return 1 },
		PartitionsOf: func(string) (int32, error) { return 1, nil },
		Positions:    make([]kafka.Offset, len(inputs)),
		Context:      ctx, Wall: d.wall,
		Release: func(int, kafka.Batch) {},
		OnBad:   func(*task.Error) (bool, error) { return false, nil },
	})
	if err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
	d.tasks = append(d.tasks, run)
	for slot, p := range inputs {
		run.Add(slot, kafka.Batch{}) // nothing more is at the broker
		in := d.topic(p.Topic)
		in.readers = append(in.readers, reader{run, slot})
	}
}

func (d *Driver) topic(name string) *topic {
	if d.topics[name] == nil {
		d.topics[name] = &topic{}
		d.order = append(d.order, name)
	}
	return d.topics[name]
}

// Advance moves the wall clock and calls the schedules that are due.
func (d *Driver) Advance(by time.Duration) {
	d.t.Helper()
	d.wall += by.Milliseconds()
	for _, run := range d.tasks {
		d.run(run)
	}
	d.settle()
}

// Send writes a record to a source topic and processes all that follows from it. A zero
// Time is the wall clock's. topology.Nullable(t) sends deletes.
func Send[K, V any](d *Driver, t topology.Topic[K, V], r topology.Record[K, V]) {
	d.t.Helper()
	in := d.topics[t.Name]
	if in == nil || len(in.readers) == 0 && in.global == nil {
		d.t.Fatalf("streamstest: Send to topic %q, which the topology does not read", t.Name)
	}
	rec := kafka.Record{Time: d.wall, Headers: r.Headers}
	if !r.Time.IsZero() {
		rec.Time = r.Time.UnixMilli()
	}
	if !r.NoKey {
		rec.Key = encode(d, t.Name, t.Key, r.Key)
	}
	rec.Value = encode(d, t.Name, t.Value, r.Value)
	d.append(in, rec)
	d.settle()
}

func encode[T any](d *Driver, topic string, s serde.Serde[T], v T) []byte {
	d.t.Helper()
	if graph.HasNil[T]() && graph.NullValue[T]()(v) {
		return nil
	}
	b, err := s.Append([]byte{}, v)
	if err != nil {
		d.t.Fatalf("streamstest: encode %v for topic %q: %v", v, topic, err)
	}
	return b
}

func (d *Driver) append(t *topic, r kafka.Record) {
	r.Offset = int64(len(t.records))
	t.records = append(t.records, r)
	if t.global != nil {
		t.global(r)
	}
}

// settle processes until no topic has a record that its readers have not had. Of several
// topics the one goes first whose next record has the least time.
func (d *Driver) settle() {
	d.t.Helper()
	for {
		var next *topic
		for _, name := range d.order {
			t := d.topics[name]
			if t.taken == len(t.records) || len(t.readers) == 0 {
				continue
			}
			if next == nil || t.records[t.taken].Time < next.records[next.taken].Time {
				next = t
			}
		}
		if next == nil {
			return
		}
		r := next.records[next.taken]
		next.taken++
		for _, reader := range next.readers {
			reader.task.Add(reader.slot, kafka.Batch{Records: []kafka.Record{r}, Next: r.Offset + 1, End: r.Offset + 1})
			d.run(reader.task)
		}
	}
}

// run lets a task process what it has, takes what it sends, and commits.
func (d *Driver) run(run *task.Task) {
	d.t.Helper()
	const many = 1 << 30
	if _, err := run.Run(d.wall, many); err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
	sinks := d.plan.Subtopologies[run.ID().Subtopology].Sinks
	for _, o := range run.Output() {
		r := kafka.Record{Key: clone(o.Key), Value: clone(o.Value), Headers: o.Headers, Time: o.Time}
		name := sinks[o.Sink].In(app)
		if o.Topic != "" {
			name = o.Topic
		}
		d.append(d.topic(name), r)
	}
	run.Taken()
	if err := run.Changelog(func(int, []byte, []byte, int64) error { return nil }); err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
	if err := run.Committed(func(int) int64 { return -1 }); err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// Read returns what was written to a topic since the last Read. Of a topic with deletes
// read topology.Nullable(t).
func Read[K, V any](d *Driver, t topology.Topic[K, V]) (out []topology.Record[K, V]) {
	d.t.Helper()
	log := d.topics[t.Name]
	if log == nil {
		return nil // nothing was written so far, or the name is wrong: the test will say
	}
	for ; log.read < len(log.records); log.read++ {
		r := log.records[log.read]
		rec := topology.Record[K, V]{Time: time.UnixMilli(r.Time).UTC(), Headers: r.Headers, NoKey: r.Key == nil}
		if r.Key != nil {
			rec.Key = decode(d, t.Name, "key", t.Key, r.Key)
		}
		switch {
		case r.Value != nil:
			rec.Value = decode(d, t.Name, "value", t.Value, r.Value)
		case !graph.HasNil[V]():
			d.t.Fatalf("streamstest: topic %q has a null value at offset %d: read topology.Nullable of it", t.Name, r.Offset)
		}
		out = append(out, rec)
	}
	return out
}

func decode[T any](d *Driver, topic, part string, s serde.Serde[T], b []byte) T {
	d.t.Helper()
	v, err := s.Decode(b)
	if err != nil {
		d.t.Fatalf("streamstest: decode a %s of topic %q: %v", part, topic, err)
	}
	return v
}

// Rows returns a store, to be read.
func Rows[K, V any](d *Driver, s state.Store[K, V]) state.Reader[K, V] {
	d.t.Helper()
	open := d.stores[s.Name]
	if open == nil {
		d.t.Fatalf("streamstest: the topology has no store %q: a table read from a topic is kept only if a join or a processor needs it", s.Name)
	}
	return typed.New(s, open, func() int64 { return d.wall })
}

// Kafka starts a broker in this process, or uses the real one that the environment
// variable KAFKA_BOOTSTRAP names, and returns its addresses.
func Kafka(t testing.TB) (brokers []string) {
	t.Helper()
	if real := os.Getenv("KAFKA_BOOTSTRAP"); real != "" {
		return strings.Split(real, ",")
	}
	b, err := embedded.Start()
	if err != nil {
		t.Fatal(fmt.Errorf("streamstest: %w", err))
	}
	t.Cleanup(b.Close)
	return b.Addrs()
}
