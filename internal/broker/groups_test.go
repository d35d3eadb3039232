package broker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

func TestGroupsAreListedAndDescribed(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 2, nil), kafkatest.Topic(t)
		state, err := c.DescribeGroup(t.Context(), group)
		require.NoError(t, err)
		require.False(t, state.Running(), "a group that does not exist")
		all, err := c.AllCommitted(t.Context(), group)
		require.NoError(t, err)
		require.Empty(t, all)

		offsets := map[kafka.Partition]kafka.Offset{{Topic: topic, Index: 1}: {At: 5, Metadata: "beside"}}
		require.NoError(t, c.CommitOffsets(Member{Group: group, Generation: -1}, offsets))
		all, err = c.AllCommitted(t.Context(), group)
		require.NoError(t, err)
		require.Equal(t, offsets, all)
		ids, err := c.Groups(t.Context())
		require.NoError(t, err)
		require.Contains(t, ids, group)
		state, err = c.DescribeGroup(t.Context(), group)
		require.NoError(t, err)
		require.False(t, state.Running(), "a group without members")
	})
}

func TestDeleteTopics(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		one, other := createTopic(t, c, 2, nil), createTopic(t, c, 1, nil)
		require.NoError(t, c.DeleteTopics(t.Context()))
		for range 2 { // what is gone is no mistake
			require.NoError(t, c.DeleteTopics(t.Context(), one, other))
		}
		found, err := c.Topics(t.Context(), one, other)
		require.NoError(t, err)
		require.Empty(t, found)
		require.NoError(t, c.CreateTopic(t.Context(), TopicSpec{Name: one, Partitions: 1, Replication: 1}), "the name is free at once")
		all, err := c.AllTopics(t.Context())
		require.NoError(t, err)
		require.Contains(t, all, one)
		require.NotContains(t, all, other)
	})
}
