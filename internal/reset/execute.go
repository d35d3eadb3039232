package reset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/google/uuid"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/registry"
)

// Step is how far a reset is: the last thing that was done. Each step may be done again.
type Step string

// The steps of a reset, in order.
const (
	Planned   Step = "planned"   // the registry says that a reset is under way: instances stop, and none starts
	Stopped   Step = "stopped"   // no instance runs, and what was committed is remembered
	Committed Step = "committed" // the positions are moved
	Cleared   Step = "cleared"   // the application's own topics are deleted or empty
	Raised    Step = "raised"    // the epoch tells instances to wipe their disks
	Done      Step = "done"      // the registry says that none is under way
)

// Execution says how to execute a reset.
type Execution struct {
	Restart bool             // instances that run are to stop and begin again
	Process string           // the instance that resets its own application; empty: a person does
	Wait    time.Duration    // for them to stop; 2 minutes by default
	Say     func(Step)       // told of each step that is done
	After   func(Step) error // of a test: an error ends the reset as a kill would
}

func (o Execution) withDefaults() Execution {
	if o.Wait == 0 {
		o.Wait = 2 * time.Minute
	}
	if o.Say == nil {
		o.Say = func(Step) {}
	}
	return o
}

// ErrUnderWay is why a reset does not begin.
var ErrUnderWay = errors.New("finish or undo it first")

// ErrNone is why a reset is not finished or undone.
var ErrNone = errors.New("no reset is under way")

// Unfinished is a reset that is under way, or was interrupted.
type Unfinished struct {
	Begun time.Time
	By    string
	Step  Step
	Plan  *Plan
}

// Undoable says whether it can still be undone: nothing was deleted yet.
func (u *Unfinished) Undoable() bool {
	return u.Step == Planned || u.Step == Stopped || u.Plan.KeepState
}

// ErrTooLate is why a reset cannot be undone.
var ErrTooLate = errors.New("topics of the application may be deleted already: finish the reset")

// ErrOther says that another reset has taken the place of this one.
var ErrOther = errors.New("somebody else has finished, undone or begun a reset meanwhile")

// Find is the reset of an application that is under way; nil: none.
func Find(ctx context.Context, c *broker.Client, app string) (*Unfinished, error) {
	r, err := registry.Open(ctx, c, app)
	if errors.Is(err, registry.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	says, err := r.Read(ctx)
	if err != nil || says.Reset == nil {
		return nil, err
	}
	u := &Unfinished{Begun: says.Reset.Begun, By: says.Reset.By, Step: Step(says.Reset.Step), Plan: &Plan{}}
	if err := json.Unmarshal(says.Reset.Plan, u.Plan); err != nil {
		return nil, fmt.Errorf("the plan of the reset under way: %w", err)
	}
	return u, nil
}

// Execute does what a plan says. If one is under way already it must be finished or undone
// first.
func Execute(ctx context.Context, c *broker.Client, p *Plan, o Execution) error {
	if !o.Restart {
		if err := checkStopped(ctx, c, p.App); err != nil {
			return err
		}
	}
	if p.Foreign {
		return executeForeign(ctx, c, p, o)
	}
	e, err := prepare(ctx, c, p.App, o)
	if err != nil {
		return err
	}
	defer e.registry.Close()
	if e.says.Reset != nil {
		return fmt.Errorf("a reset of application %s, begun by %s, is under way: %w", p.App, e.says.Reset.By, ErrUnderWay)
	}
	if e.says.Epoch.Number+1 != p.Epoch {
		return ErrOther
	}
	e.plan = p
	e.record = &registry.Reset{ID: uuid.NewString(), Begun: time.Now().UTC(), By: whoami(), Process: o.Process}
	e.record.Topics = p.ids
	if err := e.put(ctx, Planned); err != nil {
		return err
	}
	return e.run(ctx)
}

// Finish goes on with the reset that is under way.
func Finish(ctx context.Context, c *broker.Client, app string, o Execution) error {
	e, err := resume(ctx, c, app, o)
	if err != nil {
		return err
	}
	defer e.registry.Close()
	if err := e.takeOver(ctx); err != nil {
		return err
	}
	return e.run(ctx)
}

// Undo takes the reset that is under way back, unless it is too late: ErrTooLate.
func Undo(ctx context.Context, c *broker.Client, app string, o Execution) error {
	e, err := resume(ctx, c, app, o)
	if err != nil {
		return err
	}
	defer e.registry.Close()
	u := Unfinished{Step: Step(e.record.Step), Plan: e.plan}
	if !u.Undoable() {
		return ErrTooLate
	}
	if err := e.takeOver(ctx); err != nil {
		return err
	}
	if u.Step == Planned {
		return e.finish(ctx)
	}
	if err := e.awaitStopped(ctx); err != nil {
		return err
	}
	before := e.before()
	var none []kafka.Partition
	for at := range e.positions() {
		if _, ok := before[at]; !ok {
			none = append(none, at)
		}
	}
	if err := errors.Join(e.commit(before), c.DeleteOffsets(ctx, app, none)); err != nil {
		return err
	}
	return e.finish(ctx)
}

// execution is a reset that is being executed.
type execution struct {
	client      *broker.Client
	o           Execution
	registry    *registry.Registry
	says        registry.Contents
	application *registry.Application
	record      *registry.Reset
	plan        *Plan
}

func prepare(ctx context.Context, c *broker.Client, app string, o Execution) (*execution, error) {
	r, err := registry.Open(ctx, c, app)
	if err != nil {
		return nil, err
	}
	says, err := r.Read(ctx)
	if err != nil {
		return nil, err
	}
	if says.Application == nil {
		return nil, fmt.Errorf("application %s has not described itself", app)
	}
	return &execution{client: c, o: o.withDefaults(), registry: r, says: says, application: says.Application}, nil
}

func resume(ctx context.Context, c *broker.Client, app string, o Execution) (*execution, error) {
	e, err := prepare(ctx, c, app, o)
	if err != nil {
		return nil, err
	}
	if e.record = e.says.Reset; e.record == nil {
		return nil, fmt.Errorf("application %s: %w", app, ErrNone)
	}
	e.plan = &Plan{}
	if err := json.Unmarshal(e.record.Plan, e.plan); err != nil {
		return nil, fmt.Errorf("the plan of the reset under way: %w", err)
	}
	return e, nil
}

// run does the steps that are left, from whichever was done last.
func (e *execution) run(ctx context.Context) error {
	for {
		if err := e.step(ctx); err != nil {
			return fmt.Errorf("the reset of %s is not done (it got as far as %q): %w", e.plan.App, e.record.Step, err)
		}
		if Step(e.record.Step) == Done {
			return nil
		}
	}
}

// step does the next step.
func (e *execution) step(ctx context.Context) error {
	if err := e.mine(ctx); err != nil {
		return err
	}
	switch Step(e.record.Step) {
	case Planned:
		if err := e.awaitStopped(ctx); err != nil {
			return err
		}
		if err := errors.Join(e.fence(ctx), e.remember(ctx)); err != nil {
			return err
		}
		return e.write(ctx, Stopped)
	case Stopped:
		if err := e.commit(e.positions()); err != nil {
			return err
		}
		return e.write(ctx, Committed)
	case Committed:
		if err := e.clear(ctx); err != nil {
			return err
		}
		return e.write(ctx, Cleared)
	case Cleared:
		if err := errors.Join(e.raise(ctx), e.name(ctx)); err != nil {
			return err
		}
		return e.write(ctx, Raised)
	case Raised:
		ok, err := e.untouched(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return e.again(ctx)
		}
		return e.finish(ctx)
	}
	return fmt.Errorf("step %q is not known: use a newer version of this tool", e.record.Step)
}

// again waits for a member that does not know of resets, and does everything once more.
func (e *execution) again(ctx context.Context) error {
	if err := e.awaitStopped(ctx); err != nil {
		return err
	}
	first := e.before()
	if err := e.remember(ctx); err != nil {
		return err
	}
	for _, m := range e.plan.Moves {
		for i, b := range e.plan.Before {
			if o, ok := first[kafka.Partition{Topic: m.Topic, Index: m.Partition}]; ok && b.Topic == m.Topic && b.Partition == m.Partition {
				e.plan.Before[i].At, e.plan.Before[i].Metadata = o.At, o.Metadata
			}
		}
	}
	return e.write(ctx, Stopped)
}

// takeOver keeps whoever had begun the reset, and may still be at it, from going on.
func (e *execution) takeOver(ctx context.Context) error {
	e.record.ID = uuid.NewString()
	return e.registry.SetReset(ctx, e.record)
}

// mine checks that the reset under way is still this one: two may be tried at once.
func (e *execution) mine(ctx context.Context) error {
	says, err := e.registry.Read(ctx)
	if err != nil {
		return err
	}
	if says.Reset == nil || says.Reset.ID != e.record.ID {
		return ErrOther
	}
	e.says = says
	return nil
}

// write says in the registry that a step is done, unless the reset is somebody else's by now.
func (e *execution) write(ctx context.Context, s Step) error {
	if err := e.mine(ctx); err != nil {
		return err
	}
	return e.put(ctx, s)
}

func (e *execution) put(ctx context.Context, s Step) error {
	text, err := json.Marshal(e.plan)
	if err != nil {
		return err
	}
	e.record.Step, e.record.Plan = string(s), text
	if err := e.registry.SetReset(ctx, e.record); err != nil {
		return err
	}
	return e.done(s)
}

// finish says that no reset is under way: instances may start.
func (e *execution) finish(ctx context.Context) error {
	if err := e.mine(ctx); err != nil {
		return err
	}
	if err := e.registry.SetReset(ctx, nil); err != nil {
		return err
	}
	e.record.Step = string(Done)
	return e.done(Done)
}

func (e *execution) done(s Step) error {
	e.o.Say(s)
	if e.o.After != nil {
		return e.o.After(s)
	}
	return nil
}

// executeForeign resets an application of Kafka Streams. Nothing keeps track of it; each of
// its steps may be done again.
func executeForeign(ctx context.Context, c *broker.Client, p *Plan, o Execution) error {
	e := &execution{client: c, o: o.withDefaults(), plan: p}
	if o.Restart {
		return errors.New("instances of Kafka Streams do not restart for a reset: stop them first")
	}
	if err := e.remember(ctx); err != nil {
		return err
	}
	if err := e.commit(e.positions()); err != nil {
		return err
	}
	if err := e.done(Committed); err != nil {
		return err
	}
	if err := c.DeleteTopics(ctx, p.Delete...); err != nil {
		return err
	}
	return errors.Join(e.done(Cleared), e.done(Done))
}

// whoami says who begins a reset, for people.
func whoami() string {
	host, _ := os.Hostname()
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return fmt.Sprintf("%s at %s, process %d", name, host, os.Getpid())
}
