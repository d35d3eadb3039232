package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// metadata asks any broker about topics; without names it asks about all there are. It
// never creates them.
func (c *Client) metadata(ctx context.Context, topics []string) (*sarama.MetadataResponse, error) {
	var answer *sarama.MetadataResponse
	err := c.any.ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		var err error
		if answer, err = b.GetMetadata(sarama.NewMetadataRequest(c.cfg.Version, topics)); err != nil {
			return 0, err
		}
		if len(answer.Brokers) == 0 { // a broker that is starting
			return sarama.ErrBrokerNotAvailable, nil
		}
		return sarama.ErrNoError, nil
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known, c.brokers = c.known[:0], map[int32]string{}
	for _, b := range answer.Brokers {
		c.known = append(c.known, b.Addr())
		c.brokers[b.ID()] = b.Addr()
	}
	return answer, nil
}

// nextAddress goes round the brokers the cluster named and those the user named, so that
// a dead one is passed over the next time.
func (c *Client) nextAddress(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addrs := slices.Concat(c.known, c.seeds)
	c.turn = (c.turn + 1) % len(addrs)
	return addrs[c.turn], nil
}

// findController is where topics are created. Since KRaft any broker will do, and it
// names itself or another one.
func (c *Client) findController(ctx context.Context) (string, error) {
	m, err := c.metadata(ctx, []string{"__consumer_offsets"})
	if err != nil {
		return "", err
	}
	for _, b := range m.Brokers {
		if b.ID() == m.ControllerID {
			return b.Addr(), nil
		}
	}
	return c.nextAddress(ctx)
}

// leader is where a partition is read and written. The epoch tells a broker that it, or
// whoever asks it, is behind.
type leader struct {
	addr  string
	epoch int32
	topic string // its id: a topic that was deleted and made anew has another one
}

// addressOf is where the broker with an id is; "" when that is not known.
func (c *Client) addressOf(id int32) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.brokers[id]
}

// leaders are those of topics' partitions.
type leaders map[string]map[int32]leader

func (l leaders) of(p kafka.Partition) (found leader, ok bool) {
	found, ok = l[p.Topic][p.Index]
	return found, ok
}

// findLeaders returns the leaders of the topics' partitions. A partition without one, or
// of a topic that does not exist, is absent.
func (c *Client) findLeaders(ctx context.Context, topics []string) (leaders, error) {
	if found, ok := c.led.ask(ctx, topics); ok {
		return found, nil
	}
	return c.askForLeaders(ctx, topics)
}

// leadersOf is findLeaders for many who ask.
func (c *Client) leadersOf(topics []string) map[string]map[int32]leader {
	ctx, end := c.bound(c.ctx, togetherTimeout)
	defer end()
	found, err := c.askForLeaders(ctx, topics)
	if err != nil {
		c.log.Debug("the leaders of topics could not be found at once", "error", err)
	}
	return found
}

func (c *Client) askForLeaders(ctx context.Context, topics []string) (leaders, error) {
	m, err := c.metadata(ctx, topics)
	if err != nil {
		return nil, err
	}
	addrs := map[int32]string{}
	for _, b := range m.Brokers {
		addrs[b.ID()] = b.Addr()
	}
	found := leaders{}
	for _, topic := range topics {
		found[topic] = map[int32]leader{}
	}
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if addr, ok := addrs[p.Leader]; ok && p.Err != sarama.ErrLeaderNotAvailable {
				found[t.Name][p.ID] = leader{addr, p.LeaderEpoch, topicID(t.Uuid)}
			}
		}
	}
	return found, nil
}

// findCoordinator returns the broker that keeps a group or a transactional id. It must be
// asked before either is used: only this creates the internal topic that keeps them.
func (c *Client) findCoordinator(ctx context.Context, kind sarama.CoordinatorType, key string) (string, error) {
	var addr string
	err := c.any.ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.FindCoordinator(&sarama.FindCoordinatorRequest{Version: 3, CoordinatorKey: key, CoordinatorType: kind})
		if err != nil {
			return 0, err
		}
		// COORDINATOR_NOT_AVAILABLE is an answer of the one who looked, not of the coordinator:
		// its topic is being created.
		if r.Err == sarama.ErrConsumerCoordinatorNotAvailable {
			return sarama.ErrOffsetsLoadInProgress, nil
		}
		if r.Err == sarama.ErrNoError {
			addr = r.Coordinator.Addr()
		}
		return r.Err, nil
	})
	if err != nil {
		what, operation := "group", "Read"
		if kind == sarama.CoordinatorTransaction {
			what, operation = "transactional id", "Write"
		}
		return "", fmt.Errorf("find the coordinator of %s %q: %w", what, key, needs(err, operation, what, key))
	}
	return addr, nil
}

// toGroup is the link to the coordinator of a group, kept open.
func (c *Client) toGroup(group string) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.groups[group]
	if l == nil {
		l = c.link(c.ctx, c.groupCoordinator(group))
		c.groups[group] = l
	}
	return l
}

func (c *Client) groupCoordinator(group string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		return c.findCoordinator(ctx, sarama.CoordinatorGroup, group)
	}
}

// toLeader is the link for questions to the broker at addr, apart from the connections
// that carry records.
func (c *Client) toLeader(addr string) *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.leaders[addr]
	if l == nil {
		l = c.link(c.ctx, func(context.Context) (string, error) { return addr, nil })
		c.leaders[addr] = l
	}
	return l
}
