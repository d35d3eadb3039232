package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// The offsets that ListOffsets knows by name.
const (
	Earliest int64 = -2 // the first record that is still there
	Latest   int64 = -1 // the end: where the next record goes, or with read-committed the first open transaction
)

// commitTimeout bounds how long CommitOffsets looks for a coordinator. A member that
// could not reach it for so long has lost its partitions in any case.
const commitTimeout = time.Minute

// togetherTimeout bounds a request for many. After that each asks for itself.
const togetherTimeout = 5 * time.Second

// ListOffsets returns an offset of each partition: Earliest, Latest, or that of the first
// record with a time at or after the given one, in milliseconds since 1970, and the end
// when there is none.
func (c *Client) ListOffsets(ctx context.Context, ps []kafka.Partition, at int64, readCommitted bool) (map[kafka.Partition]int64, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	if at < 0 {
		if offsets, ok := c.ends(at, readCommitted).ask(ctx, ps); ok {
			return offsets, nil
		}
	}
	offsets, err := c.listOffsets(ctx, ps, at, readCommitted)
	if err != nil {
		return nil, fmt.Errorf("broker: list offsets: %w", err)
	}
	var none []kafka.Partition
	for p, offset := range offsets {
		if offset < 0 {
			none = append(none, p)
		}
	}
	if len(none) == 0 || at < 0 {
		return offsets, nil
	}
	ends, err := c.listOffsets(ctx, none, Latest, readCommitted)
	if err != nil {
		return nil, fmt.Errorf("broker: list offsets: %w", err)
	}
	for p, offset := range ends {
		offsets[p] = offset
	}
	return offsets, nil
}

func (c *Client) listOffsets(ctx context.Context, ps []kafka.Partition, at int64, readCommitted bool) (map[kafka.Partition]int64, error) {
	offsets := map[kafka.Partition]int64{}
	return offsets, c.askLeaders(ctx, ps, c.listing(at, readCommitted, offsets))
}

// listing asks a leader for offsets, which go to found.
func (c *Client) listing(at int64, readCommitted bool, found map[kafka.Partition]int64) leaderQuestion {
	return func(b *sarama.Broker, ps []kafka.Partition) (map[kafka.Partition]sarama.KError, error) {
		req := sarama.NewOffsetRequest(c.cfg.Version)
		req.IsolationLevel = isolation(readCommitted)
		for _, p := range ps {
			req.AddBlock(p.Topic, p.Index, at, 1)
		}
		r, err := b.GetAvailableOffsets(req)
		if err != nil {
			return nil, err
		}
		codes := map[kafka.Partition]sarama.KError{}
		for _, p := range ps {
			if answer := r.GetBlock(p.Topic, p.Index); answer != nil {
				if codes[p] = answer.Err; answer.Err == sarama.ErrNoError {
					found[p] = answer.Offset
				}
			}
		}
		return codes, nil
	}
}

// ends asks for Earliest or Latest of many partitions at once.
func (c *Client) ends(at int64, readCommitted bool) *together[kafka.Partition, int64] {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := endKind{at, readCommitted}
	t := c.endsOf[kind]
	if t == nil {
		t = &together[kafka.Partition, int64]{once: func(ps []kafka.Partition) map[kafka.Partition]int64 {
			ctx, end := c.bound(c.ctx, togetherTimeout)
			defer end()
			found := map[kafka.Partition]int64{}
			_, _, err := c.askLeadersOnce(ctx, ps, c.listing(at, readCommitted, found))
			if err != nil {
				c.log.Debug("offsets of many partitions could not be listed at once", "error", err)
			}
			return found
		}}
		c.endsOf[kind] = t
	}
	return t
}

// endKind is which end of a partition, and for which readers.
type endKind struct {
	at            int64
	readCommitted bool
}

func isolation(readCommitted bool) sarama.IsolationLevel {
	if readCommitted {
		return sarama.ReadCommitted
	}
	return sarama.ReadUncommitted
}

// Committed returns the group's committed offsets. A partition without one is absent. It
// waits for transactions that are about to commit other ones.
func (c *Client) Committed(ctx context.Context, group string, ps []kafka.Partition) (map[kafka.Partition]kafka.Offset, error) {
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	found, ok := c.commitsOf(group).ask(ctx, ps)
	if !ok {
		found = map[kafka.Partition]kafka.Offset{}
		var at kafka.Partition // what an error is about
		err := c.toGroup(group).ask(ctx, func(b *sarama.Broker) (code sarama.KError, err error) {
			at, code, err = c.fetchOffsets(b, group, ps, found)
			return code, err
		})
		if err != nil {
			return nil, fmt.Errorf("broker: read the committed offsets of group %q: %w", group, about(at, err))
		}
	}
	maps.DeleteFunc(found, func(_ kafka.Partition, o kafka.Offset) bool { return o.At < 0 })
	return found, nil
}

// fetchOffsets asks a coordinator for committed offsets, which go to found; At is negative
// where none is. It returns the last code that is none of success, and which partition it is
// about.
func (c *Client) fetchOffsets(b *sarama.Broker, group string, ps []kafka.Partition, found map[kafka.Partition]kafka.Offset) (at kafka.Partition, code sarama.KError, err error) {
	partitions := map[string][]int32{}
	for _, p := range ps {
		partitions[p.Topic] = append(partitions[p.Topic], p.Index)
	}
	req := sarama.NewOffsetFetchRequest(c.cfg.Version, group, partitions)
	req.RequireStable = true
	r, err := b.FetchOffset(req)
	if err != nil {
		return at, 0, err
	}
	clear(found)
	code = r.GroupError()
	if code != sarama.ErrNoError && code != sarama.ErrGroupIDNotFound {
		return at, code, nil
	}
	none := code == sarama.ErrGroupIDNotFound
	code = sarama.ErrNoError
	for _, p := range ps {
		answer := r.GetGroupBlock(group, p.Topic, p.Index)
		switch {
		case none || answer == nil:
			found[p] = kafka.Offset{At: -1}
		case answer.Err != sarama.ErrNoError:
			at, code = p, answer.Err
		default:
			found[p] = kafka.Offset{At: answer.Offset, Metadata: answer.Metadata}
		}
	}
	return at, code, nil
}

// commitsOf asks for what a group has committed of many partitions at once.
func (c *Client) commitsOf(group string) *together[kafka.Partition, kafka.Offset] {
	to := c.toGroup(group)
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.commits[group]
	if t == nil {
		t = &together[kafka.Partition, kafka.Offset]{once: func(ps []kafka.Partition) map[kafka.Partition]kafka.Offset {
			ctx, end := c.bound(c.ctx, togetherTimeout)
			defer end()
			found := map[kafka.Partition]kafka.Offset{}
			_, err := to.once(ctx, func(b *sarama.Broker) (code sarama.KError, err error) {
				_, code, err = c.fetchOffsets(b, group, ps, found)
				return code, err
			})
			if err != nil {
				c.log.Debug("committed offsets of many partitions could not be read at once", "group", group, "error", err)
			}
			return found
		}}
		c.commits[group] = t
	}
	return t
}

// about puts the partition before an error, if it is about one.
func about(p kafka.Partition, err error) error {
	if p.Topic == "" {
		return err
	}
	return fmt.Errorf("%v: %w", p, err)
}

// Member is one member of a group in one generation: what a coordinator checks offsets
// against. The zero ID and Generation -1 commit for a group that has no members.
type Member struct {
	Group, ID, InstanceID string
	Generation            int32
}

func (m Member) instance() *string {
	if m.InstanceID == "" {
		return nil
	}
	return &m.InstanceID
}

// CommitOffsets commits offsets outside of a transaction: what was produced before them
// must have been acknowledged (Producer.Wait). An error that Fenced knows means that the
// member is not in the group any more.
func (c *Client) CommitOffsets(m Member, offsets map[kafka.Partition]kafka.Offset) error {
	if len(offsets) == 0 {
		return nil
	}
	ctx, end := c.bound(c.ctx, commitTimeout)
	defer end()
	var at kafka.Partition
	err := c.toGroup(m.Group).ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		req := sarama.NewOffsetCommitRequest(c.cfg, m.Group)
		req.ConsumerGroupGeneration, req.ConsumerID, req.GroupInstanceId = m.Generation, m.ID, m.instance()
		for p, o := range offsets {
			req.AddBlockWithLeaderEpoch(p.Topic, p.Index, o.At, -1, 0, o.Metadata)
		}
		r, err := b.CommitOffset(req)
		if err != nil {
			return 0, err
		}
		answered := 0
		for topic, ps := range r.Errors {
			for i, code := range ps {
				if answered++; code != sarama.ErrNoError {
					at = kafka.Partition{Topic: topic, Index: i}
					return code, nil
				}
			}
		}
		if answered < len(offsets) {
			return 0, errors.New("the answer does not cover every offset")
		}
		return sarama.ErrNoError, nil
	})
	if err != nil {
		return fmt.Errorf("broker: commit offsets of group %q as member %q, generation %d: %w", m.Group, m.ID, m.Generation, about(at, stale(err)))
	}
	return nil
}

// DeleteOffsets deletes the committed offsets of a group, which must have no members.
func (c *Client) DeleteOffsets(ctx context.Context, group string, ps []kafka.Partition) error {
	if len(ps) == 0 {
		return nil
	}
	ctx, end := c.bound(ctx, adminTimeout)
	defer end()
	req := &sarama.DeleteOffsetsRequest{Group: group}
	for _, p := range ps {
		req.AddPartition(p.Topic, p.Index)
	}
	err := c.toGroup(group).ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.DeleteOffsets(req)
		if err != nil {
			return 0, err
		}
		for _, partitions := range r.Errors {
			for _, code := range partitions {
				if code != sarama.ErrNoError && code != sarama.ErrUnknownTopicOrPartition {
					return code, nil
				}
			}
		}
		return r.ErrorCode, nil
	})
	if err != nil {
		return fmt.Errorf("broker: delete committed offsets of group %q: %w", group, err)
	}
	return nil
}
