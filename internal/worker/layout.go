package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
)

// Layout is a plan laid over a cluster: the names of its topics and how many partitions
// they have, and so its tasks.
type Layout struct {
	App        string
	Plan       *plan.Plan
	Partitions map[string]int32 // by topic
	IDs        map[string]string

	others []string // topics that must exist, too
}

// MissingTopicsError names topics that the cluster does not have.
type MissingTopicsError struct{ Topics []string }

func (e *MissingTopicsError) Error() string {
	return fmt.Sprintf("the cluster has no topic %s: create it, or correct its name in the program; an application creates only its repartition and changelog topics", strings.Join(e.Topics, ", "))
}

// NewLayout looks the plan's topics up, and others. It fails with every topic that is
// missing, and with partitions of co-partitioned topics that differ.
func NewLayout(ctx context.Context, c cluster.Cluster, app string, p *plan.Plan, others ...string) (*Layout, error) {
	l := &Layout{App: app, Plan: p, Partitions: map[string]int32{}, IDs: map[string]string{}, others: others}
	names := slices.Clone(others)
	for _, s := range p.Subtopologies {
		for _, src := range s.Sources {
			names = append(names, src.In(app))
		}
		for _, sink := range s.Sinks {
			if !sink.Each {
				names = append(names, sink.In(app))
			}
		}
	}
	for _, g := range p.Globals {
		names = append(names, g.Topic)
	}
	slices.Sort(names)
	if err := l.find(ctx, c, slices.Compact(names)); err != nil {
		return nil, err
	}
	l.sizeRepartitions()
	return l, l.checkCopartitions()
}

// find looks topics up, and again for a moment where one is missing: a topic that was just
// made takes some time to be known to every broker.
func (l *Layout) find(ctx context.Context, c cluster.Cluster, names []string) error {
	for try := 1; ; try++ {
		found, err := c.Topics(ctx, names...)
		if err != nil {
			return err
		}
		for name, t := range found {
			l.Partitions[name], l.IDs[name] = t.Partitions, t.ID
		}
		if err = l.missing(); err == nil || try == 10 {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// missing names the topics of others that do not exist.
func (l *Layout) missing() error {
	var names []string
	add := func(t plan.Topic) {
		if name := t.In(l.App); !t.Repartition && l.Partitions[name] == 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range l.others {
		add(plan.Topic{Name: name})
	}
	for _, g := range l.Plan.Globals {
		add(plan.Topic{Name: g.Topic})
	}
	for _, s := range l.Plan.Subtopologies {
		for _, src := range s.Sources {
			add(src.Topic)
		}
		for _, sink := range s.Sinks {
			if !sink.Each {
				add(sink.Topic)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &MissingTopicsError{names}
}

// sizeRepartitions counts the partitions of repartition topics: as wanted; topics that are
// co-partitioned with topics of others have as many as those; else as many as it has if the
// topic exists, and as many as the topics have that the records come from if it does not.
// What does not agree with what exists is noticed by CreateTopics.
func (l *Layout) sizeRepartitions() {
	exist := map[string]int32{}
	for _, t := range l.repartitions() {
		name := t.In(l.App)
		exist[name] = l.Partitions[name]
		delete(l.Partitions, name)
	}
	for changed := true; changed; {
		changed = false
		for _, s := range l.Plan.Subtopologies {
			for _, sink := range s.Sinks {
				name := sink.In(l.App)
				if !sink.Repartition {
					continue
				}
				want := cmp.Or(sink.Partitions, l.copartners(sink.Topic), exist[name], l.width(s))
				if want > 0 && l.Partitions[name] != want {
					l.Partitions[name], changed = want, true
				}
			}
		}
	}
}

// repartitions are the plan's repartition topics.
func (l *Layout) repartitions() (ts []plan.Topic) {
	for _, s := range l.Plan.Subtopologies {
		for _, sink := range s.Sinks {
			if sink.Repartition {
				ts = append(ts, sink.Topic)
			}
		}
	}
	return ts
}

// width is how many tasks a sub-topology has.
func (l *Layout) width(s *plan.Subtopology) (n int32) {
	for _, src := range s.Sources {
		n = max(n, l.Partitions[src.In(l.App)])
	}
	return n
}

// copartners is how many partitions the topics of others have that t must match; 0
// without any.
func (l *Layout) copartners(t plan.Topic) (n int32) {
	for _, s := range l.Plan.Subtopologies {
		for _, group := range s.Copartitioned {
			in := slices.ContainsFunc(group, func(i int) bool { return s.Sources[i].Name == t.Name && s.Sources[i].Repartition })
			if !in {
				continue
			}
			for _, i := range group {
				if src := s.Sources[i]; !src.Repartition || src.Partitions > 0 {
					n = max(n, l.Partitions[src.In(l.App)], src.Partitions)
				}
			}
		}
	}
	return n
}

// checkCopartitions fails where topics must have as many partitions as each other and have not.
func (l *Layout) checkCopartitions() error {
	var errs []error
	for _, s := range l.Plan.Subtopologies {
		for _, group := range s.Copartitioned {
			var list []string
			same := true
			for _, i := range group {
				name := s.Sources[i].In(l.App)
				list = append(list, fmt.Sprintf("%s %d", name, l.Partitions[name]))
				same = same && l.Partitions[name] == l.Partitions[s.Sources[group[0]].In(l.App)]
			}
			if !same {
				errs = append(errs, fmt.Errorf("topics that are joined or grouped together must have as many partitions as each other, and have: %s; recreate one, or send its stream through kstream.Repartition with Partitions set", strings.Join(list, ", ")))
			}
		}
	}
	return errors.Join(errs...)
}

// Tasks are all tasks, in order.
func (l *Layout) Tasks() (ids []plan.TaskID) {
	for i, s := range l.Plan.Subtopologies {
		for p := range l.width(s) {
			ids = append(ids, plan.TaskID{Subtopology: i, Partition: p})
		}
	}
	return ids
}

// assignable are all tasks, and whether they have state that is restored.
func (l *Layout) assignable() (tasks []assign.Task) {
	for _, id := range l.Tasks() {
		stateful := slices.ContainsFunc(l.Plan.Subtopologies[id.Subtopology].Stores, func(s plan.Store) bool { return !s.NoChangelog })
		tasks = append(tasks, assign.Task{TaskID: id, Stateful: stateful})
	}
	return tasks
}

// Inputs are the partitions that a task reads, by input slot; without a topic where the
// topic has too few.
func (l *Layout) Inputs(id plan.TaskID) (ps []kafka.Partition) {
	for _, src := range l.Plan.Subtopologies[id.Subtopology].Sources {
		p := kafka.Partition{Topic: src.In(l.App), Index: id.Partition}
		if id.Partition >= l.Partitions[p.Topic] {
			p = kafka.Partition{}
		}
		ps = append(ps, p)
	}
	return ps
}

// idsOf are the ids of partitions' topics.
func (l *Layout) idsOf(ps []kafka.Partition) []string {
	ids := make([]string, len(ps))
	for i, p := range ps {
		ids[i] = l.IDs[p.Topic]
	}
	return ids
}

// Changelog is the partition that holds the changes of a task's store: the task's own, of
// the store's topic or of the source that it is read from. It is empty for a store without.
func (l *Layout) Changelog(id plan.TaskID, slot int) kafka.Partition {
	s := l.Plan.Subtopologies[id.Subtopology]
	switch st := s.Stores[slot]; {
	case st.NoChangelog:
		return kafka.Partition{}
	case st.Source >= 0:
		return l.Inputs(id)[st.Source]
	default:
		return kafka.Partition{Topic: st.Changelog(l.App), Index: id.Partition}
	}
}

// Sources are the topics that the application subscribes to.
func (l *Layout) Sources() (names []string) {
	for _, s := range l.Plan.Subtopologies {
		for _, src := range s.Sources {
			names = append(names, src.In(l.App))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
