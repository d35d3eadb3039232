package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/sched"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/internal/worker"
	"github.com/seed-df18afd4/streams/topology"
)

// App is one instance of an application.
type App struct {
	plan    *plan.Plan
	c       Config
	started atomic.Bool
	once    sync.Once
	ready   chan struct{}
	paused  atomic.Bool
	events  events

	mu       sync.Mutex
	state    State
	instance *worker.Instance // nil before it runs
}

// checkTimeout bounds how long New looks at the cluster.
const checkTimeout = 30 * time.Second

// purgeInterval is how often the application's topics are freed of what nobody needs.
const purgeInterval = 30 * time.Second

// New checks the configuration and the topology against the cluster. It fails, within
// seconds, if no broker answers, if a topic is missing that the application does not
// create, or if topics that are joined have different numbers of partitions. It writes
// nothing.
func New(t *topology.Topology, c Config) (*App, error) {
	if t == nil {
		return nil, fmt.Errorf("streams: no topology: pass what topology.Builder's Build returned")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &App{plan: (*plan.Plan)(t), c: c, ready: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	client, err := a.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("streams: %w", err)
	}
	defer client.Close()
	_, err = worker.NewLayout(ctx, cluster.Of(client), c.ApplicationID, a.plan, c.others()...)
	missing := (*worker.MissingTopicsError)(nil)
	if err != nil && (c.WaitForTopics == 0 || !errors.As(err, &missing)) {
		return nil, fmt.Errorf("streams: application %s: %w", c.ApplicationID, err)
	}
	if sources := (&worker.Layout{App: c.ApplicationID, Plan: a.plan}).Sources(); slices.Contains(sources, c.DeadLetterTopic) {
		return nil, fmt.Errorf("streams: application %s: DeadLetterTopic is %q, which the topology reads: a record that stays bad would come again for ever; name another topic", c.ApplicationID, c.DeadLetterTopic)
	}
	return a, nil
}

func (a *App) dial(ctx context.Context) (*broker.Client, error) {
	return broker.Dial(ctx, broker.Options{Brokers: a.c.Brokers, ClientID: a.c.ApplicationID, Rack: a.c.Rack, Sarama: a.c.Sarama, Log: a.c.Logger})
}

// Run processes until ctx ends, then commits and closes, and returns nil; or until an
// error that it cannot recover from. What was not committed by then is processed again
// by whoever comes next. An App runs once.
//
// It creates the application's own topics, and checks those that exist. It restores its
// tables before it processes: see Ready. When Run has returned, nothing of it is left: no
// goroutine, no connection, no lock.
func (a *App) Run(ctx context.Context) error {
	if a.started.Swap(true) {
		return fmt.Errorf("streams: application %s: Run is called twice; make another App with New", a.c.ApplicationID)
	}
	defer a.events.wait()
	err := a.run(ctx)
	if err == nil {
		a.moveTo(Stopped)
	} else {
		a.moveTo(Failed)
	}
	if err != nil {
		var bad *task.Error
		if errors.As(err, &bad) {
			return errors.Join(badRecord(bad), withoutBad(err))
		}
		return fmt.Errorf("streams: application %s: %w", a.c.ApplicationID, err)
	}
	return nil
}

// withoutBad is what else went wrong beside a bad record: of joined errors the others.
func withoutBad(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var rest []error
	for _, e := range joined.Unwrap() {
		if bad := (*task.Error)(nil); !errors.As(e, &bad) {
			rest = append(rest, e)
		}
	}
	return errors.Join(rest...)
}

func (a *App) run(ctx context.Context) error {
	state, err := store.OpenStateDir(filepath.Join(a.c.StateDir, a.c.ApplicationID), a.c.ApplicationID, a.plan.Fingerprint(), a.c.Logger)
	if err != nil {
		return err
	}
	defer state.Close()
	client, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	a.moveTo(Joining)
	return a.serve(ctx, client, state.Process, state.Path)
}

// serve takes part in the group, and in resets of the application.
func (a *App) serve(ctx context.Context, client *broker.Client, process, dir string) error {
	r, err := registry.Create(ctx, client, a.c.ApplicationID)
	if err != nil {
		return err
	}
	defer r.Close()
	watch, err := r.Watch(ctx)
	if err != nil {
		return err
	}
	defer watch.Close()
	says, err := watch.Latest(ctx)
	if err != nil {
		return err
	}
	resets := &resets{watch: watch, dir: dir, log: a.c.Logger}
	recreated := &recreated{
		app: a.c.ApplicationID, plan: a.plan, process: process, keep: a.c.OnTopicRecreated == KeepState,
		wait: a.c.MaxStall + a.c.SessionTimeout + time.Minute, client: client, resets: resets, log: a.c.Logger,
	}
	if err := recreated.finish(ctx, says); err != nil {
		return unlessEnded(ctx, err)
	}
	if says, err = watch.Latest(ctx); err != nil {
		return unlessEnded(ctx, err)
	}
	if err := resets.begin(ctx, says); err != nil {
		return unlessEnded(ctx, err)
	}
	layout, err := a.settled(ctx, client, recreated)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	present := a.present(r, says, layout, process, dir)
	present.start()
	defer present.stop()
	resources := store.NewResources(a.c.storeMemory())
	for {
		err := resets.during(ctx, func(ctx context.Context, check func(context.Context) error) error {
			c := a.workerConfig(client, process, dir)
			c.Resources, c.Check = resources, check
			instance := worker.NewInstance(c, layout)
			a.mu.Lock()
			a.instance = instance
			a.mu.Unlock()
			return instance.Run(ctx)
		})
		switch {
		case errors.Is(err, errReset):
			a.moveTo(Joining)
			if err := resets.await(ctx); err != nil {
				return unlessEnded(ctx, err)
			}
		case errors.Is(err, worker.ErrTopicsChanged):
			a.moveTo(Joining)
			a.c.Logger.Warn("begin anew", "reason", err)
		default:
			return err
		}
		if layout, err = a.settled(ctx, client, recreated); err != nil {
			return unlessEnded(ctx, err)
		}
	}
}

// settled is the layout, of topics that the state is of.
func (a *App) settled(ctx context.Context, client *broker.Client, r *recreated) (*worker.Layout, error) {
	for {
		l, err := a.layout(ctx, client)
		if err != nil {
			return nil, err
		}
		if again, err := r.settle(ctx, l); err != nil || !again {
			return l, err
		}
	}
}

// layout looks the topics up, and waits for those that are missing as long as the
// configuration says.
func (a *App) layout(ctx context.Context, client *broker.Client) (*worker.Layout, error) {
	for until := time.Now().Add(a.c.WaitForTopics); ; {
		l, err := worker.NewLayout(ctx, cluster.Of(client), a.c.ApplicationID, a.plan, a.c.others()...)
		missing := (*worker.MissingTopicsError)(nil)
		if !errors.As(err, &missing) || time.Now().After(until) {
			return l, err
		}
		a.c.Logger.Info("waiting for topics that do not exist yet", "topics", missing.Topics, "until", until)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// unlessEnded is nil where what failed did so because the instance is to end.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *App) workerConfig(client *broker.Client, process, dir string) worker.Config {
	former, remember := memberFile(dir, a.c.Logger)
	restores := 2 * runtime.GOMAXPROCS(0)
	return worker.Config{
		App: a.c.ApplicationID, Process: process, StateDir: dir,
		ExactlyOnce: a.c.Guarantee == ExactlyOnce, Workers: a.c.Workers,
		CommitInterval: a.c.CommitInterval, PurgeInterval: purgeInterval, MaxTaskIdle: a.c.MaxTaskIdle, CacheBytes: a.c.CacheBytes, MaxUncommitted: a.c.MaxUncommittedBytes,
		Session: a.c.SessionTimeout, Heartbeat: a.c.HeartbeatInterval, InstanceID: a.c.InstanceID, Compression: a.c.Compression,
		Rack: a.c.Rack, Standbys: a.c.StandbyReplicas, MaxStall: a.c.MaxStall, Former: former, OnMember: remember,
		Fingerprint: a.plan.Fingerprint(),
		Restores:    restores, Memory: a.c.workerMemory(restores), Client: cluster.Of(client), Sched: sched.Real, Log: a.c.Logger,
		OnBad: a.onBad, DeadLetters: a.c.DeadLetterTopic, Ready: func() { a.once.Do(func() { close(a.ready) }) },
		OnState: func(s worker.State) { a.moveTo(ofWorker[s]) }, OnRebalance: a.rebalanced, Paused: a.paused.Load,
	}
}

// present prepares what the registry is told.
func (a *App) present(r *registry.Registry, says registry.Contents, l *worker.Layout, process, dir string) *presence {
	return &presence{
		registry: r, before: says, log: a.c.Logger,
		application: registry.Application{Fingerprint: a.plan.Fingerprint(), Guarantee: a.c.Guarantee.String(), Plan: a.plan, Partitions: l.Sizes()},
		instance:    registry.Instance{Process: process, StateDir: dir, InstanceID: a.c.InstanceID, Workers: a.c.Workers},
	}
}

// onBad asks the program about a bad record.
func (a *App) onBad(e *task.Error) task.Verdict {
	b := badRecord(e)
	verdict := task.Verdict(a.c.OnBadRecord(*b))
	if verdict != task.Fail {
		a.c.Logger.Warn("a bad record", "decision", verdict.String(), "task", b.Task, "topic", b.Topic, "partition", b.Partition, "offset", b.Offset, "node", b.Node, "attempt", b.Attempt, "error", b.Err)
	}
	return verdict
}

// Ready is closed when every task of this instance is restored and running, for the first
// time.
func (a *App) Ready() <-chan struct{} { return a.ready }

// memberFile keeps in the state directory what the group calls this instance. A process that
// finds it there knows that its predecessor died without leaving, since the directory is
// locked, and can leave for it.
func memberFile(dir string, log *slog.Logger) (former string, remember func(id string)) {
	path := filepath.Join(dir, "member")
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("read the former member id", "error", err)
	}
	return strings.TrimSpace(string(b)), func(id string) {
		err := os.WriteFile(path, []byte(id+"\n"), 0o600)
		if id == "" {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			log.Warn("keep the member id", "error", err)
		}
	}
}

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
