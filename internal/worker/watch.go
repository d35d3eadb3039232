package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// ErrTopicsChanged is why an instance ends that has to begin anew: a topic that it reads was
// deleted and made again.
var ErrTopicsChanged = errors.New("a topic was deleted and made anew")

// topicsInterval is how often the instance looks whether its topics have changed.
const topicsInterval = 5 * time.Second

// watchTopics looks whether the topics that are read have more partitions, or are others.
func (n *Instance) watchTopics(ctx context.Context) {
	for {
		n.c.Sched.Wait(ctx, nil, topicsInterval)
		if ctx.Err() != nil {
			return
		}
		if err := n.lookAtTopics(ctx); err != nil {
			n.fail(err)
			return
		}
	}
}

func (n *Instance) lookAtTopics(ctx context.Context) error {
	n.mu.Lock()
	l := n.layout
	n.mu.Unlock()
	found, err := n.c.Client.Topics(ctx, l.inputs()...)
	if err != nil {
		return nil // the broker's absence is somebody else's trouble
	}
	counts := map[string]int32{}
	for name, t := range found {
		if id := l.IDs[name]; id != "" && t.ID != "" && t.ID != id {
			return fmt.Errorf("topic %s: %w", name, ErrTopicsChanged)
		}
		counts[name] = t.Partitions
	}
	grown, err := l.grow(counts)
	if err != nil || grown == nil {
		return err
	}
	n.c.Log.Info("topics have more partitions; there are new tasks", "tasks", len(grown.Tasks()))
	n.relay(grown)
	n.group.Rejoin("topics have more partitions")
	return nil
}

// relay has everybody use a new layout, for tasks that begin from now on.
func (n *Instance) relay(l *Layout) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.layout = l
	for _, w := range n.workers {
		w.post(func() error { w.layout = l; return nil })
	}
}

// inputs are the topics of others that are read.
func (l *Layout) inputs() (names []string) {
	for _, s := range l.Plan.Subtopologies {
		for _, src := range s.Sources {
			if !src.Repartition {
				names = append(names, src.Name)
			}
		}
	}
	for _, g := range l.Plan.Globals {
		names = append(names, g.Topic)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// grow is the layout with more partitions of the topics that are read, nil if there are no
// more. Sub-topologies without state have more tasks then. State is divided by partitions,
// so it cannot follow.
func (l *Layout) grow(counts map[string]int32) (*Layout, error) {
	grown := &Layout{App: l.App, Plan: l.Plan, Partitions: maps.Clone(l.Partitions), IDs: l.IDs}
	changed := ""
	for _, name := range l.inputs() {
		if n := counts[name]; n > l.Partitions[name] {
			changed, grown.Partitions[name] = name, n
		}
	}
	if changed == "" {
		return nil, nil
	}
	for i, g := range l.Plan.Globals {
		if was, is := l.Partitions[g.Topic], grown.Partitions[g.Topic]; is > was {
			return nil, fmt.Errorf("topic %s of global table %s has %d partitions now and had %d: %w", g.Topic, l.Plan.Globals[i].Name, is, was, ErrTopicsChanged)
		}
	}
	for i, s := range l.Plan.Subtopologies {
		if was, is := l.width(s), grown.width(s); is > was && len(s.Stores) > 0 {
			return nil, grownState(i, s, l, was, is)
		}
	}
	return grown, grown.checkCopartitions()
}

func grownState(i int, s *plan.Subtopology, l *Layout, was, is int32) error {
	var topics, stores []string
	for _, src := range s.Sources {
		topics = append(topics, src.In(l.App))
	}
	for _, st := range s.Stores {
		stores = append(stores, st.Name)
	}
	return fmt.Errorf("sub-topology %d reads %s, with %d partitions now and %d before, and its state (%s) is divided by partitions: keys that moved to another partition would not meet their rows. "+
		"Create a new topic with as many partitions as you want and let a program copy the old one into it by key, or read the topic through kstream.Repartition with Partitions set, and run the changed program under a new ApplicationID",
		i, strings.Join(topics, ", "), is, was, strings.Join(stores, ", "))
}
