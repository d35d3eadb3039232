package broker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

const (
	// fetchWait is how long a broker keeps a request when it has nothing new. It is also
	// how long a new subscription waits to be part of the next one.
	fetchWait = 50 // milliseconds
	// fetchBytes bounds one answer. All of it stays in memory while one record of it does.
	fetchBytes = 16 << 20
)

// fetchLoop is the goroutine that reads from one leader.
type fetchLoop struct {
	f       *Fetcher
	addr    string
	wake    chan struct{}
	session fetchSession
}

// asked is what a request says about one partition.
type asked struct {
	s        *Subscription
	epoch    int
	position int64
	leader   int32 // epoch
	alone    bool
}

// startLoop starts the loop for a leader, or wakes it. The lock is held.
func (f *Fetcher) startLoop(addr string) {
	l := f.loops[addr]
	if l == nil {
		l = &fetchLoop{f: f, addr: addr, wake: make(chan struct{}, 1)}
		f.loops[addr] = l
		f.running.Go(l.run)
	}
	kick(l.wake)
}

// run reads until the connection fails or the fetcher is closed, and hands the partitions
// back then.
func (l *fetchLoop) run() {
	f := l.f
	cn := f.c.newConn(f.ctx, l.addr, readTimeout)
	defer cn.close()
	err := cn.open()
	level := slog.LevelWarn
	if err != nil { // tried again until the metadata names another leader
		level = slog.LevelDebug
	}
	for err == nil && f.ctx.Err() == nil {
		err = l.round(cn)
	}
	if f.ctx.Err() != nil {
		return
	}
	f.c.log.Log(f.ctx, level, "lost the connection to a leader, finding the leaders again", "broker", l.addr, "error", err)
	var orphans []*Subscription
	f.mu.Lock()
	delete(f.loops, l.addr)
	for _, s := range f.subs {
		if s.leader.addr == l.addr {
			orphans = append(orphans, s)
		}
	}
	f.mu.Unlock()
	f.lose(orphans)
}

// round asks once for every partition that has room, and delivers the answer. It returns
// an error when the connection is of no use any more.
func (l *fetchLoop) round(cn *conn) error {
	wanted := l.wanted()
	if len(wanted) == 0 {
		l.await()
		return nil
	}
	each, all := l.sizes()
	req := &sarama.FetchRequest{
		Version: 12, MinBytes: 1, MaxWaitTime: fetchWait, MaxBytes: all, Isolation: isolation(l.f.o.ReadCommitted),
		RackID: l.f.c.cfg.RackID,
	}
	l.session.request(req, wanted, each)
	res, err := cn.Fetch(req)
	switch {
	case err != nil && !isBroken(err):
		l.session.forget()
		l.isolate(wanted, err)
		return err
	case err != nil:
		return err
	case !l.session.answered(req, res):
		return nil
	case res.ErrorCode != 0:
		return explain(sarama.KError(res.ErrorCode))
	}
	l.take(wanted, res)
	return nil
}

// isBroken tells an error of the connection from one of the answer.
func isBroken(err error) bool {
	var network net.Error
	var refusal sarama.KError // of another authentication
	return errors.As(err, &network) || errors.As(err, &refusal) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, sarama.ErrNotConnected)
}

// await waits until partitions may have room.
func (l *fetchLoop) await() {
	select {
	case <-l.wake:
	case <-l.f.ctx.Done():
	}
}

// wanted lists the partitions of this leader that have room, or just one of those that
// have to be asked for alone.
func (l *fetchLoop) wanted() []asked {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	quota, full := f.quota(), f.full()
	var wanted []asked
	for _, s := range f.subs {
		if s.leader.addr != l.addr || s.parked || s.queued >= quota || full && (s.queued > 0 || !f.starved) {
			continue
		}
		a := asked{s, s.epoch, s.position, s.leader.epoch, s.alone}
		if a.alone {
			return []asked{a}
		}
		wanted = append(wanted, a)
	}
	return wanted
}

// sizes are how many bytes to ask of each partition and of all together. Brokers send one
// batch whole, of the first partition that has any; sarama names them in another order each
// time.
func (l *fetchLoop) sizes() (each, all int32) {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	each = min(f.o.MaxPartitionBytes, int32(f.quota()))
	return each, int32(min(max((f.o.MaxBytes-f.held)/2, int(each)), fetchBytes))
}

// isolate finds the partition whose records cannot be decoded: sarama only says that there
// is one in the answer. Each is asked for alone from now on, until that went well; the one
// with which it does not is parked, and does not stop the others.
func (l *fetchLoop) isolate(wanted []asked, err error) {
	if a := wanted[0]; a.alone {
		l.f.park(a, fmt.Errorf("broker: decode %v at offset %d: %w", a.s.partition, a.position, err))
		return
	}
	l.setAlone(wanted, true)
}

func (l *fetchLoop) setAlone(wanted []asked, alone bool) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	for _, a := range wanted {
		a.s.alone = alone
	}
}

// take delivers what an answer says about each partition.
func (l *fetchLoop) take(wanted []asked, res *sarama.FetchResponse) {
	if wanted[0].alone {
		l.setAlone(wanted, false)
	}
	var lost []*Subscription
	var of answer
	for _, a := range wanted {
		block := res.GetBlock(a.s.partition.Topic, a.s.partition.Index)
		switch {
		case block == nil:
			if res.ThrottleTime == 0 { // else nothing is said of it; sarama waits before the next request
				l.unchanged(a)
			}
		case block.Err == sarama.ErrNoError:
			l.deliver(a, &of, block)
			if l.f.c.cfg.RackID != "" && block.PreferredReadReplica >= 0 {
				l.f.moveTo(a, block.PreferredReadReplica)
			}
		case block.Err == sarama.ErrOffsetOutOfRange && l.f.avoidFollower(a.s):
			lost = append(lost, a.s)
		case isLeaderGone(block.Err), block.Err == sarama.ErrUnknown:
			l.f.c.log.Debug("a partition cannot be read here, asking for its leader", "partition", a.s.partition, "broker", l.addr, "error", block.Err)
			lost = append(lost, a.s)
		default:
			l.f.park(a, fmt.Errorf("broker: fetch %v at offset %d: %w", a.s.partition, a.position, needs(explain(block.Err), "Read", "topic", a.s.partition.Topic)))
		}
	}
	if len(lost) > 0 {
		l.f.lose(lost)
	}
}

// deliver hands over what is new in a block.
func (l *fetchLoop) deliver(a asked, of *answer, block *sarama.FetchResponseBlock) {
	f := l.f
	b, err := f.decode(a.position, block)
	if err != nil {
		f.park(a, fmt.Errorf("broker: decode %v at offset %d: %w", a.s.partition, a.position, err))
		return
	}
	l.session.saw(a.s.partition, b.End)
	l.hand(a, of, b)
}

// unchanged tells a reader that is at the end so, if it does not know yet: the answer left
// its partition out, since nothing of it has changed.
func (l *fetchLoop) unchanged(a asked) {
	if end, ok := l.session.ends[a.s.partition]; ok && a.position >= end {
		l.hand(a, nil, kafka.Batch{Next: a.position, End: end})
	}
}

// hand delivers a batch if it is news. One without bytes need not be of an answer.
func (l *fetchLoop) hand(a asked, of *answer, b kafka.Batch) {
	f := l.f
	b.Epoch = a.epoch
	f.mu.Lock()
	current := f.current(a)
	news := current && (b.Next > a.position || b.Next >= b.End && a.s.told != b.End)
	if news {
		a.s.position, a.s.told = b.Next, b.End
		f.hold(a.s, of, b)
	}
	f.mu.Unlock()
	if news {
		a.s.deliver(b)
	} else {
		f.free.put(b.Records)
	}
}
