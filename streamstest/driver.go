// Package streamstest runs a topology without Kafka and with time moved by hand, as
// net/http/httptest serves without a network.
//
// A [Driver] takes a record through the whole topology, through repartition topics too,
// before [Send] returns; then [Read] has what was written, and [Rows] what the stores hold.
// The code that runs is the code that runs over Kafka. For a test over Kafka itself there
// is [Kafka].
package streamstest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams"
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

// Options say how a driver runs. The zero Options are what New uses.
type Options struct {
	// Partitions of every topic, and so tasks of every sub-topology; 1 by default.
	Partitions int
	// Start is where the wall clock begins; the beginning of 1970 by default.
	Start time.Time
	// CommitEvery is after how many records a task commits; 1 by default. [Driver.Commit]
	// commits at once.
	CommitEvery int
	// CacheBytes of the record cache: updates of tables wait in it for the next commit. 0 by
	// default: they are sent at once.
	CacheBytes int
	// Batch is how many records a task is handed at once, at most, as it gets many at once
	// from Kafka; 1 by default. [Driver.Commit], [Driver.Restart] and [Driver.Advance]
	// process what waits for a full batch.
	Batch int

	// OnBadRecord decides about a record that could not be decoded or processed, as
	// [streams.Config]'s does. By default, and where it says Fail, the test fails. A record
	// to be tried again waits for [Driver.Advance].
	OnBadRecord func(streams.BadRecord) streams.Decision
	// DeadLetterTopic is where the decision DeadLetter sends records. None by default.
	DeadLetterTopic string
}

// T is what a driver needs of a test, which fails where the program does. A *testing.T is
// one. An example, which has none, passes [InExample].
type T interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// InExample is the T of an example: a failure panics.
var InExample T = inExample{}

type inExample struct{}

func (inExample) Helper()                           {}
func (inExample) Cleanup(func())                    {} // the process ends with its examples
func (inExample) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (inExample) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Driver runs every task of a topology in the test's goroutine. Stores are in memory.
type Driver struct {
	t       T
	o       Options
	plan    *plan.Plan
	ctx     context.Context
	tasks   []*running
	stores  map[string][]*store.Store // by name and partition
	globals []*plan.GlobalRows
	topics  map[string]*topic
	order   []string // of topics, as they came up
	waiting int      // records that were sent and wait for a batch of them
	wall    int64
}

// running is a task.
type running struct {
	*task.Task
	sub       *plan.Subtopology
	partition int32
	stores    []*store.Store
	inputs    []kafka.Partition
	positions map[kafka.Partition]kafka.Offset // committed
	records   int                              // since the last commit
	sent      []record                         // since the last commit
}

// topic is the log of a topic.
type topic struct {
	records []record
	read    int // by Read
	parts   []part
	global  func(record) // of a global table
}

// part is what the tasks have had of one partition.
type part struct {
	records []int // in the topic's log
	taken   int
	readers []reader
}

// record is a record of a topic.
type record struct {
	kafka.Record
	topic     string
	partition int32
}

type reader struct {
	task *running
	slot int
}

// app is the id of the application that a driver runs.
const app = "test"

// New starts a driver with the zero Options: topics have one partition, everything is
// committed after each record, and the wall clock is at the beginning of 1970.
func New(t T, topo *topology.Topology) *Driver {
	t.Helper()
	return Options{}.New(t, topo)
}

// New starts a driver.
func (o Options) New(t T, topo *topology.Topology) *Driver {
	t.Helper()
	o.Partitions, o.CommitEvery, o.Batch = max(o.Partitions, 1), max(o.CommitEvery, 1), max(o.Batch, 1)
	d := &Driver{t: t, o: o, plan: (*plan.Plan)(topo), stores: map[string][]*store.Store{}, topics: map[string]*topic{}}
	if !o.Start.IsZero() {
		d.wall = o.Start.UnixMilli()
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.ctx = ctx
	for _, g := range d.plan.Globals {
		d.openGlobal(g)
	}
	for _, s := range d.plan.Subtopologies {
		for p := range int32(o.Partitions) {
			d.open(s, p)
		}
	}
	t.Cleanup(func() {
		cancel()
		d.close()
	})
	return d
}

func (d *Driver) close() {
	for _, run := range d.tasks {
		for _, err := range run.Close() {
			d.t.Errorf("streamstest: cleanup: %v", err)
		}
	}
	for _, stores := range d.stores {
		for _, s := range stores {
			if err := s.Destroy(); err != nil {
				d.t.Errorf("streamstest: %v", err)
			}
		}
	}
}

func (d *Driver) openStore(s store.Spec) *store.Store {
	d.t.Helper()
	const small = 1 << 20 // a test has few rows, and a process many tests
	s.InMemory = true
	open, err := store.Open("", s, "", store.NewResources(store.ResourceLimits{WriteBuffers: small, BlockCache: small, RowCache: small}))
	if err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
	d.stores[s.Name] = append(d.stores[s.Name], open)
	return open
}

func (d *Driver) openGlobal(g plan.Global) {
	d.t.Helper()
	rows := &plan.GlobalRows{Partitions: []*store.Store{d.openStore(g.Spec)}}
	d.globals = append(d.globals, rows)
	in, convert := d.topic(g.Topic), g.Convert()
	in.global = func(r record) {
		if row, ok := convert(r.Record); ok {
			if err := rows.Apply(0, []kafka.Record{row}, r.Offset+1); err != nil {
				d.t.Fatalf("streamstest: %v", err)
			}
		}
	}
}

// open makes a task and starts it.
func (d *Driver) open(s *plan.Subtopology, partition int32) {
	d.t.Helper()
	run := &running{sub: s, partition: partition, positions: map[kafka.Partition]kafka.Offset{}}
	for _, st := range s.Stores {
		run.stores = append(run.stores, d.openStore(st.Spec))
	}
	for slot, src := range s.Sources {
		p := kafka.Partition{Topic: src.In(app), Index: partition}
		run.inputs = append(run.inputs, p)
		in := &d.topic(p.Topic).parts[partition]
		in.readers = append(in.readers, reader{run, slot})
	}
	d.tasks = append(d.tasks, run)
	d.start(run)
}

// start wires a task, at what it has committed.
func (d *Driver) start(run *running) {
	d.t.Helper()
	positions := make([]kafka.Offset, len(run.inputs))
	for i, p := range run.inputs {
		positions[i] = run.positions[p]
	}
	var err error
	run.Task, err = task.New(task.Config{
		ID: plan.TaskID{Subtopology: run.sub.ID, Partition: run.partition}, Plan: run.sub,
		Inputs: run.inputs, Stores: run.stores, Globals: d.globals, Positions: positions,
		Partitions:   func(int) int32 { return int32(d.o.Partitions) },
		PartitionsOf: func(string) (int32, error) { return int32(d.o.Partitions), nil },
		Context:      d.ctx, Wall: d.wall, CacheBytes: d.o.CacheBytes,
		Release: func(int, kafka.Batch) {},
		OnBad:   d.onBad, DeadLetters: d.o.DeadLetterTopic,
	})
	if err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
	for slot := range run.inputs {
		run.Add(slot, kafka.Batch{}) // nothing more is at the broker
	}
}

func (d *Driver) onBad(e *task.Error) task.Verdict {
	if d.o.OnBadRecord == nil {
		return task.Fail
	}
	r := topology.Record[[]byte, []byte]{
		Key: e.Record.Key, Value: e.Record.Value, Time: time.UnixMilli(e.Record.Time).UTC(), Headers: e.Record.Headers, NoKey: e.Record.Key == nil,
	}
	return task.Verdict(d.o.OnBadRecord(streams.BadRecord{
		Task: e.Task.String(), Topic: e.Partition.Topic, Partition: e.Partition.Index, Offset: e.Offset, Record: r,
		Node: e.Node, Attempt: e.Attempt, Err: e.Err,
	}))
}

func (d *Driver) topic(name string) *topic {
	if d.topics[name] == nil {
		d.topics[name] = &topic{parts: make([]part, d.o.Partitions)}
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

// Commit makes every task commit, and processes what follows from that.
func (d *Driver) Commit() {
	d.t.Helper()
	d.settle()
	for _, run := range d.tasks {
		d.commit(run)
		d.settle()
	}
}

// Restart ends every task and starts it again, as after a crash: what was not committed is
// undone and processed again, and processors begin anew.
func (d *Driver) Restart() {
	d.t.Helper()
	for _, run := range d.tasks {
		for _, err := range run.Close() {
			d.t.Errorf("streamstest: cleanup: %v", err)
		}
		run.sent, run.records = nil, 0
		d.start(run)
		for _, in := range run.inputs {
			p := &d.topics[in.Topic].parts[run.partition]
			p.taken = int(run.positions[in].At)
		}
	}
	d.settle()
}

// Send writes a record to a source topic and processes all that follows from it. A zero
// Time is the wall clock's. topology.Nullable(t) sends deletes. Of several partitions the
// topic's PartitionOf chooses, or the hash of the key; a record without a key goes to the
// first.
func Send[K, V any](d *Driver, t topology.Topic[K, V], r topology.Record[K, V]) {
	d.t.Helper()
	in := d.topics[t.Name]
	if in == nil || len(in.parts[0].readers) == 0 && in.global == nil {
		d.t.Fatalf("streamstest: Send to topic %q, which the topology does not read", t.Name)
	}
	rec := record{topic: t.Name, Record: kafka.Record{Time: d.wall, Headers: r.Headers}}
	if !r.Time.IsZero() {
		rec.Time = r.Time.UnixMilli()
	}
	if !r.NoKey {
		rec.Key = encode(d, t.Name, t.Key, r.Key)
	}
	rec.Value = encode(d, t.Name, t.Value, r.Value)
	switch n := int32(d.o.Partitions); {
	case t.PartitionOf != nil:
		rec.partition = t.PartitionOf(r.Key, r.Value, n)
	case rec.Key != nil:
		rec.partition = graph.Partition(rec.Key, n)
	}
	d.append(rec)
	if d.waiting++; d.waiting >= d.o.Batch {
		d.settle()
	}
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

// append writes a record to its topic.
func (d *Driver) append(r record) {
	t := d.topic(r.topic)
	p := &t.parts[r.partition]
	r.Offset = int64(len(p.records))
	p.records = append(p.records, len(t.records))
	t.records = append(t.records, r)
	if t.global != nil {
		t.global(r)
	}
}

// settle processes until no topic has a record that its readers have not had. Of several
// partitions the one goes first whose next record has the least time.
func (d *Driver) settle() {
	d.t.Helper()
	d.waiting = 0
	for {
		var next *part
		var in *topic
		var first record
		for _, name := range d.order {
			t := d.topics[name]
			for i := range t.parts {
				p := &t.parts[i]
				if p.taken == len(p.records) || len(p.readers) == 0 {
					continue
				}
				if r := t.records[p.records[p.taken]]; next == nil || r.Time < first.Time {
					next, in, first = p, t, r
				}
			}
		}
		if next == nil {
			return
		}
		var batch []kafka.Record
		for _, i := range next.records[next.taken:min(next.taken+d.o.Batch, len(next.records))] {
			batch = append(batch, in.records[i].Record)
		}
		next.taken += len(batch)
		end := first.Offset + int64(len(batch))
		for _, reader := range next.readers {
			reader.task.Add(reader.slot, kafka.Batch{Records: slices.Clone(batch), Next: end, End: end})
			d.run(reader.task)
		}
	}
}

// run lets a task process what it has, and commits if it is time to.
func (d *Driver) run(run *running) {
	d.t.Helper()
	const many = 1 << 30
	n, err := run.Run(d.wall, many)
	if err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
	run.records += max(n, 1)
	d.take(run)
	if run.records >= d.o.CommitEvery {
		d.commit(run)
	}
}

// take keeps what a task sent until it commits.
func (d *Driver) take(run *running) {
	for _, o := range run.Output() {
		r := record{topic: o.Topic, partition: o.Partition}
		if r.topic == "" {
			r.topic = run.sub.Sinks[o.Sink].In(app)
		}
		r.Record = kafka.Record{Key: bytes.Clone(o.Key), Value: bytes.Clone(o.Value), Headers: o.Headers, Time: o.Time}
		run.sent = append(run.sent, r)
	}
	run.Taken()
}

// commit makes what a task did durable, and what it sent visible.
func (d *Driver) commit(run *running) {
	d.t.Helper()
	err := run.Flush()
	d.take(run)
	for _, slot := range run.Changelogs() {
		if err == nil {
			err = run.Changelog(slot, func([]byte, []byte, int64) error { return nil })
		}
	}
	offsets := run.Offsets()
	if err == nil {
		err = run.Committed(func(int) int64 { return -1 })
	}
	if err != nil {
		d.t.Fatalf("streamstest: %v", err)
	}
	run.positions = offsets
	for _, r := range run.sent {
		d.append(r)
	}
	run.sent, run.records = nil, 0
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

// Rows returns a store, to be read: the rows of its partitions one after the other.
func Rows[K, V any](d *Driver, s state.Store[K, V]) state.Reader[K, V] {
	d.t.Helper()
	open := d.stores[s.Name]
	if open == nil {
		d.t.Fatalf("streamstest: the topology has no store %q: a table read from a topic is kept only if a join or a processor needs it", s.Name)
	}
	var parts typed.Parts[K, V]
	for _, p := range open {
		parts = append(parts, typed.New(s, p, func() int64 { return d.wall }))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return parts
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
