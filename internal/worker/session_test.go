package worker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
)

// An instance that is cut off for longer than its session knows by itself that it has lost
// its tasks; the other has them after the session, and what the first did meanwhile counts
// for nothing.
func TestCutOffForLongerThanTheSession(t *testing.T) {
	virtually(t, func(w *world) {
		a, b := w.start("a", nil), w.start("b", nil)
		w.await(time.Minute, w.sharing(a, b), "both work")
		w.startFeed(6000) // a minute
		time.Sleep(5 * time.Second)
		begun := time.Now()
		var pulling sync.WaitGroup
		pulling.Go(func() { a.cable.pullFor(25 * time.Second) })
		w.await(virtualSession+3*time.Second, w.sharing(b), "b has all tasks")
		require.Greater(t, time.Since(begun), virtualSession-time.Second)
		w.await(5*time.Second, func() bool { return a.lost.Load() == 1 }, "a knows that it has lost")
		require.Equal(t, Joining, a.Report(context.Background()).State)
		pulling.Wait()
		w.await(10*time.Second, w.sharing(a, b), "a works again")
		w.check(6000)
		w.stop(a, b)
	})
}

// An instance without transactions that was cut off, and whose way to the brokers is back
// before it knows what that meant, does not send what it has: others have its tasks, and
// older rows must not come behind their newer ones.
func TestExpelledWithoutTransactions(t *testing.T) {
	virtually(t, func(w *world) {
		var atLoss time.Time // when the last records were sent, as seen when the membership was lost
		var a *member
		plainly := func(c *Config) { c.ExactlyOnce = false }
		a = w.start("a", func(c *Config) {
			plainly(c)
			c.OnRebalance = func(r Rebalance) {
				if r.Lost {
					atLoss = time.Unix(0, a.cable.produced.Load())
					a.lost.Add(1)
				}
			}
		})
		b := w.start("b", plainly)
		w.await(time.Minute, w.sharing(a, b), "both work")
		w.startFeed(3000)
		time.Sleep(5 * time.Second)
		cut := time.Now()
		a.cable.pullFor(virtualSession + 500*time.Millisecond)
		require.Zero(t, a.lost.Load(), "it does not know yet")
		w.await(5*time.Second, func() bool { return a.lost.Load() == 1 }, "a knows that it has lost")
		require.False(t, atLoss.After(cut), "it sent something %v after it was cut off", atLoss.Sub(cut))
		w.await(10*time.Second, w.sharing(a, b), "a works again")
		w.feeding.Wait()
		w.await(time.Minute, func() bool { return slices.Min(w.counts()) >= 3000/20 }, "nothing is missing")
		w.stop(a, b)
	})
}

// While an instance is cut off others process what it was to process, and it is deleted. The
// instance asks for it, before it knows that it has lost its tasks, and does not fail for that.
func TestCutOffWhileRecordsAreDeleted(t *testing.T) {
	virtually(t, func(w *world) {
		a, b := w.start("a", nil), w.start("b", nil)
		w.await(time.Minute, w.sharing(a, b), "both work")
		w.startFeed(3000)
		time.Sleep(5 * time.Second)
		var pulling sync.WaitGroup
		pulling.Go(func() { a.cable.pullFor(virtualSession + 2*time.Second) })
		w.await(virtualSession+3*time.Second, w.sharing(b), "b has all tasks")
		time.Sleep(500 * time.Millisecond)
		var ps []kafka.Partition
		for i := range int32(virtualPartitions) {
			ps = append(ps, kafka.Partition{Topic: "in", Index: i})
		}
		committed, err := w.client.Committed(context.Background(), "app", ps)
		require.NoError(t, err)
		before := map[kafka.Partition]int64{}
		for p, o := range committed {
			before[p] = o.At
		}
		require.NoError(t, w.client.DeleteRecords(context.Background(), before))
		pulling.Wait()
		w.await(10*time.Second, w.sharing(a, b), "a works again")
		w.check(3000)
		w.stop(a, b)
	})
}

// The group has expelled an instance that was cut off, and says so first when it commits, more
// often than a worker bears commits that fail. It waits for the news to come to the member.
func TestCommitTellsThatTheMembershipIsLost(t *testing.T) {
	virtually(t, func(w *world) {
		a := w.start("a", func(c *Config) { c.Heartbeat = 700 * time.Millisecond })
		b := w.start("b", nil)
		w.await(time.Minute, w.sharing(a, b), "both work")
		w.startFeed(3000)
		time.Sleep(5 * time.Second)
		a.cable.pullFor(virtualSession + 50*time.Millisecond)
		w.await(time.Second, func() bool { return a.lost.Load() == 1 }, "a knows that it has lost")
		w.await(10*time.Second, w.sharing(a, b), "a works again")
		w.check(3000)
		w.stop(a, b)
	})
}

// The coordinator forgets a member that waits for the next generation, and never answers it: the
// embedded broker does that when another member died a moment later than this one was heard. The
// member asks again when a commit says that it is unknown.
func TestForgottenWhileItJoins(t *testing.T) {
	virtually(t, func(w *world) {
		a := w.start("a", func(c *Config) { c.Heartbeat = 4 * time.Second })
		b := w.start("b", nil)
		w.await(time.Minute, w.sharing(a, b), "both work")
		w.startFeed(3000)
		time.Sleep(5 * time.Second)
		b.cable.pull()
		a.group.Rejoin("for the test")
		w.await(virtualSession+3*time.Second, func() bool { return a.lost.Load() == 1 }, "a knows that it has lost")
		w.await(10*time.Second, w.sharing(a), "a works again")
		w.check(3000)
		w.stop(a)
		require.Error(t, b.stop(), "the cable is out")
	})
}

// Records that were deleted before they were processed are an error, also when the task has
// gone back to what is committed.
func TestRecordsAreLost(t *testing.T) {
	virtually(t, func(w *world) {
		a := w.start("a", nil)
		w.await(time.Minute, w.sharing(a), "a works")
		w.feed(400)
		time.Sleep(time.Second)
		w.stop(a)
		w.feed(400)
		require.NoError(t, w.client.DeleteRecords(context.Background(), map[kafka.Partition]int64{{Topic: "in"}: 150}))
		again := w.start("a", nil)
		time.Sleep(10 * time.Second)
		err := again.stop()
		require.ErrorContains(t, err, "read in/0 at offset 100")
		require.ErrorContains(t, err, "kafka-consumer-groups --reset-offsets")
	})
}

// silencesOf measures what an event does to each partition in a time in which nobody computes:
// what is left are commit intervals, heartbeats and waiting.
func silencesOf(w *world, what string, event func()) [virtualPartitions]time.Duration {
	time.Sleep(2 * time.Second)
	begun := time.Now()
	event()
	time.Sleep(time.Second)
	s := w.silences(begun)
	w.t.Logf("%s: the longest silences of the partitions are %v", what, s)
	return s
}

// requireSilences checks that partitions were not silent for longer than others may, but n of
// them, which moved.
func requireSilences(t *testing.T, all [virtualPartitions]time.Duration, n int, moved time.Duration) {
	t.Helper()
	s := slices.Sorted(slices.Values(all[:]))
	for _, d := range s[:virtualPartitions-n] {
		require.LessOrEqual(t, d, 150*time.Millisecond, "a partition that did not move")
	}
	for _, d := range s[virtualPartitions-n:] {
		require.LessOrEqual(t, d, moved, "a partition that moved")
	}
}

// The longest silences, as far as they come from what instances say to each other.
func TestSilences(t *testing.T) {
	virtually(t, func(w *world) {
		keeping := func(c *Config) { c.Standbys = 1 }
		copies := func(ms ...*member) func() bool {
			return func() bool {
				n := 0
				for _, m := range ms {
					for _, lag := range m.Report(context.Background()).Copies {
						if lag >= 0 && lag < 1000 {
							n++
						}
					}
				}
				return n == virtualPartitions
			}
		}
		a := w.start("a", keeping)
		w.await(time.Minute, w.sharing(a), "a works")
		w.startFeed(12_000)
		var b *member
		s := silencesOf(w, "b joins", func() {
			b = w.start("b", keeping)
			w.await(time.Minute, w.sharing(a, b), "both work")
		})
		requireSilences(t, s, 2, 500*time.Millisecond)
		w.await(time.Minute, copies(a, b), "each keeps copies of the other's tasks")
		s = silencesOf(w, "b leaves", func() {
			require.NoError(t, b.stop())
			w.await(time.Minute, w.sharing(a), "a works alone")
		})
		requireSilences(t, s, 2, 500*time.Millisecond)
		b = w.start("b", keeping)
		w.await(time.Minute, w.sharing(a, b), "both work again")
		w.await(time.Minute, copies(a, b), "each keeps copies again")
		dead := b
		s = silencesOf(w, "b is gone and starts again", func() {
			dead.cable.pull()
			b = w.start("b", func(c *Config) {
				keeping(c)
				c.StateDir, c.Former = c.StateDir+" again", dead.member.ID
			})
			w.await(time.Minute, w.sharing(a, b), "both work")
		})
		require.Less(t, slices.Max(s[:]), time.Second, "nobody waits for the session of who is back already")
		w.await(time.Minute, copies(a, b), "each keeps copies once more")
		s = silencesOf(w, "b is gone", func() {
			b.cable.pull()
			w.await(time.Minute, w.sharing(a), "a works alone again")
		})
		requireSilences(t, s, 2, virtualSession+500*time.Millisecond)
		w.check(12_000)
		w.stop(a)
		require.Error(t, b.stop(), "the cable is out")
		require.Error(t, dead.stop(), "the cable is out")
	})
}

// The coordinator of the group and of transactions moves, and for some seconds nobody is: no
// task is lost, nothing is done twice.
func TestCoordinatorIsLost(t *testing.T) {
	virtually(t, func(w *world) {
		a, b := w.start("a", nil), w.start("b", nil)
		w.await(time.Minute, w.sharing(a, b), "both work")
		w.startFeed(3000)
		time.Sleep(5 * time.Second)
		begun, away := time.Now(), 4*time.Second
		for _, kind := range []int16{10, 12, 25, 26, 28} { // find coordinator, heartbeat, offsets to transaction, its end, commit in it
			w.kafka.ControlKey(kind, func(req kmsg.Request) (kmsg.Response, error, bool) {
				if time.Since(begun) > away {
					return nil, nil, false
				}
				w.kafka.KeepControl()
				return refused(req, kerr.NotCoordinator.Code), nil, true
			})
		}
		w.check(3000)
		require.Zero(t, a.lost.Load()+b.lost.Load(), "memberships lost")
		w.stop(a, b)
	})
}

// refused answers a request with an error.
func refused(req kmsg.Request, code int16) kmsg.Response {
	switch r := req.(type) {
	case *kmsg.FindCoordinatorRequest:
		res := r.ResponseKind().(*kmsg.FindCoordinatorResponse)
		res.ErrorCode = kerr.CoordinatorNotAvailable.Code
		for _, key := range r.CoordinatorKeys {
			res.Coordinators = append(res.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: key, ErrorCode: res.ErrorCode})
		}
		return res
	case *kmsg.HeartbeatRequest:
		res := r.ResponseKind().(*kmsg.HeartbeatResponse)
		res.ErrorCode = code
		return res
	case *kmsg.AddOffsetsToTxnRequest:
		res := r.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
		res.ErrorCode = code
		return res
	case *kmsg.EndTxnRequest:
		res := r.ResponseKind().(*kmsg.EndTxnResponse)
		res.ErrorCode = code
		return res
	}
	res := req.(*kmsg.TxnOffsetCommitRequest).ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	for _, t := range req.(*kmsg.TxnOffsetCommitRequest).Topics {
		topic := kmsg.TxnOffsetCommitResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
		}
		res.Topics = append(res.Topics, topic)
	}
	return res
}

// A task is given back before it was let go: the commit before that takes long.
func TestAssignedAgainBeforeItIsRevoked(t *testing.T) {
	virtually(t, func(w *world) {
		a := w.start("a", nil)
		w.await(time.Minute, w.sharing(a), "a works")
		w.startFeed(6000)
		time.Sleep(5 * time.Second)
		held := make(chan struct{})
		commits := 0
		w.kafka.ControlKey(26, func(req kmsg.Request) (kmsg.Response, error, bool) {
			w.kafka.KeepControl()
			select {
			case <-held: // commits are quick again
				return nil, nil, false
			default:
			}
			if strings.HasPrefix(req.(*kmsg.EndTxnRequest).TransactionalID, "app-a") {
				commits++
				w.kafka.SleepControl(func() { time.Sleep(8 * time.Second) })
			}
			return nil, nil, false
		})
		b := w.start("b", func(c *Config) { c.Session = virtualSession })
		time.Sleep(4 * time.Second) // a is to let go, and is in a commit
		require.NoError(t, b.stop())
		time.Sleep(10 * time.Second)
		close(held)
		w.await(30*time.Second, w.sharing(a), "a has all tasks again")
		require.Positive(t, commits)
		w.check(6000)
		w.stop(a)
	})
}

// lateRestores is a cluster that delivers changelogs only once they may come.
type lateRestores struct {
	cluster.Cluster
	may   chan struct{}
	over  <-chan struct{} // closed when the test is over
	asked chan struct{}   // gets something when one is asked for
}

func (l lateRestores) NewFetcher(o broker.FetchOptions) cluster.Fetcher {
	return lateFetcher{l.Cluster.NewFetcher(o), l}
}

type lateFetcher struct {
	cluster.Fetcher
	l lateRestores
}

func (f lateFetcher) Subscribe(p kafka.Partition, offset int64, deliver func(kafka.Batch)) cluster.Subscription {
	if !strings.HasSuffix(p.Topic, "-changelog") {
		return f.Fetcher.Subscribe(p, offset, deliver)
	}
	select {
	case f.l.asked <- struct{}{}:
	default:
	}
	s := &lateSubscription{closed: make(chan struct{})}
	go func() {
		select {
		case <-f.l.may:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.real = f.Fetcher.Subscribe(p, offset, deliver)
		case <-s.closed:
		case <-f.l.over:
		}
	}()
	return s
}

// lateSubscription is one that begins when it may.
type lateSubscription struct {
	closed chan struct{}
	mu     sync.Mutex
	real   cluster.Subscription
}

func (s *lateSubscription) Done(b kafka.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.real.Done(b)
}

func (s *lateSubscription) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.real != nil {
		s.real.Close()
	}
	close(s.closed)
}

// A task is taken away while it is restored, and its new owner goes on with it.
func TestRevokedDuringARestore(t *testing.T) {
	virtually(t, func(w *world) {
		a := w.start("a", nil)
		w.await(time.Minute, w.sharing(a), "a works")
		w.startFeed(6000)
		time.Sleep(5 * time.Second)
		over := make(chan struct{})
		defer close(over)
		late := lateRestores{may: make(chan struct{}), over: over, asked: make(chan struct{}, 1)}
		b := w.start("b", func(c *Config) { late.Cluster = c.Client; c.Client = late })
		<-late.asked // b makes copies, to run tasks
		go a.cable.pullFor(30 * time.Second)
		w.await(virtualSession+10*time.Second, func() bool { return len(b.Report(context.Background()).Tasks) == virtualPartitions }, "b restores all tasks")
		require.Empty(t, b.tasks())
		c := w.start("c", nil)
		w.await(20*time.Second, func() bool { return len(c.tasks()) == virtualPartitions/2 }, "c has half of them")
		close(late.may)
		w.await(20*time.Second, w.sharing(b, c), "b and c share the tasks")
		w.check(6000)
		w.stop(a, b, c)
	})
}

// A task that is to be let go and to run again does not run: an instance with one is not
// running.
func TestTasksThatAreGivenBackDoNotRun(t *testing.T) {
	p := &place{running: true}
	n := &Instance{tasks: map[plan.TaskID]*place{{}: p}}
	require.True(t, n.allRun())
	p.closing = true
	require.True(t, n.allRun(), "those that leave do not count")
	p.again = true
	require.False(t, n.allRun())
}

// A task that is let go belongs to nobody, and one that came back meanwhile to this instance
// again, before its stores are closed and it can begin.
func TestWhatIsClaimedOfTasksThatAreLetGo(t *testing.T) {
	c := newCluster(t)
	layout, err := NewLayout(t.Context(), cluster.Of(c.client), "app", c.plan)
	require.NoError(t, err)
	n := NewInstance(Config{Process: "a", Resources: store.NewResources(store.ResourceLimits{})}, layout)
	n.copies = &copies{}
	id, p := plan.TaskID{}, &place{closing: true}
	n.tasks[id] = p
	claimed := func() []plan.TaskID {
		data, _ := n.joining()
		s, err := assign.DecodeSubscription(data)
		require.NoError(t, err)
		return s.Tasks
	}
	require.Equal(t, []plan.TaskID{id}, claimed(), "it is not committed yet")
	p.gone = true
	require.Empty(t, claimed())
	p.again = true
	require.Equal(t, []plan.TaskID{id}, claimed())
}
