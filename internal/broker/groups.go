package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// GroupState is what a coordinator knows of a group.
type GroupState struct {
	State   string // as the broker names it, "Stable" say; empty: there is no such group
	Members []Membership
}

// Running says whether the group has members, also those that the broker does not describe
// since they speak another protocol.
func (g GroupState) Running() bool {
	return len(g.Members) > 0 || g.State != "" && g.State != "Empty" && g.State != "Dead"
}

// Membership is a member as others see it.
type Membership struct {
	ID, InstanceID, ClientID, Host string
	// What it has told the group's leader beside its topics, and what that has told it beside
	// its partitions; empty while the group rebalances.
	Subscription, Assignment []byte
}

// DescribeGroup asks for a group's state and members.
func (c *Client) DescribeGroup(ctx context.Context, group string) (GroupState, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	var g GroupState
	// A coordinator lists groups of every protocol, and describes those of the classic one.
	err := c.toGroup(group).ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.ListGroups(&sarama.ListGroupsRequest{Version: 5})
		if err != nil {
			return 0, err
		}
		g.State = r.GroupsData[group].GroupState
		return r.Err, nil
	})
	if err != nil {
		return g, fmt.Errorf("broker: list groups: %w", err)
	}
	err = c.toGroup(group).ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 5, Groups: []string{group}})
		if err != nil {
			return 0, err
		}
		if len(r.Groups) != 1 {
			return 0, sarama.ErrIncompleteResponse
		}
		g.Members = g.Members[:0]
		for id, m := range r.Groups[0].Members {
			member := Membership{ID: id, ClientID: m.ClientId, Host: m.ClientHost}
			if m.GroupInstanceId != nil {
				member.InstanceID = *m.GroupInstanceId
			}
			if meta, err := m.GetMemberMetadata(); err == nil && meta != nil {
				member.Subscription = meta.UserData
			}
			if a, err := m.GetMemberAssignment(); err == nil && a != nil {
				member.Assignment = a.UserData
			}
			g.Members = append(g.Members, member)
		}
		if r.Groups[0].Err == sarama.ErrGroupIDNotFound {
			return sarama.ErrNoError, nil
		}
		return r.Groups[0].Err, nil
	})
	if err != nil {
		return g, fmt.Errorf("broker: describe group %q: %w", group, err)
	}
	return g, nil
}

// Groups are the ids of all groups of the cluster.
func (c *Client) Groups(ctx context.Context) ([]string, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	if _, err := c.metadata(ctx, []string{"__consumer_offsets"}); err != nil {
		return nil, fmt.Errorf("broker: list groups: %w", err)
	}
	c.mu.Lock()
	brokers := slices.Clone(c.known)
	c.mu.Unlock()
	var ids []string
	for _, addr := range brokers {
		err := c.toLeader(addr).ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
			r, err := b.ListGroups(&sarama.ListGroupsRequest{Version: 5})
			if err != nil {
				return 0, err
			}
			for id := range r.Groups {
				ids = append(ids, id)
			}
			return r.Err, nil
		})
		if err != nil {
			return nil, fmt.Errorf("broker: list the groups of %s: %w", addr, err)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// RemoveMembers takes static members, by their instance ids, out of a group. Those that run
// notice, and join again.
func (c *Client) RemoveMembers(ctx context.Context, group string, instances ...string) error {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	req := &sarama.LeaveGroupRequest{Version: 4, GroupId: group}
	for _, id := range instances {
		req.Members = append(req.Members, sarama.MemberIdentity{GroupInstanceId: &id})
	}
	err := c.toGroup(group).ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.LeaveGroup(req)
		if err != nil {
			return 0, err
		}
		for _, m := range r.Members {
			if m.Err != sarama.ErrNoError && m.Err != sarama.ErrUnknownMemberId {
				return m.Err, nil
			}
		}
		return r.Err, nil
	})
	if err != nil {
		return fmt.Errorf("broker: remove members %v of group %q: %w", instances, group, err)
	}
	return nil
}

// AllCommitted are the group's committed offsets of all topics. It waits for transactions
// that are about to commit other ones.
func (c *Client) AllCommitted(ctx context.Context, group string) (map[kafka.Partition]kafka.Offset, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	found := map[kafka.Partition]kafka.Offset{}
	err := c.toGroup(group).ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		req := sarama.NewOffsetFetchRequest(c.cfg.Version, group, nil)
		req.RequireStable = true
		r, err := b.FetchOffset(req)
		if err != nil {
			return 0, err
		}
		if code := r.GroupError(); code != sarama.ErrNoError {
			return code, nil
		}
		clear(found)
		if len(r.Groups) > 0 { // Kafka 3.0 and newer
			return offsetsOf(r.Groups[0].Blocks, found), nil
		}
		return offsetsOf(r.Blocks, found), nil
	})
	if err != nil && !errors.Is(err, sarama.ErrGroupIDNotFound) {
		return nil, fmt.Errorf("broker: read the committed offsets of group %q: %w", group, err)
	}
	return found, nil
}

// offsetsOf collects the offsets of an answer, or returns why one is missing.
func offsetsOf(blocks map[string]map[int32]*sarama.OffsetFetchResponseBlock, found map[kafka.Partition]kafka.Offset) sarama.KError {
	for topic, ps := range blocks {
		for i, answer := range ps {
			if answer.Err != sarama.ErrNoError {
				return answer.Err
			}
			if answer.Offset >= 0 {
				found[kafka.Partition{Topic: topic, Index: i}] = kafka.Offset{At: answer.Offset, Metadata: answer.Metadata}
			}
		}
	}
	return sarama.ErrNoError
}
