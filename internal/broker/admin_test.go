package broker

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

func TestTopicsAreCreatedOnceAndDescribed(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		name := createTopic(t, c, 3, map[string]string{"cleanup.policy": "compact", "retention.ms": "86400000"})

		topics, err := c.Topics(t.Context(), name, name+"-missing")
		require.NoError(t, err)
		require.Len(t, topics, 1, "a missing topic is absent")
		require.Equal(t, int32(3), topics[name].Partitions)
		require.NotEmpty(t, topics[name].ID)

		config, err := c.TopicConfig(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, "compact", config["cleanup.policy"])
		require.Equal(t, "86400000", config["retention.ms"])
		require.NotEmpty(t, config["segment.bytes"], "what comes from the broker is there as well")

		err = c.CreateTopic(t.Context(), TopicSpec{Name: name, Partitions: 1, Replication: 1})
		require.ErrorIs(t, err, ErrTopicExists)
		require.ErrorContains(t, err, name)
	})
}

func TestTopicWithTheBrokersDefaults(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		name := createTopic(t, c, -1, nil)
		topics, err := c.Topics(t.Context(), name)
		require.NoError(t, err)
		require.Positive(t, topics[name].Partitions)
	})
}

func TestDescribingATopicDoesNotCreateIt(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		name := kafkatest.Topic(t)
		for range 2 {
			topics, err := c.Topics(t.Context(), name)
			require.NoError(t, err)
			require.Empty(t, topics)
		}
	})
}

func TestBadTopicSpecSaysWhy(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		err := c.CreateTopic(t.Context(), TopicSpec{Name: kafkatest.Topic(t), Partitions: 0, Replication: 1})
		require.ErrorContains(t, err, "broker: create topic")
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestDeleteRecordsMovesTheEarliestOffset(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		name := createTopic(t, c, 2, map[string]string{"cleanup.policy": "delete"})
		a, b := kafka.Partition{Topic: name, Index: 0}, kafka.Partition{Topic: name, Index: 1}
		p := newProducer(t, c, ProducerOptions{})
		add(t, p, a, "a", 10)
		add(t, p, b, "b", 10)
		require.NoError(t, p.Wait())

		require.NoError(t, c.DeleteRecords(t.Context(), map[kafka.Partition]int64{a: 4, b: 10}))
		offsets, err := c.ListOffsets(t.Context(), []kafka.Partition{a, b}, Earliest, false)
		require.NoError(t, err)
		require.Equal(t, map[kafka.Partition]int64{a: 4, b: 10}, offsets)

		err = c.DeleteRecords(t.Context(), map[kafka.Partition]int64{a: 4, b: 11})
		require.ErrorContains(t, err, b.String(), "an offset after the end is refused, by name")
	})
}

func TestQuestionsEndWithTheirContext(t *testing.T) {
	direct := onEmbedded(t)
	px := badnet.Before(t, direct.seeds[0])[0]
	c := dial(t, []string{px.Addr()})
	missing := kafka.Partition{Topic: "missing"}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.ListOffsets(ctx, []kafka.Partition{missing}, Latest, false)
	require.ErrorIs(t, err, context.Canceled)

	defer px.Freeze()() // the broker says nothing any more
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	within(t, firstContact/2, func() { _, err = c.Topics(ctx, "any") })
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// A broker that is behind names another topic, or none; one that is gone is left out.
func TestTopicIDsOfAllBrokers(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	require.NoError(t, err)
	defer cluster.Close()
	c := dial(t, cluster.ListenAddrs())
	name := createTopic(t, c, 1, nil)
	topics, err := c.Topics(t.Context(), name)
	require.NoError(t, err)
	id := topics[name].ID
	ask := func() map[string][]string {
		ids, err := c.TopicIDs(t.Context(), name, "none")
		require.NoError(t, err)
		return ids
	}
	require.Equal(t, map[string][]string{name: {id}, "none": {""}}, ask())

	var behind atomic.Int32
	behind.Store(-1)
	cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := req.(*kmsg.MetadataRequest)
		if cluster.CurrentNode() != behind.Load() || len(asked.Topics) != 2 {
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.MetadataResponse)
		for i, addr := range cluster.ListenAddrs() {
			host, port, _ := net.SplitHostPort(addr)
			n, _ := strconv.Atoi(port)
			b := kmsg.NewMetadataResponseBroker()
			b.NodeID, b.Host, b.Port = int32(i), host, int32(n)
			res.Brokers = append(res.Brokers, b)
		}
		former := kmsg.NewMetadataResponseTopic()
		former.Topic, former.TopicID = &name, [16]byte{1}
		res.Topics = append(res.Topics, former)
		return res, nil, true
	})
	for node := range int32(3) {
		behind.Store(node)
		ids := ask()[name]
		require.Len(t, ids, 2, "broker %d is behind", node)
		require.Contains(t, ids, id)
	}
	behind.Store(-1)
	require.NoError(t, cluster.RemoveNode(2))
	require.Equal(t, []string{id}, ask()[name])
}
