package sim

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/internal/worker"
)

// machine has a disk, and processes one after the other.
type machine struct {
	w       *world
	name    string
	static  string // the instance id; "": none
	former  string // as what the group knew the last process, which died
	disk    *disk
	process *process // nil: none runs
	start   time.Time
	off     bool // to stay without a process
	retired bool // for good: another machine has its instance id
}

// process is one life of an instance. It is the sched.Sched of its instance.
type process struct {
	w       *world
	machine *machine
	name    string
	client  *client
	view    *view
	res     *store.Resources
	stop    context.CancelFunc
	asked   bool   // to stop
	member  string // as the group knows it
	copies  map[plan.TaskID]string
	paused  time.Time
	dead    bool
	exited  bool
	err     error // of Run
}

// errKilled unwinds what a dead process was doing.
var errKilled = errors.New("sim: killed")

var noTime time.Time

// buffer is the memory of a database: enough that goleveldb never writes it to disk in its
// own time, which no seed chooses.
const buffer = 1 << 15

// boot starts an instance.
func (m *machine) boot() {
	w := m.w
	p := &process{w: w, machine: m, name: m.name, view: &view{disk: m.disk}}
	p.client = &client{p: p, k: w.kafka}
	p.res = store.NewResources(store.ResourceLimits{BlockCache: 1 << 16, OpenFiles: 100, WriteBuffers: buffer, MinBuffer: buffer, RowCache: 1 << 10, Level0: 1 << 20, Disk: p.view, Logger: p.log(), Now: p.Now})
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	m.process = p
	w.tracef("%s: starts", m.name)
	w.spawn(p, func() {
		p.err = p.run(ctx)
		p.exited = true
		w.tracef("%s: ends: %v", p.name, p.err)
	})
}

func (p *process) run(ctx context.Context) error {
	w := p.w
	layout, err := worker.NewLayout(ctx, p.client, app, w.plan)
	if err != nil {
		return err
	}
	return worker.NewInstance(worker.Config{
		App: app, Process: p.name, StateDir: "/state", ExactlyOnce: w.exactlyOnce, Workers: w.workers,
		CommitInterval: w.commitInterval, MaxTaskIdle: w.idle, CacheBytes: w.cache, MaxUncommitted: w.uncommitted, PurgeInterval: w.purge,
		Session: 10 * time.Second, Heartbeat: 3 * time.Second, Compression: "none", Fingerprint: "one",
		Restores: 2, Resources: p.res, Client: p.client, Sched: p, Log: p.log(),
		OnBad: func(*task.Error) task.Verdict { return task.Fail }, Ready: func() {},
		Standbys: w.standbys, MaxStall: time.Hour, Paused: func() bool { return false },
		OnState: func(worker.State) {}, OnRebalance: p.rebalanced, InstanceID: p.machine.static,
		Former: p.machine.former, OnMember: func(id string) { p.machine.former = id },
	}, layout).Run(ctx)
}

// rebalanced counts the copies that come to be run.
func (p *process) rebalanced(r worker.Rebalance) {
	for _, id := range r.Tasks {
		if role := p.copies[id]; role != "" {
			p.w.counts[role+" promoted"]++
		}
	}
	p.copies = map[plan.TaskID]string{}
	for _, id := range r.Standbys {
		p.copies[id] = "standby"
	}
	for _, id := range r.Warmups {
		p.copies[id] = "warm-up"
	}
}

func (p *process) log() *slog.Logger {
	if !p.w.tracing {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(&logHandler{p: p})
}

// die ends the process that the current strand is of. It does not return.
func (p *process) die() {
	p.dead = true
	panic(errKilled)
}

// bury clears away what is left of a process that died.
func (p *process) bury() {
	w, m := p.w, p.machine
	p.dead, p.view.dead = true, true
	w.end(p)
	p.stop()
	p.res.Abandon()
	for _, pr := range p.client.producers {
		pr.wire(w.exactlyOnce)
	}
	m.process = nil
	m.start = w.now.Add(time.Duration(w.rng.IntN(3)) * time.Duration(w.rng.IntN(10_000)) * time.Millisecond)
	m.disk.breakAt = 0
	if w.power() {
		w.tracef("%s: the power fails", p.name)
		m.disk.lose(w.rng)
	}
}

// Now is the time.
func (p *process) Now() time.Time {
	if p.dead {
		panic(errKilled)
	}
	return p.w.now
}

// Go starts a strand.
func (p *process) Go(f func()) {
	if p.dead {
		panic(errKilled)
	}
	p.w.spawn(p, f)
}

// Wait lets others go on.
func (p *process) Wait(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	woken := false
	var until time.Time
	if d > 0 {
		until = p.w.now.Add(d)
	}
	ready := func() bool {
		if woken {
			return true
		}
		select {
		case <-wake:
			woken = true
			return true
		default:
			return ctx.Err() != nil
		}
	}
	p.pause(ready, until)
	return woken
}

// pause lets others go on until ready says so, or it is until. Without ready it goes on
// when it is chosen.
func (p *process) pause(ready func() bool, until time.Time) {
	if p.dead {
		panic(errKilled)
	}
	s := p.w.current
	s.ready, s.until = ready, until
	if !s.yield(struct{}{}) || p.dead {
		panic(errKilled)
	}
	s.ready, s.until = nil, noTime
}

// delivered is a record that was given to tasks.
type delivered struct {
	kafka.Record
	times int
}

func (w *world) deliver(at kafka.Partition, r kafka.Record) {
	if w.delivered[at] == nil {
		w.delivered[at] = map[int64]delivered{}
	}
	w.delivered[at][r.Offset] = delivered{r, w.delivered[at][r.Offset].times + 1}
}
