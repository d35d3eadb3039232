package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/changelog"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/sched"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
)

// Worker runs tasks on one goroutine. Other goroutines give it what was fetched and what
// is to be done; it is woken by that, and by time.
type Worker struct {
	c        Config
	layout   *Layout
	index    int
	gate     *gate
	log      *slog.Logger
	letsGo   func(plan.TaskID)                     // nothing of a task will be committed here
	closed   func(plan.TaskID)                     // and its stores are closed
	done     func()                                // nothing at all will be committed here
	running  func(plan.TaskID)                     // a task processes
	outdated func(as broker.Member, refusal error) // the group has a new generation, which this member does not know
	claim    func(context.Context, plan.TaskID) []*store.Store
	fetcher  cluster.Fetcher
	producer cluster.Producer
	tasks    map[plan.TaskID]*entry
	order    []*entry // running ones
	turns    int      // of tasks, so far
	globals  []*plan.GlobalRows
	named    map[string]int32          // partitions of topics that records named
	missed   map[kafka.Partition]int64 // offsets that were not there, see unreadable
	starting starter                   // a place for each task that may be restored at once
	beside   starter                   // a place for each while others run, which are to have most of the machine
	readers  *changelog.Readers        // of the changelogs of tasks that are restored
	busy     func() bool               // a task runs in the instance
	purge    *purger
	life     context.Context // of everything the worker began
	end      context.CancelFunc
	closing  sched.Crew // stores that are being closed

	now        time.Time // of this turn
	dirtySince time.Time // when the first change since the last commit was seen; zero: none
	flushAt    time.Time // when what was sent must leave; zero: nothing waits
	unsent     bool
	failures   int
	losses     int     // of the membership that this worker knows of
	records    int     // processed since the last commit
	search     *search // for a record that Kafka refused; nil: there is none
	retryAt    time.Time
	stale      int32 // the generation under which the last commit was refused
	staleAt    time.Time
	owed       map[kafka.Partition]kafka.Offset // of rows that the stores have already; AtLeastOnce only

	stride int                         // records of a task before it is another's turn
	calls  atomic.Uint64               // into tasks and back; odd: inside of one
	inside atomic.Pointer[plan.TaskID] // the task of the last call

	wake   chan struct{}
	mu     sync.Mutex
	mail   []mail
	jobs   []func() error
	report []TaskReport
}

// entry is a task of this worker, from the moment it is assigned.
type entry struct {
	id      plan.TaskID
	layout  *Layout
	task    *task.Task // nil while it restores
	stores  []*store.Store
	inputs  []kafka.Partition
	subs    []cluster.Subscription
	targets []cluster.Target // by output slot and partition, see target
	first   []int            // of targets, by output slot
	logs    []cluster.Target // of changelogs, by store slot
	refused *task.Refusal    // of a record that is not committed yet
	ctx     context.Context  // ends with the entry
	cancel  context.CancelFunc

	committed   time.Time // the last time; zero: not yet
	restoration atomic.Pointer[Restoration]

	leaving  bool          // to be let go when nothing is left to commit
	prepared chan struct{} // closed when nobody but the worker touches the stores
}

// mail is a batch on its way to a task.
type mail struct {
	e     *entry
	slot  int
	batch kafka.Batch
}

// kick wakes the worker.
func (w *Worker) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// post has the worker run f in its next turn.
func (w *Worker) post(f func() error) {
	w.mu.Lock()
	w.jobs = append(w.jobs, f)
	w.mu.Unlock()
	w.kick()
}

// deliver runs on the fetcher's goroutines.
func (w *Worker) deliver(m mail) {
	w.mu.Lock()
	w.mail = append(w.mail, m)
	w.mu.Unlock()
	w.kick()
}

// Run works until ctx ends; then it commits what is processed, closes its tasks and
// returns. An error is one that the worker cannot recover from.
func (w *Worker) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, w.stop(err)) }()
	for ctx.Err() == nil {
		n, err := w.turn()
		if err != nil {
			return err
		}
		if n == 0 {
			w.sleep(ctx)
		}
	}
	return nil
}

// turn does what there is to do now. It returns how many records were processed.
func (w *Worker) turn() (processed int, err error) {
	w.now = w.c.Sched.Now()
	if err := w.receive(); err != nil {
		return 0, err
	}
	if processed, err = w.process(); err != nil {
		return processed, err
	}
	w.pace(processed)
	if err := w.flushAndCommit(); err != nil {
		return processed, err
	}
	w.letGo()
	return processed, nil
}

// entries are the worker's tasks, in order.
func (w *Worker) entries() []*entry {
	return inOrder(slices.Collect(maps.Values(w.tasks)))
}

func inOrder(es []*entry) []*entry {
	slices.SortFunc(es, func(a, b *entry) int { return a.id.Compare(b.id) })
	return es
}

// receive runs the jobs and hands the mail to the tasks.
func (w *Worker) receive() error {
	w.mu.Lock()
	jobs, mail := w.jobs, w.mail
	w.jobs, w.mail = nil, w.mail[len(w.mail):]
	w.mu.Unlock()
	for _, f := range jobs {
		if err := f(); err != nil {
			return err
		}
	}
	for _, m := range mail {
		if w.tasks[m.e.id] == m.e && m.e.task != nil {
			m.e.task.Add(m.slot, m.batch)
		}
	}
	return nil
}

// process gives every task a turn and hands on what they send. It returns how many
// records were processed. Nothing more is processed when much waits to be committed: memory
// is bounded even when commits have to wait. The next turn begins where this one ended.
func (w *Worker) process() (total int, err error) {
	uncommitted := w.uncommitted()
	if w.c.Paused() || w.overfull(uncommitted) {
		return 0, nil
	}
	if w.search != nil {
		return w.step()
	}
	wall := w.now.UnixMilli()
	for range w.order {
		if w.overfull(uncommitted) {
			break
		}
		w.turns++
		e := w.order[w.turns%len(w.order)]
		if e.leaving {
			continue
		}
		uncommitted -= e.task.Uncommitted()
		n, err := w.call(e, wall, w.stride)
		if task.Recoverable(err) {
			return 1, w.failed(err)
		}
		if err != nil {
			return total, err
		}
		w.records += n
		if err := w.send(e); err != nil {
			return 1, w.failed(err)
		}
		if w.dirtySince.IsZero() && e.task.Changed() {
			w.dirtySince = w.now
		}
		uncommitted += e.task.Uncommitted()
		total += n
	}
	return total, nil
}

// call has a task process up to limit records, for all to see where the worker is.
func (w *Worker) call(e *entry, wall int64, limit int) (int, error) {
	w.inside.Store(&e.id)
	w.calls.Add(1)
	defer w.calls.Add(1)
	return e.task.Run(wall, limit)
}

// overfull says whether so much waits to be committed that nothing more is processed.
func (w *Worker) overfull(uncommitted int) bool { return uncommitted > 2*w.c.MaxUncommitted }

func (w *Worker) uncommitted() (n int) {
	for _, e := range w.order {
		n += e.task.Uncommitted()
	}
	return n
}

// send hands a task's output to the producer.
func (w *Worker) send(e *entry) error {
	out := e.task.Output()
	if len(out) == 0 {
		return nil
	}
	for i := range out {
		o := &out[i]
		if err := w.producer.Add(w.target(e, o), o.Key, o.Value, o.Headers, o.Time); err != nil {
			return fmt.Errorf("task %s: %w", e.id, err)
		}
	}
	e.task.Taken()
	if !w.unsent {
		w.unsent, w.flushAt = true, w.now.Add(linger)
	}
	return nil
}

// target is the producer's handle on the partition that a record goes to.
func (w *Worker) target(e *entry, o *plan.Out) cluster.Target {
	if o.Topic != "" {
		return w.producer.Target(kafka.Partition{Topic: o.Topic, Index: o.Partition})
	}
	t := &e.targets[e.first[o.Sink]+int(o.Partition)]
	if *t == nil {
		topic := e.layout.Plan.Subtopologies[e.id.Subtopology].Sinks[o.Sink].In(w.c.App)
		*t = w.producer.Target(kafka.Partition{Topic: topic, Index: o.Partition})
	}
	return *t
}

// fits says why Kafka will not take what a task sends.
func (w *Worker) fits(e *entry, o plan.Out) error {
	return w.target(e, &o).Fits(o.Key, o.Value, o.Headers, o.Time)
}

// partitionsOf is how many partitions a topic has that a record names. It asks the cluster
// once for each.
func (w *Worker) partitionsOf(topic string) (int32, error) {
	if n := w.named[topic]; n > 0 {
		return n, nil
	}
	found, err := w.c.Client.Topics(w.life, topic)
	if _, refused := broker.Refused(err); refused {
		return 0, err
	}
	if err != nil {
		return 0, &plan.UnansweredError{Err: err}
	}
	n := found[topic].Partitions
	if n == 0 {
		return 0, fmt.Errorf("the cluster has no topic %q, which a record is for: create it", topic)
	}
	w.named[topic] = n
	return n, nil
}

// flushAndCommit does what is due.
func (w *Worker) flushAndCommit() error {
	if w.unsent && !w.now.Before(w.flushAt) {
		w.unsent = false
		if err := w.producer.Flush(); err != nil {
			return w.failed(err)
		}
	}
	if w.commitDue() {
		return w.commit()
	}
	return nil
}

func (w *Worker) commitDue() bool {
	if w.dirtySince.IsZero() || w.now.Before(w.retryAt) {
		return false
	}
	if !w.now.Before(w.commitAt()) || w.uncommitted() > w.c.MaxUncommitted {
		return true
	}
	for _, e := range w.order {
		if e.leaving || e.task.CommitAsked() {
			return true
		}
	}
	return false
}

// commitAt is when what was done is committed at the latest. What a task does first here is
// committed soon: it moved, and was silent for long enough.
func (w *Worker) commitAt() time.Time {
	for _, e := range w.order {
		if e.committed.IsZero() && e.task.Changed() {
			return w.dirtySince.Add(min(firstCommit, w.c.CommitInterval))
		}
	}
	return w.dirtySince.Add(w.c.CommitInterval)
}

// sleep waits until something arrives or is due.
func (w *Worker) sleep(ctx context.Context) {
	if !w.c.Paused() && !w.overfull(w.uncommitted()) {
		w.fetcher.Starve()
	}
	next := w.now.Add(time.Second)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if w.unsent {
		sooner(w.flushAt)
	}
	if !w.dirtySince.IsZero() {
		sooner(w.commitAt())
	}
	for _, e := range w.order {
		if ms := e.task.NextWall(); ms >= 0 {
			sooner(time.UnixMilli(ms))
		}
		if e.task.Waiting() {
			sooner(w.now.Add(max(w.c.MaxTaskIdle/4, time.Millisecond)))
		}
	}
	w.c.Sched.Wait(ctx, w.wake, max(next.Sub(w.c.Sched.Now()), time.Millisecond))
}
