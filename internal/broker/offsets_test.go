package broker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

func TestListOffsetsByNameAndByTime(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		name := createTopic(t, c, 2, nil)
		full, empty := kafka.Partition{Topic: name, Index: 0}, kafka.Partition{Topic: name, Index: 1}
		ps := []kafka.Partition{full, empty}
		p := newProducer(t, c, ProducerOptions{})
		for _, ms := range []int64{1000, 2000, 3000} {
			require.NoError(t, p.Add(p.Target(full), nil, []byte("v"), nil, ms))
			require.NoError(t, p.Wait()) // a batch each: the embedded broker searches by batch
		}

		for at, want := range map[int64]int64{Earliest: 0, Latest: 3, 0: 0, 1000: 0, 1001: 1, 2000: 1, 3000: 2, 3001: 3} {
			offsets, err := c.ListOffsets(t.Context(), ps, at, false)
			require.NoError(t, err)
			require.Equal(t, map[kafka.Partition]int64{full: want, empty: 0}, offsets, "at %d", at)
		}
	})
}

func TestLatestOfACommittedReaderIsTheFirstOpenTransaction(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		p := newProducer(t, c, ProducerOptions{TransactionalID: kafkatest.Topic(t)})
		add(t, p, to, "v", 5)
		require.NoError(t, p.Wait())

		for committed, want := range map[bool]int64{false: 5, true: 0} {
			ends, err := c.ListOffsets(t.Context(), []kafka.Partition{to}, Latest, committed)
			require.NoError(t, err)
			require.Equal(t, want, ends[to])
		}
		require.NoError(t, p.Abort())
	})
}

func TestCommittedOffsetsHaveTheirMetadata(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		name, group := createTopic(t, c, 3, nil), kafkatest.Topic(t)
		a, b, none := kafka.Partition{Topic: name, Index: 0}, kafka.Partition{Topic: name, Index: 1}, kafka.Partition{Topic: name, Index: 2}
		ps := []kafka.Partition{a, b, none}

		got, err := c.Committed(t.Context(), group, ps)
		require.NoError(t, err, "a group nobody knows")
		require.Empty(t, got)

		want := map[kafka.Partition]kafka.Offset{a: {At: 7, Metadata: "time 12"}, b: {At: 0}}
		require.NoError(t, c.CommitOffsets(Member{Group: group, Generation: -1}, want))
		got, err = c.Committed(t.Context(), group, ps)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestCommitOfAStrangerIsFenced(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		at := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		m := Member{Group: kafkatest.Topic(t), ID: "nobody", Generation: 3}
		err := c.CommitOffsets(m, map[kafka.Partition]kafka.Offset{at: {At: 1}})
		require.True(t, Fenced(err), "%v", err)
		require.ErrorContains(t, err, at.String())
		require.ErrorContains(t, err, m.Group)
	})
}

func TestCommittedWaitsForAnOpenTransaction(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		at := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		group := kafkatest.Topic(t)
		require.NoError(t, c.CommitOffsets(Member{Group: group, Generation: -1}, map[kafka.Partition]kafka.Offset{at: {At: 1}}))
		p := newProducer(t, c, ProducerOptions{TransactionalID: group})
		require.NoError(t, p.addOffsets(group))
		require.NoError(t, p.commitOffsets(Member{Group: group, Generation: -1}, map[kafka.Partition]kafka.Offset{at: {At: 5, Metadata: "m"}}))

		read := make(chan map[kafka.Partition]kafka.Offset, 1)
		go func() {
			got, err := c.Committed(t.Context(), group, []kafka.Partition{at})
			if err != nil {
				t.Error(err)
			}
			read <- got
		}()
		require.NoError(t, p.end())
		require.Equal(t, map[kafka.Partition]kafka.Offset{at: {At: 5, Metadata: "m"}}, <-read)
	})
}
