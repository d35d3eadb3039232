package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// adminTimeout bounds how long a question about topics or offsets is asked again.
const adminTimeout = 30 * time.Second

// brokerTimeout bounds how long one broker is waited for where others are asked as well.
const brokerTimeout = 5 * time.Second

// Topic is what metadata says about a topic.
type Topic struct {
	Partitions int32
	ID         string // tells a topic from another one of the same name, before or after it; "" where the broker has none
}

// Topics describes the topics of the given names. One that does not exist is absent from
// the map, and is not created.
func (c *Client) Topics(ctx context.Context, names ...string) (map[string]Topic, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	if len(names) == 0 {
		return map[string]Topic{}, nil
	}
	m, err := c.metadata(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("broker: describe topics %v: %w", names, err)
	}
	return describe(m)
}

// TopicIDs asks every broker which topics have these names, and returns for each name all
// answers, "" for none. One alone may be behind. Brokers that cannot be asked are left out.
func (c *Client) TopicIDs(ctx context.Context, names ...string) (map[string][]string, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	m, err := c.metadata(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("broker: describe topics %v: %w", names, err)
	}
	ids := map[string][]string{}
	for _, b := range m.Brokers {
		var found map[string]Topic
		one, end := c.bound(ctx, brokerTimeout)
		_, err := c.toLeader(b.Addr()).once(one, func(b *sarama.Broker) (sarama.KError, error) {
			m, err := b.GetMetadata(sarama.NewMetadataRequest(c.cfg.Version, names))
			if err != nil {
				return 0, err
			}
			found, err = describe(m)
			return sarama.ErrNoError, err
		})
		end()
		if err != nil {
			c.log.Warn("a broker does not say which topics it knows", "broker", b.Addr(), "error", err)
			continue
		}
		for _, name := range names {
			if id := found[name].ID; !slices.Contains(ids[name], id) {
				ids[name] = append(ids[name], id)
			}
		}
	}
	return ids, nil
}

// AllTopics describes every topic that this user may see.
func (c *Client) AllTopics(ctx context.Context) (map[string]Topic, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	m, err := c.metadata(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("broker: describe all topics: %w", err)
	}
	return describe(m)
}

// describe is what an answer says about topics that exist.
func describe(m *sarama.MetadataResponse) (map[string]Topic, error) {
	found := map[string]Topic{}
	for _, t := range m.Topics {
		switch t.Err {
		case sarama.ErrUnknownTopicOrPartition:
		case sarama.ErrNoError, sarama.ErrLeaderNotAvailable:
			found[t.Name] = Topic{Partitions: int32(len(t.Partitions)), ID: topicID(t.Uuid)}
		default:
			err := needs(explain(t.Err), "Read or Write, whichever it needs,", "topic", t.Name)
			return nil, refusal(kafka.Partition{Topic: t.Name}, t.Err, fmt.Errorf("broker: describe topic %q: %w", t.Name, err))
		}
	}
	return found, nil
}

func topicID(id sarama.Uuid) string {
	if id == (sarama.Uuid{}) {
		return ""
	}
	return id.String()
}

// TopicSpec is a topic to create.
type TopicSpec struct {
	Name        string
	Partitions  int32 // -1: the broker's default
	Replication int16 // -1: the broker's default
	Config      map[string]string
}

// CreateTopic creates a topic, and returns when each of its partitions has a leader. It
// returns ErrTopicExists when a topic has the name already, maybe because of a first
// request of its own whose answer got lost.
func (c *Client) CreateTopic(ctx context.Context, spec TopicSpec) error {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	config := map[string]*string{}
	for k, v := range spec.Config {
		config[k] = &v
	}
	detail := &sarama.TopicDetail{NumPartitions: spec.Partitions, ReplicationFactor: spec.Replication, ConfigEntries: config}
	var why string
	err := c.controller.ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		req := sarama.NewCreateTopicsRequest(c.cfg.Version, map[string]*sarama.TopicDetail{spec.Name: detail}, readTimeout/2, false)
		r, err := b.CreateTopics(req)
		if err != nil {
			return 0, err
		}
		answer := r.TopicErrors[spec.Name]
		if answer == nil {
			return 0, sarama.ErrIncompleteResponse
		}
		if answer.ErrMsg != nil {
			why = *answer.ErrMsg
		}
		return answer.Err, nil
	})
	err = needs(err, "Create", "topic", spec.Name)
	switch {
	case errors.Is(err, sarama.ErrTopicAlreadyExists):
		return fmt.Errorf("%w: %q", ErrTopicExists, spec.Name)
	case err != nil && why != "":
		return fmt.Errorf("broker: create topic %q: %w (%s)", spec.Name, err, why)
	case err != nil:
		return fmt.Errorf("broker: create topic %q: %w", spec.Name, err)
	}
	if err := c.awaitLeaders(ctx, spec.Name, spec.Partitions); err != nil {
		return fmt.Errorf("broker: topic %q was created, but its partitions have no leaders yet: %w", spec.Name, err)
	}
	return nil
}

// DeleteTopics deletes topics, and returns when the cluster says that they are gone. One
// that does not exist is none to delete.
func (c *Client) DeleteTopics(ctx context.Context, names ...string) error {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	if len(names) == 0 {
		return nil
	}
	var at string
	err := c.controller.ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.DeleteTopics(sarama.NewDeleteTopicsRequest(c.cfg.Version, names, readTimeout/2))
		if err != nil {
			return 0, err
		}
		for name, code := range r.TopicErrorCodes {
			if code != sarama.ErrNoError && code != sarama.ErrUnknownTopicOrPartition {
				at = name
				return code, nil
			}
		}
		return sarama.ErrNoError, nil
	})
	if err != nil {
		return fmt.Errorf("broker: delete topic %q: %w", at, err)
	}
	for {
		left, err := c.Topics(ctx, names...)
		if err != nil || len(left) == 0 {
			return err
		}
		if sleep(ctx, later); ctx.Err() != nil {
			return fmt.Errorf("broker: topics %v were deleted, but are still there: %w", names, context.Cause(ctx))
		}
	}
}

// awaitLeaders returns when each of the topic's partitions (-1: however many) has a leader.
func (c *Client) awaitLeaders(ctx context.Context, topic string, partitions int32) error {
	for {
		found, err := c.findLeaders(ctx, []string{topic})
		if err != nil {
			return err
		}
		n := partitions
		if n < 0 {
			described, err := c.Topics(ctx, topic)
			if err != nil {
				return err
			}
			n = max(1, described[topic].Partitions)
		}
		if int32(len(found[topic])) >= n {
			return nil
		}
		if sleep(ctx, soon); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// TopicConfig returns the topic's settings, those it has from the broker included.
func (c *Client) TopicConfig(ctx context.Context, name string) (map[string]string, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	config := map[string]string{}
	err := c.any.ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.DescribeConfigs(&sarama.DescribeConfigsRequest{
			Version:   4,
			Resources: []*sarama.ConfigResource{{Type: sarama.TopicResource, Name: name}},
		})
		if err != nil {
			return 0, err
		}
		for _, res := range r.Resources {
			if code := sarama.KError(res.ErrorCode); code != sarama.ErrNoError {
				return code, nil
			}
			for _, e := range res.Configs {
				config[e.Name] = e.Value
			}
		}
		return sarama.ErrNoError, nil
	})
	if err != nil {
		return nil, fmt.Errorf("broker: read the configuration of topic %q: %w", name, needs(err, "DescribeConfigs", "topic", name))
	}
	return config, nil
}

// DeleteRecords deletes the records before the given offsets. The topics must have
// cleanup.policy delete.
func (c *Client) DeleteRecords(ctx context.Context, before map[kafka.Partition]int64) error {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	ps := make([]kafka.Partition, 0, len(before))
	for p := range before {
		ps = append(ps, p)
	}
	var refused string // the topic
	err := c.askLeaders(ctx, ps, func(b *sarama.Broker, ps []kafka.Partition) (map[kafka.Partition]sarama.KError, error) {
		req := &sarama.DeleteRecordsRequest{Version: 2, Timeout: readTimeout / 2, Topics: map[string]*sarama.DeleteRecordsRequestTopic{}}
		for _, p := range ps {
			t := req.Topics[p.Topic]
			if t == nil {
				t = &sarama.DeleteRecordsRequestTopic{PartitionOffsets: map[int32]int64{}}
				req.Topics[p.Topic] = t
			}
			t.PartitionOffsets[p.Index] = before[p]
		}
		r, err := b.DeleteRecords(req)
		if err != nil {
			return nil, err
		}
		codes := map[kafka.Partition]sarama.KError{}
		for topic, t := range r.Topics {
			for i, answer := range t.Partitions {
				codes[kafka.Partition{Topic: topic, Index: i}] = answer.Err
				if denied(answer.Err) {
					refused = topic
				}
			}
		}
		return codes, nil
	})
	if err != nil {
		return fmt.Errorf("broker: delete records: %w", needs(err, "Delete", "topic", refused))
	}
	return nil
}

// leaderQuestion is one request to a leader about some of its partitions. It returns a code
// for each.
type leaderQuestion func(*sarama.Broker, []kafka.Partition) (map[kafka.Partition]sarama.KError, error)

// askLeaders puts q to the leaders of ps, and again for the partitions whose leader was
// another one or did not answer. A refusal that stays ends the matter.
func (c *Client) askLeaders(ctx context.Context, ps []kafka.Partition, q leaderQuestion) error {
	for {
		again, why, err := c.askLeadersOnce(ctx, ps, q)
		if err != nil || len(again) == 0 {
			return err
		}
		if sleep(ctx, later); ctx.Err() != nil {
			return fmt.Errorf("%w: last: %w", context.Cause(ctx), why)
		}
		ps = again
	}
}

// askLeadersOnce returns the partitions to ask for again, and why.
func (c *Client) askLeadersOnce(ctx context.Context, ps []kafka.Partition, q leaderQuestion) (again []kafka.Partition, why, err error) {
	if len(ps) == 0 {
		return nil, nil, nil
	}
	found, err := c.findLeaders(ctx, topicsOf(ps))
	if err != nil {
		return nil, nil, err
	}
	byLeader := map[string][]kafka.Partition{}
	for _, p := range ps {
		if l, ok := found.of(p); ok {
			byLeader[l.addr] = append(byLeader[l.addr], p)
		} else {
			again, why = append(again, p), about(p, sarama.ErrLeaderNotAvailable)
		}
	}
	for addr, ps := range byLeader {
		var codes map[kafka.Partition]sarama.KError
		_, err := c.toLeader(addr).once(ctx, func(b *sarama.Broker) (code sarama.KError, err error) {
			codes, err = q(b, ps)
			return sarama.ErrNoError, err
		})
		if err != nil && !reconnectable(err) {
			return nil, nil, err
		}
		for _, p := range ps {
			code, answered := codes[p]
			switch {
			case err != nil || !answered:
				again, why = append(again, p), about(p, cmp.Or(err, error(sarama.ErrIncompleteResponse)))
			case isResendable(code):
				again, why = append(again, p), about(p, code)
			case code != sarama.ErrNoError:
				return nil, nil, about(p, explain(code))
			}
		}
	}
	return again, why, nil
}

func topicsOf(ps []kafka.Partition) []string {
	seen := map[string]bool{}
	var topics []string
	for _, p := range ps {
		if !seen[p.Topic] {
			seen[p.Topic] = true
			topics = append(topics, p.Topic)
		}
	}
	return topics
}
