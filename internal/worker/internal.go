package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
)

// internalTopic is a topic that the application creates.
type internalTopic struct {
	broker.TopicSpec
	compacted bool
}

// CreateTopics creates the application's repartition and changelog topics, and checks
// those that exist.
func (l *Layout) CreateTopics(ctx context.Context, c cluster.Cluster) error {
	for _, t := range l.internalTopics() {
		if err := createTopic(ctx, c, t); err != nil {
			return err
		}
	}
	var names []string
	for _, t := range l.internalTopics() {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return nil
	}
	found, err := existing(ctx, c, names...)
	if err != nil {
		return err
	}
	for name, t := range found {
		l.Partitions[name], l.IDs[name] = t.Partitions, t.ID
	}
	return nil
}

// Sizes are the numbers of partitions of all topics of the application, also of those that
// it is still to create.
func (l *Layout) Sizes() map[string]int32 {
	sizes := maps.Clone(l.Partitions)
	for _, t := range l.internalTopics() {
		sizes[t.Name] = t.Partitions
	}
	return sizes
}

// existing describes topics that exist. One that was made a moment ago, here or by another
// instance, may not be known to every broker yet.
func existing(ctx context.Context, c cluster.Cluster, names ...string) (map[string]broker.Topic, error) {
	for try := 1; ; try++ {
		found, err := c.Topics(ctx, names...)
		if err != nil || len(found) == len(names) {
			return found, err
		}
		if try == 50 {
			return nil, fmt.Errorf("of the application's topics %s the cluster describes only %d, though all exist: start again when its brokers agree", strings.Join(names, ", "), len(found))
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func createTopic(ctx context.Context, c cluster.Cluster, t internalTopic) error {
	err := c.CreateTopic(ctx, t.TopicSpec)
	if !errors.Is(err, broker.ErrTopicExists) {
		return err
	}
	found, err := existing(ctx, c, t.Name)
	if err != nil {
		return err
	}
	if n := found[t.Name].Partitions; n != t.Partitions {
		return fmt.Errorf("the application's topic %q has %d partitions and needs %d: its inputs have changed, or another application uses the name; give the new program another ApplicationID, or delete the topic when its state may be lost", t.Name, n, t.Partitions)
	}
	config, err := c.TopicConfig(ctx, t.Name)
	if err != nil {
		return err
	}
	policy := config["cleanup.policy"]
	if t.compacted != strings.Contains(policy, "compact") {
		return fmt.Errorf("the application's topic %q has cleanup.policy=%s and needs %s: correct it with kafka-configs, or it will lose what the application needs", t.Name, policy, t.Config["cleanup.policy"])
	}
	return nil
}

// InternalTopics are the topics that the application creates, as it creates them.
func InternalTopics(app string, p *plan.Plan, partitions map[string]int32) (specs []broker.TopicSpec) {
	for _, t := range (&Layout{App: app, Plan: p, Partitions: partitions}).internalTopics() {
		specs = append(specs, t.TopicSpec)
	}
	return specs
}

// internalTopics are described as Kafka Streams describes them, so that every Kafka tool
// knows what they are.
func (l *Layout) internalTopics() (ts []internalTopic) {
	for _, t := range l.repartitions() {
		name := t.In(l.App)
		config := internalConfig("delete", 50<<20)
		config["retention.ms"] = "-1"
		ts = append(ts, internalTopic{TopicSpec: broker.TopicSpec{Name: name, Partitions: l.Partitions[name], Replication: -1, Config: config}})
	}
	for _, s := range l.Plan.Subtopologies {
		for _, st := range s.Stores {
			if st.NoChangelog || st.Source >= 0 {
				continue
			}
			ts = append(ts, internalTopic{compacted: true, TopicSpec: broker.TopicSpec{
				Name: st.Changelog(l.App), Partitions: l.width(s), Replication: -1, Config: changelogConfig(st),
			}})
		}
	}
	return ts
}

// internalConfig is what all internal topics have in common. Their segments end by size alone:
// by segment.ms the broker would end them by the times of the records, every few requests when
// years are replayed.
func internalConfig(policy string, segment int) map[string]string {
	return map[string]string{
		"cleanup.policy": policy, "message.timestamp.type": "CreateTime",
		"segment.bytes": strconv.Itoa(segment), "segment.ms": strconv.FormatInt(math.MaxInt64, 10),
	}
}

// day is what changelogs keep longer than their stores do, for clocks that disagree.
const day = 24 * time.Hour

func changelogConfig(st plan.Store) map[string]string {
	config := internalConfig("compact", 128<<20)
	config["delete.retention.ms"] = strconv.FormatInt(store.Deletes.Milliseconds(), 10) // stores rely on it
	switch st.Kind {
	case store.Window, store.Session, store.List:
		// It is the application that deletes what its stores have forgotten (purge.go):
		// the broker would do it by the time of day, and forget what is replayed.
		config["cleanup.policy"], config["retention.ms"] = "compact,delete", "-1"
	case store.Versioned:
		config["min.compaction.lag.ms"] = strconv.FormatInt(st.History+day.Milliseconds(), 10)
	}
	return config
}
