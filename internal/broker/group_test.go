package broker

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// session is the shortest that a real broker allows by default.
const session = 6 * time.Second

// testGroup plans all partitions that members own or nobody does, in turn.
func testGroup(group, topic string, assigned func(Member, Assignment)) GroupConfig {
	return GroupConfig{
		Group: group, Protocol: "streams", Topics: []string{topic},
		Session: session, Rebalance: 30 * time.Second, Heartbeat: 50 * time.Millisecond,
		Joining:  func() ([]byte, []kafka.Partition) { return nil, nil },
		Joined:   func() {},
		Held:     func(time.Time) {},
		Plan:     func([]GroupMember) (map[string]Assignment, error) { return nil, nil },
		Assigned: assigned,
		Lost:     func(error) {},
	}
}

// assigned is one call of Assigned.
type assigned struct {
	Member
	Assignment
}

// member is a member of a group under test: it owns what it is assigned.
type member struct {
	t        *testing.T
	g        *Group
	stop     func() error // ends it in good order
	assigned chan assigned
	lost     chan error
	plans    chan []GroupMember
}

// join starts a member that shares 4 partitions of topic evenly with the others in two
// phases: what moves is withheld until its owner has given it up.
func join(t *testing.T, c *Client, group, topic string, change func(*GroupConfig)) *member {
	m := &member{t: t, assigned: make(chan assigned, 100), lost: make(chan error, 100), plans: make(chan []GroupMember, 100)}
	var owned []kafka.Partition
	rounds := byte(0)
	cfg := testGroup(group, topic, func(mb Member, a Assignment) {
		revoked := !slices.Equal(owned, a.Partitions) && slices.ContainsFunc(owned, func(p kafka.Partition) bool { return !slices.Contains(a.Partitions, p) })
		owned = a.Partitions
		m.assigned <- assigned{mb, a}
		if revoked {
			m.g.Rejoin("partitions were given up")
		}
	})
	cfg.Joining = func() ([]byte, []kafka.Partition) { rounds++; return []byte{rounds}, owned }
	cfg.Plan = func(ms []GroupMember) (map[string]Assignment, error) {
		m.plans <- ms
		return planEvenly(topic, ms), nil
	}
	cfg.Lost = func(err error) { owned = nil; m.lost <- err }
	if change != nil {
		change(&cfg)
	}
	m.g = c.NewGroup(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.g.Run(ctx) }()
	stopped := false
	m.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { m.stop() })
	return m
}

func planEvenly(topic string, ms []GroupMember) map[string]Assignment {
	owner := map[kafka.Partition]string{}
	for _, m := range ms {
		for _, p := range m.Owned {
			owner[p] = m.ID
		}
	}
	plan := map[string]Assignment{}
	for i := range int32(4) {
		p := kafka.Partition{Topic: topic, Index: i}
		to := ms[int(i)%len(ms)].ID
		if is := owner[p]; is == "" || is == to {
			a := plan[to]
			plan[to] = Assignment{Partitions: append(a.Partitions, p), UserData: []byte("from the leader")}
		}
	}
	return plan
}

// until waits for an assignment with n partitions.
func (m *member) until(n int) assigned {
	m.t.Helper()
	for {
		select {
		case a := <-m.assigned:
			if len(a.Partitions) == n {
				return a
			}
		case <-time.After(patience):
			m.t.Fatalf("never got %d partitions", n)
		}
	}
}

// lasting is a session that nobody waits for.
func lasting(o *GroupConfig) { o.Session = time.Minute }

func TestGroupSharesHandsOverAndTakesBack(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		a := join(t, c, group, topic, lasting)
		first := a.until(4)
		require.Equal(t, group, first.Group)
		require.NotEmpty(t, first.ID)
		require.Equal(t, []byte("from the leader"), first.UserData)
		seen := <-a.plans
		require.Len(t, seen, 1)
		require.Equal(t, GroupMember{ID: first.ID, UserData: seen[0].UserData, Generation: -1}, seen[0])
		require.GreaterOrEqual(t, seen[0].UserData[0], byte(2), "Joining is called before each JoinGroup: the first one only gave it its id")

		b := join(t, c, group, topic, lasting)
		share := b.until(2)
		require.Greater(t, share.Generation, first.Generation+1, "withheld for one generation, while A gave up")
		kept := a.until(2)
		require.NotContains(t, kept.Partitions, share.Partitions[0])

		var last assigned
		within(t, time.Minute/2, func() { // it has left: nobody waits for its session to expire
			require.NoError(t, b.stop())
			last = a.until(4)
		})
		require.Greater(t, last.Generation, kept.Generation)
		require.Empty(t, a.lost)
	})
}

func TestPlanSeesWhatMembersOwned(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		a := join(t, c, group, topic, nil)
		first := a.until(4)
		<-a.plans
		a.g.Rejoin("for the test")
		second := a.until(4)
		require.Greater(t, second.Generation, first.Generation)
		seen := <-a.plans
		require.Len(t, seen, 1)
		require.Equal(t, first.Generation, seen[0].Generation)
		require.ElementsMatch(t, first.Partitions, seen[0].Owned)
	})
}

func TestRejoinOfAFollowerRebalancesTheGroup(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		a := join(t, c, group, topic, nil)
		a.until(4)
		b := join(t, c, group, topic, nil)
		before := b.until(2)
		b.g.Rejoin("probing")
		after := b.until(2)
		require.Greater(t, after.Generation, before.Generation)
		require.Equal(t, before.ID, after.ID)
	})
}

// A member whose connections break without a word is out after the session timeout.
func TestCrashedMemberIsReplacedAfterItsSession(t *testing.T) {
	t.Parallel() // it waits for long, and does next to nothing meanwhile
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		c, doomed := dial(t, brokers), dial(t, brokers)
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		a := join(t, c, group, topic, nil)
		a.until(4)
		b := join(t, doomed, group, topic, nil)
		b.until(2)
		a.until(2)
		start := time.Now()
		doomed.Close()
		require.ErrorIs(t, b.stop(), errClosed)
		a.until(4)
		require.Greater(t, time.Since(start), session/2)
	})
}

func TestMemberThatCannotReachTheCoordinatorGivesUpItsPartitions(t *testing.T) {
	c := onEmbedded(t)
	topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
	px := badnet.Before(t, c.seeds[0])[0]
	far := dial(t, []string{px.Addr()})
	var held atomic.Pointer[time.Time]
	a := join(t, far, group, topic, func(o *GroupConfig) {
		o.Session = 3 * time.Second
		o.Held = func(until time.Time) { held.Store(&until) }
	})
	first := a.until(4)
	eventually(t, "each heartbeat is a promise", func() bool { return time.Until(*held.Load()) > 2*time.Second })
	px.Block()
	require.True(t, Fenced(<-a.lost), "as if the coordinator had said that the member is unknown")
	require.True(t, held.Load().Before(time.Now()), "it is not given up before it has run out")
	px.Unblock()
	second := a.until(4)
	require.Greater(t, second.Generation, first.Generation)

	thaw := px.Freeze()
	within(t, 2*readTimeout, func() {
		require.True(t, Fenced(<-a.lost))
		n := px.Accepted()
		eventually(t, "it has given up connections that say nothing", func() bool { return px.Accepted() > n+2 })
		thaw()
		require.Greater(t, a.until(4).Generation, second.Generation)
	})
}

func TestStaticMemberKeepsItsPartitionsThroughARestart(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		static := func(o *GroupConfig) { o.InstanceID = "one" }
		a := join(t, c, group, topic, static)
		first := a.until(4)
		require.Equal(t, "one", first.InstanceID)
		seen := <-a.plans
		require.Equal(t, "one", seen[0].InstanceID)
		b := join(t, c, group, topic, nil)
		b.until(2)
		kept := a.until(2)

		require.NoError(t, a.stop())
		again := join(t, c, group, topic, static).until(2)
		require.Equal(t, kept.Partitions, again.Partitions)
		require.Empty(t, b.lost)
	})
}

// A static member that ends while the group waits for others in a round brings that to its
// end: it may be the leader, and nobody is to wait for its session.
func TestStaticMemberEndsInTheMiddleOfARound(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		a := join(t, c, group, topic, func(o *GroupConfig) { o.InstanceID, o.Session = "one", time.Minute })
		a.until(4)
		b := join(t, c, group, topic, func(o *GroupConfig) { o.Session, o.Heartbeat = time.Minute, 500*time.Millisecond })
		before := b.until(2)
		a.until(2)
		within(t, time.Minute/2, func() {
			for len(a.plans) > 0 {
				<-a.plans
			}
			a.g.Rejoin("for the test")
			time.Sleep(100 * time.Millisecond) // b will not notice so soon, most of the times
			require.NoError(t, a.stop())
			after := b.until(2)
			require.Equal(t, before.Partitions, after.Partitions)
			require.Greater(t, after.Generation, before.Generation)
		})
		require.Empty(t, b.lost)
	})
}

func TestSecondProcessWithTheInstanceIDTakesOver(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		static := func(o *GroupConfig) { o.InstanceID = "one" }
		a := join(t, c, group, topic, static)
		old := a.until(4)
		b := join(t, c, group, topic, static)
		b.until(4)
		require.ErrorIs(t, <-a.lost, sarama.ErrFencedInstancedId)
		err := a.stop()
		require.True(t, Fenced(err), "%v", err)
		require.ErrorContains(t, err, group)

		err = c.CommitOffsets(old.Member, map[kafka.Partition]kafka.Offset{{Topic: topic}: {At: 1}})
		require.True(t, Fenced(err), "%v", err)
	})
}

func TestRunEndsAtOnceWhileAJoinWaits(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		// This one notices nothing, so the other's JoinGroup waits for it.
		a := join(t, c, group, topic, func(o *GroupConfig) { o.Session, o.Heartbeat = time.Minute, 50*time.Second })
		a.until(4)
		joining := make(chan struct{}, 10)
		b := join(t, c, group, topic, func(o *GroupConfig) {
			o.Session = time.Minute
			inner := o.Joining
			o.Joining = func() ([]byte, []kafka.Partition) { joining <- struct{}{}; return inner() }
		})
		<-joining
		<-joining // with its id, the second JoinGroup is the one that waits
		within(t, time.Minute/2, func() { require.NoError(t, b.stop()) })
	})
}

func TestFailedPlanIsTriedAgain(t *testing.T) {
	c := onEmbedded(t)
	topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
	failures := 2
	a := join(t, c, group, topic, func(o *GroupConfig) {
		plan := o.Plan
		o.Plan = func(ms []GroupMember) (map[string]Assignment, error) {
			if failures--; failures >= 0 {
				return nil, errors.New("no idea")
			}
			return plan(ms)
		}
	})
	a.until(4)
	require.Negative(t, failures)
}

func TestImpossibleSessionTimeoutEndsRun(t *testing.T) {
	c := dial(t, kafkatest.Brokers(t))
	topic, group := createTopic(t, c, 1, nil), kafkatest.Topic(t)
	cfg := testGroup(group, topic, func(Member, Assignment) {})
	cfg.Session = time.Second
	err := c.NewGroup(cfg).Run(t.Context())
	require.ErrorIs(t, err, sarama.ErrInvalidSessionTimeout)
	require.ErrorContains(t, err, "group.min.session.timeout.ms")
}

func TestOffsetsOfAnOldGenerationAreRefused(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		a := join(t, c, group, topic, nil)
		old := a.until(4)
		offsets := map[kafka.Partition]kafka.Offset{{Topic: topic}: {At: 1}}
		require.NoError(t, c.CommitOffsets(old.Member, offsets))
		a.g.Rejoin("for the next generation")
		now := a.until(4)
		require.NoError(t, c.CommitOffsets(now.Member, offsets))
		require.True(t, Fenced(c.CommitOffsets(old.Member, offsets)))

		p := newProducer(t, c, ProducerOptions{TransactionalID: group})
		err := p.Commit(old.Member, offsets)
		require.True(t, Fenced(err), "%v", err)
		require.NoError(t, p.Abort(), "the producer itself was not replaced")
		require.NoError(t, p.Commit(now.Member, offsets))
	})
}

// A member that died leaves when its successor begins, so that the group does not wait for
// its session.
func TestGroupFormerMemberLeaves(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		dying, err := Dial(t.Context(), Options{Brokers: c.seeds})
		require.NoError(t, err)
		a := join(t, dying, group, topic, func(o *GroupConfig) { o.Session = 5 * time.Minute })
		former := a.until(4).ID
		dying.Close() // it cannot say goodbye any more

		b := join(t, c, group, topic, func(o *GroupConfig) { o.Former = former })
		b.until(4)
	})
}

// A member in a hurry notices a rebalance long before its next heartbeat.
func TestGroupHurry(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		topic, group := createTopic(t, c, 4, nil), kafkatest.Topic(t)
		slow := func(o *GroupConfig) { o.Session, o.Heartbeat = 5*time.Minute, 90*time.Second }
		a := join(t, c, group, topic, slow)
		a.until(4)
		a.g.Hurry()
		b := join(t, c, group, topic, slow)
		b.g.Hurry()
		b.until(2)
	})
}
