package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/broker"
	cl "github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// cluster is Kafka: topics, the coordinators, and what is on its way to them from those
// who are gone.
type cluster struct {
	w            *world
	topics       map[string]broker.TopicSpec
	partitions   map[kafka.Partition]*partition
	order        []*partition
	transactions map[string]*transaction
	producers    int64 // ids given
	group        *group
	late         []*sealed

	// Mistakes of a client that are planted here, since the client is a model.
	sloppyEpochs    bool // a transactional id is taken over without a new epoch
	unstableOffsets bool // committed offsets are read though a transaction is about to change them
	offsetsApart    bool // offsets are committed beside the transaction, not in it
}

func newCluster(w *world) *cluster {
	return &cluster{w: w, topics: map[string]broker.TopicSpec{}, partitions: map[kafka.Partition]*partition{}, transactions: map[string]*transaction{}, group: newGroup(w)}
}

func (k *cluster) create(t broker.TopicSpec) {
	k.topics[t.Name] = t
	for i := range t.Partitions {
		at := kafka.Partition{Topic: t.Name, Index: i}
		k.partitions[at] = newPartition(at, t.Config["cleanup.policy"] != "" && t.Config["cleanup.policy"] != "delete")
		k.order = append(k.order, k.partitions[at])
	}
}

// sorted are the transactions by id.
func (k *cluster) sorted() []*transaction {
	ts := slices.Collect(maps.Values(k.transactions))
	slices.SortFunc(ts, func(a, b *transaction) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return ts
}

// wire takes what a producer that stops had sent, and that nobody may stop any more: of
// each partition some batches arrive, now or later.
func (k *cluster) wire(bs []*sealed, later bool) {
	stopped := map[kafka.Partition]bool{}
	for _, b := range bs {
		if stopped[b.at] || k.w.chance(5000) {
			stopped[b.at] = true
			continue
		}
		if !later {
			err := k.produce(b)
			k.w.tracef("wire: %d records to %v as %d of epoch %d: %v", len(b.records), b.at, b.producer, b.epoch, err)
			continue
		}
		for i, r := range b.records {
			r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
			b.records[i] = r
		}
		if b.from = k.w.later(20 * time.Second); b.transaction != nil && k.w.chance(5000) {
			b.from, b.lurks = k.w.now.Add(20*time.Second), k.w.now
		}
		k.late = append(k.late, b)
	}
}

// client is how one process speaks to the cluster.
type client struct {
	p         *process
	k         *cluster
	producers []*producer
	fetchers  []*fetcher
}

var errNoAnswer = errors.New("sim: no answer")

// call is a request. Before it reaches the cluster, and before its answer is back, much
// can happen: to others, and to this process.
func (c *client) call(what string, do func() error) (err error) {
	w := c.p.w
	c.p.pause(nil, noTime)
	if d := w.delay(what); d > 0 {
		c.p.Wait(context.Background(), nil, d)
	}
	switch {
	case w.chance(w.rates.unasked):
		w.tracef("%s: %s: lost", c.p.name, what)
		return errNoAnswer
	case w.crash(what):
		w.tracef("%s: %s: dies before it", c.p.name, what)
		c.p.die()
	}
	err = do()
	if w.tracing {
		w.tracef("%s: %s: %v", c.p.name, what, err)
	}
	if w.crash(what) {
		w.tracef("%s: %s: dies after it", c.p.name, what)
		c.p.die()
	}
	if w.chance(2000) {
		c.p.pause(nil, noTime)
	}
	if w.chance(w.rates.unanswered) {
		w.tracef("%s: %s: the answer is lost", c.p.name, what)
		return errNoAnswer
	}
	return err
}

// calls asks again while a transaction is being ended.
func (c *client) calls(what string, do func() error) error {
	for {
		err := c.call(what, do)
		if !errors.Is(err, sarama.ErrConcurrentTransactions) && !errors.Is(err, sarama.ErrUnstableOffsetCommit) {
			return err
		}
		c.p.Wait(context.Background(), nil, 20*time.Millisecond)
	}
}

func (c *client) Topics(_ context.Context, names ...string) (found map[string]broker.Topic, err error) {
	found = map[string]broker.Topic{}
	return found, c.call("Metadata", func() error {
		for _, name := range names {
			if t, ok := c.k.topics[name]; ok {
				found[name] = broker.Topic{Partitions: t.Partitions, ID: "id of " + name}
			}
		}
		return nil
	})
}

func (c *client) CreateTopic(_ context.Context, t broker.TopicSpec) error {
	return c.call("CreateTopics "+t.Name, func() error {
		if _, ok := c.k.topics[t.Name]; ok {
			return broker.ErrTopicExists
		}
		c.k.create(t)
		return nil
	})
}

func (c *client) TopicConfig(_ context.Context, name string) (config map[string]string, err error) {
	return config, c.call("DescribeConfigs", func() error { config = c.k.topics[name].Config; return nil })
}

func (c *client) DeleteRecords(_ context.Context, before map[kafka.Partition]int64) error {
	return c.call(fmt.Sprint("DeleteRecords ", before), func() error {
		for p, at := range before {
			c.k.partitions[p].delete(at)
		}
		return nil
	})
}

func (c *client) ListOffsets(_ context.Context, ps []kafka.Partition, at int64, readCommitted bool) (found map[kafka.Partition]int64, err error) {
	found = map[kafka.Partition]int64{}
	err = c.call("ListOffsets", func() error {
		for _, p := range ps {
			if at == broker.Latest {
				found[p] = c.k.partitions[p].readable(readCommitted)
			} else {
				found[p] = c.k.partitions[p].start
			}
		}
		return nil
	})
	return found, err
}

func (c *client) Committed(ctx context.Context, _ string, ps []kafka.Partition) (found map[kafka.Partition]kafka.Offset, err error) {
	g := c.k.group
	err = c.calls("OffsetFetch", func() error {
		found = map[kafka.Partition]kafka.Offset{}
		for _, p := range ps {
			for _, pending := range g.pending {
				if _, ok := pending[p]; ok && !c.k.unstableOffsets {
					return sarama.ErrUnstableOffsetCommit
				}
			}
			if o, ok := g.committed[p]; ok {
				found[p] = o
			}
		}
		return ctx.Err()
	})
	return found, err
}

func (c *client) CommitOffsets(m broker.Member, offsets map[kafka.Partition]kafka.Offset) error {
	return c.call("OffsetCommit", func() error {
		if err := c.k.group.check(m, false); err != nil {
			return err
		}
		maps.Copy(c.k.group.committed, offsets)
		return nil
	})
}

func (c *client) NewGroup(g broker.GroupConfig) cl.Group { return c.newMembership(g) }

func (c *client) NewProducer(_ context.Context, o broker.ProducerOptions) (cl.Producer, error) {
	p, err := c.newProducer(o)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// fetcher reads partitions.
type fetcher struct {
	c    *client
	o    broker.FetchOptions
	subs []*subscription
}

type subscription struct {
	f        *fetcher
	at       *partition
	position int64
	told     int64 // the end in the last batch
	deliver  func(kafka.Batch)
	parked   bool
}

func (c *client) NewFetcher(o broker.FetchOptions) cl.Fetcher {
	f := &fetcher{c: c, o: o}
	c.fetchers = append(c.fetchers, f)
	return f
}

func (f *fetcher) Subscribe(p kafka.Partition, offset int64, deliver func(kafka.Batch)) cl.Subscription {
	s := &subscription{f: f, at: f.c.k.partitions[p], position: offset, told: -1, deliver: deliver}
	f.subs = append(f.subs, s)
	return s
}

func (f *fetcher) Starve() {} // it has no bound

func (f *fetcher) Close() {
	f.subs = nil
	f.c.fetchers = slices.DeleteFunc(f.c.fetchers, func(o *fetcher) bool { return o == f })
}

func (s *subscription) Done(kafka.Batch) {}

func (s *subscription) Close() {
	s.f.subs = slices.DeleteFunc(s.f.subs, func(o *subscription) bool { return o == s })
}

// news says whether a fetch would bring anything.
func (s *subscription) news() bool {
	end := s.at.readable(s.f.o.ReadCommitted)
	return !s.parked && (s.position < end || s.position == end && s.told != end || s.outside())
}

func (s *subscription) outside() bool { return s.position < s.at.start || s.position > s.at.end }

// fetch brings what comes next.
func (s *subscription) fetch() {
	w := s.f.c.p.w
	if s.outside() {
		w.tracef("%s: %v: offset %d is outside of %d to %d", s.f.c.p.name, s.at.at, s.position, s.at.start, s.at.end)
		s.parked = true
		s.f.o.OnError(s.at.at, 0, s.position, sarama.ErrOffsetOutOfRange)
		return
	}
	b := kafka.Batch{End: s.at.readable(s.f.o.ReadCommitted)}
	b.Records, b.Next = s.at.read(s.position, 1+w.rng.IntN(w.fetchRecords), s.f.o.ReadCommitted)
	for _, r := range b.Records {
		b.Bytes += len(r.Key) + len(r.Value)
		w.deliver(s.at.at, r)
	}
	w.tracef("%s: fetch %v from %d: %d records, then %d of %d", s.f.c.p.name, s.at.at, s.position, len(b.Records), b.Next, b.End)
	s.position, s.told = b.Next, b.End
	s.deliver(b)
}

// LearnLimit has nothing to learn: no record is large here.
func (c *client) LearnLimit(context.Context, error) bool { return false }
