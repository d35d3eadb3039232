package task_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// text describes a topic of text.
func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// numbers describes a topic of text and numbers.
func numbers(name string) topology.Topic[string, int64] {
	return topology.Topic[string, int64]{Name: name, Key: serde.String, Value: serde.Int64}
}

// rig is a task of the first sub-topology of a topology, and does what a worker would do
// around it. Stores and committed offsets outlive a restart.
type rig struct {
	*task.Task
	t       *testing.T
	plan    *plan.Subtopology
	stores  []*store.Store
	next    map[string]int64 // offset of the next record of each topic
	known   map[string]bool  // topics that the task was told about
	offsets map[kafka.Partition]kafka.Offset
	wall    int64
	maxIdle int64
	cache   int                            // bytes
	repeats bool                           // with AtLeastOnce
	skip    bool                           // what OnBad says
	decide  func(*task.Error) task.Verdict // instead
	letters string                         // the topic of dead letters
	refused *task.Refusal
	fits    func(plan.Out) error
	bad     []*task.Error
	given   int // batches that the task was given, and gave back
	back    int
}

// start builds a topology and starts its task, whose wall clock is at 0.
func start(t *testing.T, build func(*topology.Builder)) *rig {
	t.Helper()
	r := newRig(t, build)
	r.run()
	return r
}

func newRig(t *testing.T, build func(*topology.Builder)) *rig {
	t.Helper()
	r := stopped(t, build)
	require.NoError(t, r.open())
	t.Cleanup(func() {
		require.Empty(t, r.Close())
		require.Equal(t, r.given, r.back, "batches that were given back")
	})
	return r
}

// stopped opens the stores of a task, and not the task.
func stopped(t *testing.T, build func(*topology.Builder)) *rig {
	t.Helper()
	b := topology.NewBuilder()
	build(b)
	topo, err := b.Build()
	require.NoError(t, err)
	r := &rig{t: t, plan: (*plan.Plan)(topo).Subtopologies[0], next: map[string]int64{}, known: map[string]bool{}, offsets: map[kafka.Partition]kafka.Offset{}}
	resources := store.NewResources(store.ResourceLimits{WriteBuffers: 1 << 20})
	for _, s := range r.plan.Stores {
		s.InMemory = true
		open, err := store.Open("", s.Spec, "", resources)
		require.NoError(t, err)
		r.stores = append(r.stores, open)
		t.Cleanup(func() { require.NoError(t, open.Destroy()) })
	}
	return r
}

// open makes the task, where the committed offsets are.
func (r *rig) open() (err error) {
	var inputs []kafka.Partition
	var positions []kafka.Offset
	for _, s := range r.plan.Sources {
		p := kafka.Partition{Topic: s.In("app")}
		inputs, positions = append(inputs, p), append(positions, r.offsets[p])
	}
	r.Task, err = task.New(task.Config{
		ID: plan.TaskID{Subtopology: r.plan.ID}, Plan: r.plan, Inputs: inputs, Stores: r.stores,
		Partitions:   func(int) int32 { return 1 },
		PartitionsOf: func(string) (int32, error) { return 1, nil },
		DeadLetters:  r.letters, Refused: r.refused, Fits: r.fits,
		Positions:  positions,
		Context:    context.Background(),
		Wall:       r.wall,
		MaxIdle:    r.maxIdle,
		CacheBytes: r.cache, Repeats: r.repeats,
		Release: func(int, kafka.Batch) { r.back++ },
		OnBad: func(e *task.Error) task.Verdict {
			copied := *e // what follows may say more
			r.bad = append(r.bad, &copied)
			if r.decide != nil {
				return r.decide(e)
			}
			if r.skip {
				return task.Skip
			}
			return task.Fail
		},
	})
	return err
}

// restart ends the task and starts another one, from what was committed.
func (r *rig) restart() {
	r.t.Helper()
	require.Empty(r.t, r.Close())
	require.NoError(r.t, r.open())
	clear(r.known)
	for _, s := range r.plan.Sources {
		r.next[s.In("app")] = r.offsets[kafka.Partition{Topic: s.In("app")}].At
	}
	r.run()
}

// slot is the input slot of a topic.
func (r *rig) slot(topic string) int {
	r.t.Helper()
	slot, ok := r.Input(kafka.Partition{Topic: topic})
	require.True(r.t, ok, "the task reads %s", topic)
	return slot
}

// add gives the task a batch. The partition goes on for some more records, which are not
// here yet.
func (r *rig) add(topic string, more int64, records ...kafka.Record) {
	r.t.Helper()
	r.known[topic] = true
	b := kafka.Batch{Records: records}
	for i := range records {
		records[i].Offset = r.next[topic]
		r.next[topic]++
	}
	b.Next = r.next[topic]
	b.End = b.Next + more
	r.given++
	r.Add(r.slot(topic), b)
}

// record is a record of text.
func record(key, value string, ms int64) kafka.Record {
	return kafka.Record{Key: []byte(key), Value: []byte(value), Time: ms}
}

// try processes what there is. A topic that was given nothing is empty.
func (r *rig) try() error {
	for _, s := range r.plan.Sources {
		if topic := s.In("app"); !r.known[topic] {
			r.add(topic, 0)
		}
	}
	_, err := r.Run(r.wall, 1<<30)
	return err
}

func (r *rig) run() {
	r.t.Helper()
	require.NoError(r.t, r.try())
}

// send gives the task one record and processes it.
func (r *rig) send(topic string, rec kafka.Record) {
	r.t.Helper()
	r.add(topic, 0, rec)
	r.run()
}

// advance moves the wall clock.
func (r *rig) advance(d time.Duration) {
	r.t.Helper()
	r.wall += d.Milliseconds()
	r.run()
}

// sent is what the task sent since the last time: "topic key=value@time".
func (r *rig) sent() (out []string) {
	for _, o := range r.Output() {
		topic := o.Topic
		if topic == "" {
			topic = r.plan.Sinks[o.Sink].Name
		}
		out = append(out, fmt.Sprintf("%s %s=%s@%d", topic, bytes(o.Key), bytes(o.Value), o.Time))
	}
	r.Taken()
	return out
}

// bytes are the bytes of a text, or of a number.
func bytes(b []byte) string {
	switch {
	case b == nil:
		return "null"
	case len(b) == 8 && b[0] == 0:
		n, _ := serde.Int64.Decode(b)
		return fmt.Sprint(n)
	}
	return string(b)
}

// commit commits, and gives what goes to changelogs: "store key=value@time", in the order
// of the text.
func (r *rig) commit() (changes []string) {
	r.t.Helper()
	require.NoError(r.t, r.Flush())
	maps.Copy(r.offsets, r.Offsets())
	for _, slot := range r.Changelogs() {
		require.NoError(r.t, r.Changelog(slot, func(key, value []byte, ms int64) error {
			changes = append(changes, fmt.Sprintf("%s %s=%s@%d", r.plan.Stores[slot].Name, bytes(key), bytes(value), ms))
			return nil
		}))
	}
	require.NoError(r.t, r.Committed(func(int) int64 { return -1 }))
	slices.Sort(changes)
	return changes
}
