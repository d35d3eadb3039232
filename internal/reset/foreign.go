package reset

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/registry"
)

// ofStreams are the endings of topics that Kafka Streams creates for an application.
var ofStreams = regexp.MustCompile(`-changelog$|-repartition$|-subscription-registration-topic$|-subscription-response-topic$|-KTABLE-FK-JOIN-SUBSCRIPTION-(REGISTRATION|RESPONSE)-\d+-topic$`)

// makeForeign plans the reset of an application that has no registry, as those of Kafka
// Streams have none: all that is known are its group, and how its topics are named.
func makeForeign(ctx context.Context, c *broker.Client, o Options) (*Plan, error) {
	committed, err := c.AllCommitted(ctx, o.App)
	if err != nil {
		return nil, err
	}
	own, notes, err := ownTopics(ctx, c, o)
	if err != nil {
		return nil, err
	}
	if len(committed) == 0 && len(own) == 0 && len(o.Topics) == 0 {
		return nil, fmt.Errorf("application %s: %w: nor is there a group or a topic of Kafka Streams of that name", o.App, registry.ErrNone)
	}
	p := &Plan{App: o.App, Target: o.To.Say, KeepState: o.KeepState, Foreign: true, Notes: notes}
	if p.Topics = slices.Clone(o.Topics); len(p.Topics) == 0 {
		p.Topics = o.To.topics()
	}
	if len(p.Topics) == 0 {
		for at := range committed {
			if !strings.HasPrefix(at.Topic, o.App+"-") || !ofStreams.MatchString(at.Topic) {
				p.Topics = append(p.Topics, at.Topic)
			}
		}
	}
	slices.Sort(p.Topics)
	p.Topics = slices.Compact(p.Topics)
	found, err := c.Topics(ctx, p.Topics...)
	if err != nil {
		return nil, err
	}
	var ps []kafka.Partition
	for _, t := range p.Topics {
		if found[t].Partitions == 0 {
			return nil, fmt.Errorf("there is no topic %q", t)
		}
		for i := range found[t].Partitions {
			ps = append(ps, kafka.Partition{Topic: t, Index: i})
		}
	}
	if err := p.move(ctx, c, ps, o.To, false); err != nil {
		return nil, err
	}
	if !o.KeepState {
		p.Delete = slices.DeleteFunc(own, func(t string) bool { return slices.Contains(p.Topics, t) })
		p.Notes = append(p.Notes, "the application has no registry, so it is taken for one of Kafka Streams: delete its local state yourself, in state.dir/"+o.App+" on every machine or with KafkaStreams#cleanUp, before it starts again")
	}
	return p.filled(), nil
}

// ownTopics are the topics that Kafka Streams has created for the application, by their
// names. What may belong to another application, whose id begins with this one's, is left
// alone.
func ownTopics(ctx context.Context, c *broker.Client, o Options) (own, notes []string, err error) {
	topics, err := c.AllTopics(ctx)
	if err != nil {
		return nil, nil, err
	}
	ids, err := c.Groups(ctx)
	if err != nil {
		return nil, nil, err
	}
	apps, err := registry.Applications(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	for name := range topics {
		if !strings.HasPrefix(name, o.App+"-") || !ofStreams.MatchString(name) {
			continue
		}
		owner := ""
		for _, id := range append(ids, apps...) {
			if strings.HasPrefix(id, o.App+"-") && strings.HasPrefix(name, id+"-") && len(id) > len(owner) {
				owner = id
			}
		}
		switch {
		case slices.Contains(o.Internal, name), len(o.Internal) == 0 && owner == "":
			own = append(own, name)
		case owner != "":
			notes = append(notes, fmt.Sprintf("topic %s is left alone: it may belong to %s", name, owner))
		}
	}
	for _, t := range o.Internal {
		if !slices.Contains(own, t) {
			return nil, nil, fmt.Errorf("topic %q does not exist, or is not named as Kafka Streams names topics of application %s", t, o.App)
		}
	}
	slices.Sort(own)
	slices.Sort(notes)
	return own, notes, nil
}
