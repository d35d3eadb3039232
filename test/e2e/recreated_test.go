//go:build unix

package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/reset"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// recreate deletes a topic and makes it anew.
func (o *operator) recreate(topic string) {
	o.t.Helper()
	require.NoError(o.t, o.DeleteTopics(o.t.Context(), topic))
	await(o.t, patience, func() bool {
		found, err := o.Topics(o.t.Context(), topic)
		return err == nil && len(found) == 0
	}, "%s is deleted", topic)
	o.create(nil, 2, topic)
}

// recreate gives the words a new topic.
func (c *counter) recreate(o *operator, keep bool) {
	c.t.Helper()
	o.recreate(c.name + "-lines")
	if !keep {
		clear(c.exact)
	}
}

// totalsOf collects the totals of each word, in their order.
func (c *counter) totalsOf() (all func() map[string][]int64) {
	seen := map[string][]int64{}
	results := c.follow(c.name+"-totals", func(m *sarama.ConsumerMessage) {
		seen[string(m.Key)] = append(seen[string(m.Key)], numberOf(m.Value))
	})
	return func() map[string][]int64 {
		results.finish()
		return seen
	}
}

func requireTotals(t *testing.T, all func() map[string][]int64, want ...int64) {
	t.Helper()
	seen := all()
	require.Len(t, seen, 10)
	for word, totals := range seen {
		require.Equal(t, want, totals, word)
	}
}

// Instances that run notice that their topic is another one, and begin from nothing; also
// when one of them is a static member.
func TestTopicRecreated(t *testing.T) {
	t.Parallel()
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		c, o := newCounter(k, name), newOperator(k)
		all := c.totalsOf()
		var apps []*app
		for i := range 2 {
			conf := config(t, k, name)
			conf.Guarantee = g
			if i == 0 {
				conf.InstanceID = "static"
			}
			a := run(t, counting(t, name, nil), conf)
			a.awaitReady(patience)
			apps = append(apps, a)
		}
		c.count(10, 3)
		for _, times := range []int{5, 6} { // more each time: a total that was there before is none to wait for
			c.recreate(o, false)
			c.count(10, times)
		}
		for _, a := range apps {
			a.stop()
		}
		requireTotals(t, all, 1, 2, 3, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6)
		require.Equal(t, int64(2), k.says(name).Epoch.Number, "one of them did it, for both")
		changelog := k.table(name + "-counts-changelog")
		changelog.finish()
		require.Equal(t, c.exact, changelog.rows)
	})
}

// The same when nobody ran meanwhile; and the disk is not believed.
func TestTopicRecreatedWhileNobodyRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o, conf := counted(t, k, name, 2)
		all := c.totalsOf()
		c.recreate(o, false)
		a := run(t, counting(t, name, nil), conf)
		c.count(10, 3)
		a.stop()
		a = run(t, counting(t, name, nil), conf)
		c.count(10, 1)
		a.stop()
		requireTotals(t, all, 1, 2, 1, 2, 3, 4)
		require.Equal(t, int64(1), k.says(name).Epoch.Number)
	})
}

func TestTopicRecreatedKeepsState(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o := newCounter(k, name), newOperator(k)
		all := c.totalsOf()
		conf := config(t, k, name)
		conf.OnTopicRecreated = streams.KeepState
		a := run(t, counting(t, name, nil), conf)
		c.count(10, 2)
		c.recreate(o, true)
		c.count(10, 2)
		a.stop()
		conf.OnTopicRecreated = streams.WipeState // it is about topics of the future
		a = run(t, counting(t, name, nil), conf)
		c.count(10, 1)
		a.stop()
		requireTotals(t, all, 1, 2, 3, 4, 5)
		require.Zero(t, k.says(name).Epoch.Number)
	})
}

// A store that another topic feeds as well is not wiped: that would lose what it has made.
func TestTopicRecreatedOfSeveral(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		o := newOperator(k)
		k.create(nil, 2, name+"-one", name+"-two")
		both := build(t, func(b *topology.Builder) {
			merged := kstream.Merge(kstream.From(b, text(name+"-one")), kstream.From(b, text(name+"-two")))
			kstream.Count(kstream.GroupByKey(merged), state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64})
		})
		a := run(t, both, config(t, k, name))
		a.awaitReady(patience)
		k.send(name+"-one", "a")
		o.recreate(name + "-one")
		err := a.wait(patience)
		require.ErrorContains(t, err, name+"-one: deleted and made anew")
		require.ErrorContains(t, err, "counts is also fed by "+name+"-two")
		require.ErrorContains(t, err, "set OnTopicRecreated to KeepState")
		require.Nil(t, k.says(name).Reset)
	})
}

// A reset that an instance began by itself, and was killed, is finished by it when it comes
// back. Others wait for that.
func TestTopicRecreatedAndKilled(t *testing.T) {
	t.Parallel()
	killed := errors.New("killed")
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o := newCounter(k, name), newOperator(k)
		all := c.totalsOf()
		conf := config(t, k, name)
		a := run(t, counting(t, name, nil), conf)
		c.count(10, 2)
		process := k.says(name).Instances[0].Process
		a.stop()
		for i, step := range []reset.Step{reset.Planned, reset.Committed, reset.Raised} {
			c.recreate(o, false)
			err := reset.Execute(t.Context(), o.Client, o.plan(name, reset.ToEarliest()), reset.Execution{Process: process, After: func(s reset.Step) error {
				if s == step {
					return killed
				}
				return nil
			}})
			require.ErrorIs(t, err, killed)
			other := run(t, counting(t, name, nil), config(t, k, name))
			time.Sleep(500 * time.Millisecond)
			select {
			case <-other.Ready():
				require.Fail(t, "it did not wait")
			default:
			}
			a = run(t, counting(t, name, nil), conf)
			other.awaitReady(patience)
			c.count(10, 3+i)
			a.stop()
			other.stop()
		}
		requireTotals(t, all, 1, 2, 1, 2, 3, 1, 2, 3, 4, 1, 2, 3, 4, 5)
	})
}
