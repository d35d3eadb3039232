package broker

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// FetchOptions say how a fetcher reads. Zero fields have the defaults named here.
type FetchOptions struct {
	ReadCommitted     bool
	MaxPartitionBytes int32 // asked of one partition at a time; default 1 MiB. A larger batch comes whole
	MaxQueuedBytes    int   // a partition with so much delivered and not Done is left out; default 2 MiB
	MaxBytes          int   // of all answers that have something delivered and not Done; see quota; default 64 MiB
	// Topics are the ids of topics by name, where they are known: what is read must be of
	// these, or it fails with ErrTopicRecreated.
	Topics map[string]string

	// OnError is told that a partition is parked: nothing more of it is read until SeekTo
	// or Close. The position is the one that was asked for. sarama.ErrOffsetOutOfRange means
	// that it is outside of the log: ListOffsets tells on which side. It is called like
	// deliver; nil: only logged.
	OnError func(p kafka.Partition, epoch int, position int64, err error)
}

// Fetcher reads partitions from their leaders, over one connection to each. It is safe
// for concurrent use.
type Fetcher struct {
	c       *Client
	o       FetchOptions
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // of the goroutine that finds leaders
	free    recordPool

	mu    sync.Mutex
	subs  map[kafka.Partition]*Subscription
	loops map[string]*fetchLoop // by address
	held  int                   // bytes of the answers that are in memory
	// starved: the owner waits, and nothing was delivered or done since it said so.
	starved bool
}

// answer is what a broker sent at once, for some partitions. All of it stays in memory until
// the last of its batches is done.
type answer struct {
	bytes   int
	batches int // that are not done
}

// hold is a batch that is delivered and not done.
type hold struct {
	of   *answer
	next int64 // position after it
}

// Subscription is one partition that is being read.
type Subscription struct {
	f         *Fetcher
	partition kafka.Partition
	deliver   func(kafka.Batch)

	// Under the fetcher's lock.
	position   int64
	epoch      int
	queued     int // bytes delivered and not done
	holds      []hold
	told       int64 // the end in the last batch delivered, -1 before the first
	parked     bool
	alone      bool   // asked for by itself, because an answer that covered it could not be decoded
	leader     leader // without an address: to be found
	topic      string // the topic's id, once it is known
	leaderless bool   // logged that it has none

	// Not the leader, but a follower that it named because it is on the reader's rack.
	follower bool
	stayTill time.Time // at the leader, because the follower failed; zero: follow its advice
}

// NewFetcher returns a fetcher without subscriptions.
func (c *Client) NewFetcher(o FetchOptions) *Fetcher {
	setDefault(&o.MaxPartitionBytes, 1<<20)
	setDefault(&o.MaxQueuedBytes, 2<<20)
	setDefault(&o.MaxBytes, 64<<20)
	f := &Fetcher{
		c: c, o: o,
		wake:  make(chan struct{}, 1),
		subs:  map[kafka.Partition]*Subscription{},
		loops: map[string]*fetchLoop{},
	}
	f.ctx, f.cancel = context.WithCancel(c.ctx)
	f.running.Go(f.findLeaders)
	return f
}

// Subscribe reads p from offset on, in the place of an earlier subscription of p. deliver
// gets its batches, in order, on a connection's goroutine: it must not block. It gets a
// batch when there are records, when the position moved without any, and when the reader
// is at the end and could not know it from the batch before.
//
// The slice that holds the records is used again after Done. Their keys, values and headers
// are not: they stay as they are, so that they can be passed on, to Producer.Add say. But
// a key or a value keeps all of the answer it came in, some megabytes: what is kept for
// long must be copied.
func (f *Fetcher) Subscribe(p kafka.Partition, offset int64, deliver func(kafka.Batch)) *Subscription {
	s := &Subscription{f: f, partition: p, deliver: deliver, position: offset, told: -1, topic: f.o.Topics[p.Topic]}
	f.mu.Lock()
	if earlier := f.subs[p]; earlier != nil {
		f.forget(earlier)
	}
	f.subs[p] = s
	f.mu.Unlock()
	kick(f.wake)
	return s
}

// quota is how much a partition may have delivered and not Done: its share of MaxBytes.
// When that is held of all together, nothing more is asked for, unless the owner is starved.
// The lock is held.
func (f *Fetcher) quota() int {
	return min(max(f.o.MaxBytes/max(1, len(f.subs)), minQuota), f.o.MaxQueuedBytes)
}

// minQuota is below what brokers send in one batch, so that a smaller one saves nothing.
const minQuota = 64 << 10

// full reports that nothing more is to be asked for, unless the owner is starved. The lock
// is held.
func (f *Fetcher) full() bool { return f.held >= f.o.MaxBytes }

// hold counts a batch of an answer. The lock is held.
func (f *Fetcher) hold(s *Subscription, of *answer, b kafka.Batch) {
	if b.Bytes == 0 {
		return
	}
	of.batches++
	of.bytes += b.Bytes
	f.held += b.Bytes
	f.starved = false
	s.queued += b.Bytes
	s.holds = append(s.holds, hold{of, b.Next})
}

// drop counts the batches before next no more. The lock is held.
func (f *Fetcher) drop(s *Subscription, next int64) {
	n := 0
	for ; n < len(s.holds) && s.holds[n].next <= next; n++ {
		of := s.holds[n].of
		if of.batches--; of.batches == 0 {
			f.held -= of.bytes
			of.bytes = 0
		}
	}
	s.holds = append(s.holds[:0], s.holds[n:]...)
}

// forget takes what s has delivered out of the count. The lock is held.
func (f *Fetcher) forget(s *Subscription) {
	wasFull := f.full()
	f.drop(s, math.MaxInt64)
	s.queued = 0
	s.epoch++
	if wasFull && !f.full() {
		f.kickLoops()
	}
}

// kickLoops makes all loops look again. The lock is held.
func (f *Fetcher) kickLoops() {
	for _, l := range f.loops {
		kick(l.wake)
	}
}

// SeekTo goes on at offset. Batches of an epoch other than the one it returns were fetched
// before: one may still be delivered after SeekTo, and is to be dropped.
func (s *Subscription) SeekTo(offset int64) (epoch int) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.forget(s)
	s.position, s.told, s.parked, s.alone = offset, -1, false, false
	s.f.kickLoop(s)
	return s.epoch
}

// Done says that the owner has finished with a batch: its bytes are free again, and its
// Records are for the next one. It is called once for a batch, or never.
func (s *Subscription) Done(b kafka.Batch) {
	s.f.free.put(b.Records)
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if b.Epoch != s.epoch {
		return
	}
	f := s.f
	f.starved = false
	allFull, full := f.full(), s.queued >= f.quota()
	s.queued -= b.Bytes
	f.drop(s, b.Next)
	switch {
	case allFull && !f.full():
		f.kickLoops()
	case full && s.queued < f.quota(), s.queued == 0:
		f.kickLoop(s)
	}
}

// Close ends the subscription. A delivery that has begun may still run when it returns;
// none begins after.
func (s *Subscription) Close() {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.subs[s.partition] == s {
		s.f.forget(s)
		delete(s.f.subs, s.partition)
	}
}

// Starve says that the owner can do nothing with what it has: it may wait for a partition that
// has nothing. Those are asked, for little, though MaxBytes are held. An owner that may need
// one partition to be done with another must call it whenever it begins to wait, and not
// while it waits for something else.
func (f *Fetcher) Starve() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full() && !f.starved {
		f.starved = true
		f.kickLoops()
	}
}

// Close ends all subscriptions. It returns when no delivery runs any more, at once even
// while a request waits at a broker. It must not be called from deliver.
func (f *Fetcher) Close() {
	f.cancel()
	f.running.Wait()
}

func kick(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default: // it will look anyway
	}
}

// kickLoop makes the loop of s look at it again, if it waits. The lock is held.
func (f *Fetcher) kickLoop(s *Subscription) {
	if l := f.loops[s.leader.addr]; l != nil {
		kick(l.wake)
	}
}

// findLeaders gives subscriptions a leader, and the leaders a loop.
func (f *Fetcher) findLeaders() {
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-f.wake:
		}
		var ps []kafka.Partition
		f.mu.Lock()
		for p, s := range f.subs {
			if s.leader.addr == "" {
				ps = append(ps, p)
			}
		}
		f.mu.Unlock()
		if len(ps) == 0 {
			continue
		}
		found, err := f.c.findLeaders(f.ctx, topicsOf(ps))
		if f.place(ps, found, err) < len(ps) {
			f.retry(2 * later)
		}
	}
}

// place assigns what was found to the subscriptions that still need it, and returns how
// many partitions have a leader.
func (f *Fetcher) place(ps []kafka.Partition, found leaders, err error) int {
	var others []asked
	defer func() {
		for _, a := range others {
			f.park(a, ErrTopicRecreated)
		}
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, p := range ps {
		l, ok := found.of(p)
		s := f.subs[p]
		if ok {
			n++
		}
		switch {
		case s == nil || s.leader.addr != "":
		case ok && s.topic != "" && l.topic != s.topic:
			others = append(others, asked{s: s, epoch: s.epoch, position: s.position})
			s.leader = l
		case ok:
			s.leader, s.topic, s.leaderless, s.follower = l, l.topic, false, false
			f.startLoop(l.addr)
		case !s.leaderless && f.ctx.Err() == nil:
			s.leaderless = true
			f.c.log.Warn("a partition has no leader, waiting for one", "partition", p, "error", err)
		}
	}
	return n
}

// moveTo reads s from a follower that its leader named, unless the leader is to be asked for
// a while because a follower failed.
func (f *Fetcher) moveTo(a asked, id int32) {
	addr := f.c.addressOf(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := a.s; f.current(a) && addr != "" && s.leader.addr != "" && s.leader.addr != addr && time.Now().After(s.stayTill) {
		s.leader.addr, s.follower = addr, true
		f.startLoop(addr)
	}
}

// avoidFollower says whether s was read from a follower, and then goes back to the leader
// for some time: what a follower does not have, the leader may.
func (f *Fetcher) avoidFollower(s *Subscription) (was bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if was = s.follower; was {
		s.follower, s.stayTill = false, time.Now().Add(followerPause)
	}
	return was
}

// followerPause is how long a partition is read from its leader after a follower failed.
const followerPause = time.Minute

// retry looks for leaders after a pause.
func (f *Fetcher) retry(after time.Duration) {
	time.AfterFunc(after, func() { kick(f.wake) })
}

// lose forgets the leader of subscriptions, and finds it again after a pause: an election
// takes one.
func (f *Fetcher) lose(ss []*Subscription) {
	f.mu.Lock()
	for _, s := range ss {
		s.leader, s.follower = leader{}, false
	}
	f.mu.Unlock()
	f.retry(later)
}

// park stops reading s at what was asked, and tells the owner.
func (f *Fetcher) park(a asked, err error) {
	f.mu.Lock()
	current := f.current(a)
	if current {
		a.s.parked = true
	}
	f.mu.Unlock()
	if !current {
		return
	}
	f.c.log.Error("a partition is parked", "partition", a.s.partition, "offset", a.position, "error", err)
	if f.o.OnError != nil {
		f.o.OnError(a.s.partition, a.epoch, a.position, err)
	}
}

// current reports whether what was asked is still what is wanted. The lock is held.
func (f *Fetcher) current(a asked) bool {
	return f.subs[a.s.partition] == a.s && a.s.epoch == a.epoch
}
