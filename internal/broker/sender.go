package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

const (
	// maxInFlight is how many batches of a producer and partition a broker remembers. No
	// batch is sent that many after the oldest without an answer. To count those on the wire
	// is not enough: when the oldest was written and its answer lost, five later ones would
	// push it out of that memory, and sending it again would look like a gap.
	maxInFlight = 5
	// forgotten is when a broker may no longer know a producer that was silent.
	forgotten = time.Minute
	// produceTimeout is how long a leader waits for its replicas before it says so.
	produceTimeout = 10 * time.Second
)

// produceConn is the connection to one leader.
type produceConn struct {
	*conn
	inFlight int
	dead     bool
}

// A flight is a batch in a request.
type flight struct {
	t *Target
	b *batch
}

// send is the only goroutine that sends records, and that opens and closes connections
// for them. Answers arrive at answered, on the connections' goroutines.
//
// How order is kept: a partition of which anything failed loses its connection. It gets
// another, the same one maybe, when everything of it on the wire has come back, and starts
// again at the oldest batch without an acknowledgement.
func (p *Producer) send() {
	defer close(p.stopped)
	defer p.closeConns()
	pause := soonest
	for {
		requests, leaderless := p.next()
		if len(requests)+len(leaderless) == 0 {
			return
		}
		for c, fs := range requests {
			if p.awaitLease() {
				p.request(c, fs)
			}
		}
		if len(leaderless) == 0 || p.connectLeaders(leaderless) {
			pause = soonest
			continue
		}
		sleep(p.ctx, pause)
		pause = min(2*pause, 4*later)
	}
}

// next waits until there is something to do: batches to send, one at most of each
// partition, or partitions with batches but no connection. It returns without any when
// the producer is closed.
func (p *Producer) next() (requests map[*produceConn][]flight, leaderless []*Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.ctx.Err() == nil {
		p.checkProgress()
		if p.err == nil {
			requests, leaderless = p.collect()
		}
		if len(requests)+len(leaderless) > 0 {
			break
		}
		p.wake.Wait()
	}
	for c, fs := range requests {
		c.inFlight++
		p.inFlight++
		for _, f := range fs {
			f.t.inFlight++
			f.t.sent++
		}
	}
	return requests, leaderless
}

// collect is next without the wait. The lock is held.
func (p *Producer) collect() (requests map[*produceConn][]flight, leaderless []*Target) {
	for _, t := range p.targets {
		for t.sent < len(t.queue) && t.queue[t.sent].done {
			t.sent++
		}
		switch {
		case t.sent == len(t.queue) || t.sent >= t.window():
		case t.conn == nil || t.conn.dead:
			if t.inFlight == 0 { // else something of it may still come back, and out of order
				leaderless = append(leaderless, t)
			}
		case t.conn.inFlight < maxInFlight:
			if requests == nil {
				requests = map[*produceConn][]flight{}
			}
			requests[t.conn] = append(requests[t.conn], flight{t, t.queue[t.sent]})
		}
	}
	return requests, leaderless
}

// window is how many batches may be sent from the oldest without an answer on, done ones
// included. The first batch that a broker sees of a producer goes alone. It takes any
// sequence as the first: were that batch refused for a moment, while the leader is taking
// over, and the one behind it taken, the first could never be written any more.
func (t *Target) window() int {
	if time.Since(t.heard) > forgotten {
		return 1
	}
	return maxInFlight
}

// checkProgress ends a wait that has become hopeless. Every request is answered, or fails,
// within the read timeout, so it is looked at often enough.
func (p *Producer) checkProgress() {
	if p.held == 0 || p.err != nil || time.Since(p.progress) < p.o.Timeout {
		return
	}
	var stuck []string
	var last error
	for _, t := range p.targets {
		if len(t.queue) > 0 {
			stuck = append(stuck, t.partition.String())
			last = cmp.Or(t.last, last)
		}
	}
	if last == nil {
		last = errors.New("no answer")
	}
	p.err = fmt.Errorf("broker: produce to %s: no progress for %v: %w", strings.Join(stuck, ", "), p.o.Timeout, last)
	p.wake.Broadcast()
}

// awaitLease waits until the producer may send; false: it never may again.
func (p *Producer) awaitLease() bool {
	for p.o.Lease != nil {
		until, ok := p.o.Lease()
		if !ok {
			p.fail(ErrNoLease)
		}
		if !ok || p.ctx.Err() != nil {
			return false
		}
		if time.Now().Before(until) {
			return true
		}
		sleep(p.ctx, soon)
	}
	return true
}

func (p *Producer) request(c *produceConn, fs []flight) {
	req := &sarama.ProduceRequest{
		Version: 9, RequiredAcks: sarama.WaitForAll, Timeout: int32(produceTimeout / time.Millisecond), TransactionalID: p.transactionalID(),
	}
	for _, f := range fs {
		req.AddBatch(f.t.partition.Topic, f.t.partition.Index, &f.b.RecordBatch)
	}
	if err := c.AsyncProduce(req, func(r *sarama.ProduceResponse, err error) { p.answered(c, fs, r, err) }); err != nil {
		p.answered(c, fs, nil, err)
	}
}

// answered takes the outcome of a request. It runs on the connection's goroutine, where
// no request may be made.
func (p *Producer) answered(c *produceConn, fs []flight, r *sarama.ProduceResponse, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.wake.Broadcast()
	c.inFlight--
	p.inFlight--
	if err != nil {
		if !c.dead && p.ctx.Err() == nil {
			p.c.log.Warn("lost the connection to a leader, sending again", "broker", c.Addr(), "error", err)
		}
		c.dead = true
	}
	for _, f := range fs {
		f.t.inFlight--
		answer := &sarama.ProduceResponseBlock{Err: sarama.ErrNetworkException}
		if r != nil && r.Blocks[f.t.partition.Topic][f.t.partition.Index] != nil {
			answer = r.Blocks[f.t.partition.Topic][f.t.partition.Index]
		}
		p.settle(f, answer, err)
	}
}

// settle decides what one answer means for its batch.
func (p *Producer) settle(f flight, answer *sarama.ProduceResponseBlock, cause error) {
	t, code := f.t, answer.Err
	switch {
	case code == sarama.ErrNoError, code == sarama.ErrDuplicateSequenceNumber:
		f.b.done = true
		if answer.Offset >= 0 {
			t.acked = max(t.acked, answer.Offset+int64(len(f.b.Records)))
		}
		t.heard = time.Now()
		p.progress = t.heard
		p.popDone(t)
	case isResendable(code),
		code == sarama.ErrOutOfOrderSequenceNumber && t.queue[0] != f.b: // because an earlier one failed
		if cause == nil {
			cause = code
			if t.conn != nil {
				p.c.log.Debug("a batch was refused, sending again", "partition", t.partition, "sequence", f.b.FirstSequence, "error", code)
			}
		}
		t.sent, t.conn, t.last = 0, nil, cause
	case p.err == nil:
		p.err = fmt.Errorf("broker: produce %d records to %v: %w", len(f.b.Records), t.partition, needs(explain(code), "Write", "topic", t.partition.Topic))
		if answer.ErrorMessage != nil {
			p.err = fmt.Errorf("%w (%s)", p.err, *answer.ErrorMessage)
		}
		p.err = refusal(t.partition, code, p.err)
	}
}

// popDone takes the acknowledged batches off the head of the queue.
func (p *Producer) popDone(t *Target) {
	n := 0
	for n < len(t.queue) && t.queue[n].done {
		p.held -= t.queue[n].size
		p.pool.put(t.queue[n])
		n++
	}
	t.queue = slices.Delete(t.queue, 0, n)
	t.sent = max(t.sent-n, 0)
}

// connectLeaders gives targets a live connection to their leader, and reports whether it
// could give one to each.
func (p *Producer) connectLeaders(leaderless []*Target) bool {
	p.closeDead()
	tried := map[string]error{}
	ps := make([]kafka.Partition, len(leaderless))
	for i, t := range leaderless {
		ps[i] = t.partition
	}
	ctx, end := context.WithTimeout(p.ctx, firstContact)
	defer end()
	leaders, err := p.c.findLeaders(ctx, topicsOf(ps))
	ok := true
	for _, t := range leaderless {
		l, found := leaders.of(t.partition)
		var c *produceConn
		var why error
		switch {
		case err != nil:
			why = err
		case !found:
			why = sarama.ErrLeaderNotAvailable
		default:
			c, why = p.connect(l.addr, tried)
		}
		ok = ok && why == nil
		p.mu.Lock()
		t.conn, t.last = c, cmp.Or(why, t.last)
		p.mu.Unlock()
	}
	return ok
}

// connect returns the connection to addr, a new one if need be. What it tried without
// success it does not try again for the next partition: a host that is gone takes seconds.
func (p *Producer) connect(addr string, tried map[string]error) (*produceConn, error) {
	if c := p.conns[addr]; c != nil {
		return c, nil
	}
	if err := tried[addr]; err != nil {
		return nil, err
	}
	c := &produceConn{conn: p.c.newConn(p.ctx, addr, readTimeout)}
	if err := c.open(); err != nil {
		tried[addr] = err
		return nil, err
	}
	p.conns[addr] = c
	return c, nil
}

// closeDead closes broken connections. Not under the lock: closing waits for the answers,
// which take it.
func (p *Producer) closeDead() {
	for addr, c := range p.conns {
		p.mu.Lock()
		dead := c.dead
		p.mu.Unlock()
		if dead {
			c.close()
			delete(p.conns, addr)
		}
	}
}

func (p *Producer) closeConns() {
	for _, c := range p.conns {
		c.close()
	}
}
