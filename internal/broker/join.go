package broker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// join runs JoinGroup and SyncGroup, and calls Assigned.
func (g *Group) join(ctx context.Context, reason string) error {
	userData, owned := g.o.Joining()
	meta := &sarama.ConsumerGroupMemberMetadata{Version: 2, Topics: g.o.Topics, UserData: userData, GenerationID: g.generation}
	byTopic := groupByTopic(owned)
	for _, topic := range slices.Sorted(maps.Keys(byTopic)) {
		meta.OwnedPartitions = append(meta.OwnedPartitions, &sarama.OwnedPartition{Topic: topic, Partitions: byTopic[topic]})
	}
	req := &sarama.JoinGroupRequest{
		Version: 8, GroupId: g.o.Group, MemberId: g.id, GroupInstanceId: g.instance(), ProtocolType: protocolType, Reason: &reason,
		SessionTimeout: int32(g.o.Session / time.Millisecond), RebalanceTimeout: int32(g.o.Rebalance / time.Millisecond),
	}
	if err := req.AddGroupProtocolMetadata(g.o.Protocol, meta); err != nil {
		return err
	}
	sent := time.Now()
	answered := g.waiting()
	j, err := g.conn.JoinGroup(req)
	answered()
	if err != nil {
		return err
	}
	g.answered = time.Now()
	switch j.Err {
	case sarama.ErrNoError:
		g.o.Held(sent.Add(g.o.Session))
		g.id = j.MemberId
		g.o.Joined()
		return g.sync(ctx, j)
	case sarama.ErrMemberIdRequired: // a dynamic member's first join
		g.id = j.MemberId
		return errAgain
	case sarama.ErrUnknownMemberId, sarama.ErrIllegalGeneration:
		g.forget(j.Err)
		return errAgain
	}
	return fmt.Errorf("join: %w", needs(explain(j.Err), "Read", "group", g.o.Group))
}

// sync hands out the plan, on the leader, and takes this member's part of it.
func (g *Group) sync(ctx context.Context, j *sarama.JoinGroupResponse) error {
	kind := protocolType
	req := &sarama.SyncGroupRequest{
		Version: 5, GroupId: g.o.Group, GenerationId: j.GenerationId, MemberId: g.id, GroupInstanceId: g.instance(),
		ProtocolType: &kind, ProtocolName: &g.o.Protocol,
	}
	if j.LeaderId == j.MemberId {
		if err := g.plan(j, req); err != nil {
			g.c.log.Error("the assignment could not be planned, joining again", "group", g.o.Group, "error", err)
			sleep(ctx, later+rand.N(2*later))
			return errAgain
		}
	}
	sent := time.Now()
	answered := g.waiting()
	r, err := g.conn.SyncGroup(req)
	answered()
	if err != nil {
		return err
	}
	g.answered = time.Now()
	switch r.Err {
	case sarama.ErrNoError:
		g.o.Held(sent.Add(g.o.Session))
	case sarama.ErrRebalanceInProgress:
		g.generation = j.GenerationId
		return errAgain
	case sarama.ErrUnknownMemberId, sarama.ErrIllegalGeneration:
		g.forget(r.Err)
		return errAgain
	default:
		return fmt.Errorf("sync: %w", explain(r.Err))
	}
	got := Assignment{}
	if len(r.MemberAssignment) > 0 { // else the leader's plan left this member out
		a, err := r.GetMemberAssignment()
		if err != nil {
			return fmt.Errorf("decode the assignment: %w", err)
		}
		got = Assignment{Partitions: partitionsOf(a.Topics), UserData: a.UserData}
	}
	g.generation = j.GenerationId
	if ctx.Err() != nil {
		return nil // it has ended, and was here for the others
	}
	g.o.Assigned(Member{Group: g.o.Group, ID: g.id, InstanceID: g.o.InstanceID, Generation: g.generation}, got)
	return nil
}

func (g *Group) plan(j *sarama.JoinGroupResponse, req *sarama.SyncGroupRequest) error {
	members := make([]GroupMember, 0, len(j.Members))
	for _, m := range j.Members {
		meta := metadataOf(m)
		member := GroupMember{ID: m.MemberId, UserData: meta.UserData, Generation: meta.GenerationID}
		if m.GroupInstanceId != nil {
			member.InstanceID = *m.GroupInstanceId
		}
		for _, o := range meta.OwnedPartitions {
			for _, i := range o.Partitions {
				member.Owned = append(member.Owned, kafka.Partition{Topic: o.Topic, Index: i})
			}
		}
		members = append(members, member)
	}
	slices.SortFunc(members, func(a, b GroupMember) int { return cmp.Compare(a.ID, b.ID) })
	plan, err := g.o.Plan(members)
	if err != nil {
		return err
	}
	for id, a := range plan {
		err := req.AddGroupAssignmentMember(id, &sarama.ConsumerGroupMemberAssignment{Topics: groupByTopic(a.Partitions), UserData: a.UserData})
		if err != nil {
			return err
		}
	}
	return nil
}

// metadataOf is what a member says, nothing if nobody here can read it. One that is foreign
// must not keep the others from their partitions.
func metadataOf(m sarama.GroupMember) (meta sarama.ConsumerGroupMemberMetadata) {
	defer func() {
		if recover() != nil { // sarama decodes for its own kind
			meta = sarama.ConsumerGroupMemberMetadata{GenerationID: -1}
		}
	}()
	metas, err := (&sarama.JoinGroupResponse{Members: []sarama.GroupMember{m}}).GetMembers()
	if err != nil {
		return sarama.ConsumerGroupMemberMetadata{GenerationID: -1}
	}
	return metas[m.MemberId]
}

func groupByTopic(ps []kafka.Partition) map[string][]int32 {
	topics := map[string][]int32{}
	for _, p := range ps {
		topics[p.Topic] = append(topics[p.Topic], p.Index)
	}
	return topics
}

func partitionsOf(topics map[string][]int32) []kafka.Partition {
	var ps []kafka.Partition
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		for _, i := range topics[topic] {
			ps = append(ps, kafka.Partition{Topic: topic, Index: i})
		}
	}
	return ps
}
