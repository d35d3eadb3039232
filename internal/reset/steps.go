package reset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/internal/worker"
)

// The pauses of a wait for instances.
const (
	lookEvery = 200 * time.Millisecond
	// staticGrace is how long a static member has to stop its work. It keeps its place in the
	// group when it stops, until somebody takes it away.
	staticGrace = 5 * time.Second
)

// RunningError says that an application has instances that run.
type RunningError struct {
	App     string
	Members []broker.Membership
}

func (e *RunningError) Error() string {
	var who []string
	for _, m := range e.Members {
		who = append(who, fmt.Sprintf("%s at %s", m.ClientID, strings.TrimPrefix(m.Host, "/")))
	}
	slices.Sort(who)
	if len(who) == 0 {
		who = []string{"members that the broker does not describe"}
	}
	return fmt.Sprintf("application %s is running: %s", e.App, strings.Join(who, ", "))
}

// Running are the members of an application's group.
func Running(ctx context.Context, c *broker.Client, app string) ([]broker.Membership, error) {
	err := checkStopped(ctx, c, app)
	if running := (*RunningError)(nil); errors.As(err, &running) {
		return running.Members, nil
	}
	return nil, err
}

// checkStopped fails with a RunningError if the group has members.
func checkStopped(ctx context.Context, c *broker.Client, app string) error {
	g, err := c.DescribeGroup(ctx, app)
	if err != nil {
		return err
	}
	if g.Running() {
		return &RunningError{App: app, Members: g.Members}
	}
	return nil
}

// awaitStopped returns when the group has no members any more. Those that run see that a
// reset is under way, and leave.
func (e *execution) awaitStopped(ctx context.Context) error {
	begun := time.Now()
	for {
		g, err := e.client.DescribeGroup(ctx, e.plan.App)
		if err != nil {
			return err
		}
		if !g.Running() {
			return nil
		}
		waited := time.Since(begun)
		if waited > e.o.Wait {
			return fmt.Errorf("after %v %w: stop them, and run this again", e.o.Wait, &RunningError{e.plan.App, g.Members})
		}
		if waited > staticGrace {
			var static []string
			for _, m := range g.Members {
				if m.InstanceID != "" {
					static = append(static, m.InstanceID)
				}
			}
			if len(static) > 0 {
				if err := e.client.RemoveMembers(ctx, e.plan.App, static...); err != nil {
					return err
				}
			}
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fence ends the transactions that instances may have left open. None of them can commit
// anything after this.
func (e *execution) fence(ctx context.Context) error {
	if e.application.Guarantee != "exactly-once" {
		return nil
	}
	for _, i := range e.says.Instances {
		for n := range i.Workers {
			p, err := e.client.NewProducer(ctx, broker.ProducerOptions{TransactionalID: worker.TransactionalID(e.plan.App, i.Process, n)})
			if err != nil {
				return fmt.Errorf("end the transactions of instance %s: %w", i.Process, err)
			}
			p.Close()
		}
	}
	return nil
}

// remember notes what is committed now that nobody runs, for the reset to be undone.
func (e *execution) remember(ctx context.Context) error {
	committed, err := e.client.AllCommitted(ctx, e.plan.App)
	if err != nil {
		return err
	}
	e.plan.Before = e.plan.Before[:0]
	for at, o := range committed {
		e.plan.Before = append(e.plan.Before, Position{at.Topic, at.Index, o.At, o.Metadata})
	}
	slices.SortFunc(e.plan.Before, func(a, b Position) int {
		if a.Topic != b.Topic {
			return strings.Compare(a.Topic, b.Topic)
		}
		return int(a.Partition - b.Partition)
	})
	return nil
}

// positions are what the reset commits.
func (e *execution) positions() map[kafka.Partition]kafka.Offset {
	to := e.withoutClocks()
	old := e.before()
	for _, m := range e.plan.Moves {
		at := kafka.Partition{Topic: m.Topic, Index: m.Partition}
		o := kafka.Offset{At: m.To}
		if e.plan.KeepState {
			o.Metadata = old[at].Metadata // the clocks belong to the state
		}
		to[at] = o
	}
	return to
}

// before is what was committed when the instances had stopped.
func (e *execution) before() map[kafka.Partition]kafka.Offset {
	all := map[kafka.Partition]kafka.Offset{}
	for _, p := range e.plan.Before {
		all[kafka.Partition{Topic: p.Topic, Index: p.Partition}] = kafka.Offset{At: p.At, Metadata: p.Metadata}
	}
	return all
}

// withoutClocks are the positions that stay, of tasks with stores that are wiped, without
// the clocks of these: they stand beside every position of a task.
func (e *execution) withoutClocks() map[kafka.Partition]kafka.Offset {
	to := map[kafka.Partition]kafka.Offset{}
	if e.plan.KeepState || e.application == nil {
		return to
	}
	for _, s := range e.application.Plan.Subtopologies {
		if !slices.ContainsFunc(s.Stores, func(st plan.Store) bool { return slices.Contains(e.plan.Stores, st.Name) }) {
			continue
		}
		gone := func(clock string) bool { return e.isWiped(s, clock) }
		for at, o := range e.before() {
			for _, src := range s.Sources {
				if src.In(e.plan.App) != at.Topic {
					continue
				}
				if without := task.WithoutClocks(o.Metadata, gone); without != o.Metadata {
					to[at] = kafka.Offset{At: o.At, Metadata: without}
				}
			}
		}
	}
	return to
}

// isWiped says whether a clock belongs to a store that is wiped. It has the store's name, or
// one name begins with the other and a minus: the longest such store counts.
func (e *execution) isWiped(s *plan.Subtopology, clock string) bool {
	longest, wiped := -1, false
	for _, st := range s.Stores {
		n := len(st.Name)
		switch {
		case st.Name == clock:
			return slices.Contains(e.plan.Stores, st.Name)
		case !strings.HasPrefix(st.Name, clock+"-") && !strings.HasPrefix(clock, st.Name+"-"):
		case n > longest:
			longest, wiped = n, slices.Contains(e.plan.Stores, st.Name)
		case n == longest:
			wiped = wiped || slices.Contains(e.plan.Stores, st.Name)
		}
	}
	return wiped
}

// commit moves the group. Kafka refuses it while the group has members.
func (e *execution) commit(to map[kafka.Partition]kafka.Offset) error {
	return e.client.CommitOffsets(broker.Member{Group: e.plan.App, Generation: -1}, to)
}

// clear deletes what the application keeps in its own topics.
func (e *execution) clear(ctx context.Context) error {
	if err := e.client.DeleteTopics(ctx, e.plan.Delete...); err != nil {
		return err
	}
	found, err := e.client.Topics(ctx, e.plan.Empty...)
	if err != nil {
		return err
	}
	var ps []kafka.Partition
	for topic, t := range found {
		for i := range t.Partitions {
			ps = append(ps, kafka.Partition{Topic: topic, Index: i})
		}
	}
	ends, err := e.client.ListOffsets(ctx, ps, broker.Latest, false)
	if err != nil {
		return err
	}
	if err := e.client.DeleteRecords(ctx, ends); err != nil {
		return err
	}
	to := map[kafka.Partition]kafka.Offset{}
	for p, end := range ends {
		to[p] = kafka.Offset{At: end}
	}
	return e.commit(to)
}

// raise makes the state on every instance's disk one of the past.
func (e *execution) raise(ctx context.Context) error {
	says, err := e.registry.Read(ctx)
	if err != nil {
		return err
	}
	wiped := maps.Clone(says.Epoch.Wiped)
	if wiped == nil {
		wiped = map[string]int64{}
	}
	for _, s := range e.plan.Stores {
		wiped[s] = e.plan.Epoch
	}
	return e.registry.SetEpoch(ctx, registry.Epoch{Number: e.plan.Epoch, Wiped: wiped})
}

// name says that the state is of the topics that the plan found.
func (e *execution) name(ctx context.Context) error {
	ids := map[string]string{}
	if e.says.Topics != nil {
		ids = maps.Clone(e.says.Topics.IDs)
	}
	maps.Copy(ids, e.record.Topics)
	return e.registry.SetTopics(ctx, ids)
}

// untouched says whether nobody has processed anything since the positions were committed.
func (e *execution) untouched(ctx context.Context) (bool, error) {
	g, err := e.client.DescribeGroup(ctx, e.plan.App)
	if err != nil || g.Running() {
		return false, err
	}
	committed, err := e.client.AllCommitted(ctx, e.plan.App)
	if err != nil {
		return false, err
	}
	for at, want := range e.positions() {
		if slices.Contains(e.plan.Empty, at.Topic) {
			continue
		}
		if got, ok := committed[at]; !ok || got.At != want.At {
			return false, nil
		}
	}
	return true, nil
}
