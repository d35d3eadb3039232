package broker

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// modelPartition is what a broker does with the batches of one producer: it remembers the
// last five, and takes any first sequence.
type modelPartition struct {
	known  bool
	last   [][2]int32 // first and last sequence of the batches it remembers
	offset []int64    // of each of those
	log    []int32    // the sequences of the records it has
}

func (m *modelPartition) append(b *batch) *sarama.ProduceResponseBlock {
	first, last := b.FirstSequence, b.FirstSequence+b.LastOffsetDelta
	if i := slices.Index(m.last, [2]int32{first, last}); i >= 0 {
		return &sarama.ProduceResponseBlock{Offset: m.offset[i]}
	}
	if m.known && first != m.last[len(m.last)-1][1]+1 {
		return &sarama.ProduceResponseBlock{Err: sarama.ErrOutOfOrderSequenceNumber}
	}
	base := int64(len(m.log))
	for s := first; s <= last; s++ {
		m.log = append(m.log, s)
	}
	m.known = true
	m.last, m.offset = append(m.last, [2]int32{first, last}), append(m.offset, base)
	if len(m.last) > 5 {
		m.last, m.offset = m.last[1:], m.offset[1:]
	}
	return &sarama.ProduceResponseBlock{Offset: base}
}

// modelNetwork carries a producer's requests to a model broker: some get lost, some answers
// do, and some batches are refused for a moment.
type modelNetwork struct {
	p     *Producer
	rng   *rand.Rand
	parts map[kafka.Partition]*modelPartition
	conn  *produceConn
	wire  []*modelRequest
}

type modelRequest struct {
	c  *produceConn
	fs []flight
}

func newModelNetwork(p *Producer, seed uint64) *modelNetwork {
	return &modelNetwork{p: p, rng: rand.New(rand.NewPCG(seed, 0)), parts: map[kafka.Partition]*modelPartition{}}
}

// step lets the producer send what it may, or one request arrive.
func (n *modelNetwork) step() {
	if n.rng.IntN(2) == 0 && n.hasWork() {
		n.send()
	} else if len(n.wire) > 0 {
		r := n.wire[0]
		n.wire = n.wire[1:]
		n.arrive(r)
	}
}

// hasWork tells whether next would return, and not wait.
func (n *modelNetwork) hasWork() bool {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	requests, leaderless := n.p.collect()
	return len(requests)+len(leaderless) > 0
}

func (n *modelNetwork) send() {
	requests, leaderless := n.p.next()
	for c, fs := range requests {
		n.wire = append(n.wire, &modelRequest{c, fs})
	}
	for _, t := range leaderless {
		if n.conn == nil || n.conn.dead {
			n.conn = &produceConn{conn: &conn{Broker: sarama.NewBroker("model:1")}}
		}
		t.conn = n.conn
	}
}

func (n *modelNetwork) arrive(r *modelRequest) {
	if n.rng.IntN(40) == 0 { // the connection broke before it
		n.p.answered(r.c, r.fs, nil, sarama.ErrNotConnected)
		return
	}
	answer := &sarama.ProduceResponse{Blocks: map[string]map[int32]*sarama.ProduceResponseBlock{}}
	for _, f := range r.fs {
		at := f.t.partition
		if n.parts[at] == nil {
			n.parts[at] = &modelPartition{}
		}
		block := &sarama.ProduceResponseBlock{Err: sarama.ErrNotLeaderForPartition}
		if n.rng.IntN(10) > 0 {
			block = n.parts[at].append(f.b)
		}
		if n.rng.IntN(20) == 0 {
			block = &sarama.ProduceResponseBlock{Err: sarama.ErrRequestTimedOut} // whatever was done
		}
		if answer.Blocks[at.Topic] == nil {
			answer.Blocks[at.Topic] = map[int32]*sarama.ProduceResponseBlock{}
		}
		answer.Blocks[at.Topic][at.Index] = block
	}
	if n.rng.IntN(40) == 0 { // the answer got lost
		n.p.answered(r.c, r.fs, nil, sarama.ErrNotConnected)
		return
	}
	n.p.answered(r.c, r.fs, answer, nil)
}

// offline is a producer without a broker: its test does what the sender would.
func offline(t *testing.T) *Producer {
	c := &Client{cfg: configure(Options{}), log: discard}
	c.ctx = t.Context()
	p := &Producer{c: c, ctx: c.ctx, byName: map[kafka.Partition]*Target{}}
	p.o.setDefaults()
	p.wake = sync.NewCond(&p.mu)
	return p
}

// Whatever is lost, refused or answered late: every record is in the log once, in order.
func TestSenderKeepsOrderOverAnyNetwork(t *testing.T) {
	for seed := range uint64(200) {
		p := offline(t)
		n := newModelNetwork(p, seed)
		targets := []*Target{p.Target(kafka.Partition{Topic: "t", Index: 0}), p.Target(kafka.Partition{Topic: "t", Index: 1})}
		const batches = 60
		for range batches {
			for _, target := range targets {
				for range 1 + n.rng.IntN(3) {
					require.NoError(t, p.Add(target, nil, nil, nil, 1))
				}
			}
			require.NoError(t, p.Flush())
			for range n.rng.IntN(4) {
				n.step()
			}
		}
		for p.held > 0 && p.err == nil {
			n.step()
		}
		require.NoError(t, p.err, "seed %d", seed)
		for _, target := range targets {
			log := n.parts[target.partition].log
			require.Len(t, log, int(target.next), "seed %d", seed)
			for i, s := range log {
				require.Equal(t, int32(i), s, "seed %d", seed)
			}
			require.Equal(t, int64(len(log)), target.Acked(), "seed %d", seed)
		}
	}
}

// A broker takes any first sequence of a producer it does not know. So until it knows this
// one, a batch must not be behind another that may still be refused.
func TestFirstBatchOfAProducerGoesAlone(t *testing.T) {
	p := offline(t)
	target := p.Target(kafka.Partition{Topic: "t"})
	target.conn = &produceConn{}
	for range 10 {
		target.queue = append(target.queue, &batch{})
	}
	send := func() (sent int) {
		for {
			requests, _ := p.collect()
			if len(requests) == 0 {
				return sent
			}
			target.sent++
			sent++
		}
	}
	require.Equal(t, 1, send())
	target.heard = time.Now()
	require.Equal(t, maxInFlight-1, send())
	target.heard, target.sent = time.Now().Add(-2*forgotten), 0
	require.Equal(t, 1, send(), "it may have been forgotten")
}

func TestMissingRecordsInTheLogAreFatal(t *testing.T) {
	p := offline(t)
	target := p.Target(kafka.Partition{Topic: "t", Index: 4})
	require.NoError(t, p.Add(target, nil, nil, nil, 1))
	require.NoError(t, p.Flush())
	p.settle(flight{target, target.queue[0]}, &sarama.ProduceResponseBlock{Err: sarama.ErrOutOfOrderSequenceNumber}, nil)
	require.ErrorIs(t, p.err, sarama.ErrOutOfOrderSequenceNumber)
	require.ErrorContains(t, p.err, "t/4")
	require.Equal(t, p.err, p.Flush())
}

// A producer sends nothing when its lease has run out, goes on under a longer one, and
// fails when there will be none.
func TestLease(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		to := kafka.Partition{Topic: createTopic(t, c, 1, nil)}
		var until atomic.Int64
		var over atomic.Bool
		p := newProducer(t, c, ProducerOptions{Lease: func() (time.Time, bool) { return time.Unix(0, until.Load()), !over.Load() }})
		end := func() int64 {
			ends, err := c.ListOffsets(t.Context(), []kafka.Partition{to}, Latest, false)
			require.NoError(t, err)
			return ends[to]
		}
		add(t, p, to, "v", 3)
		require.NoError(t, p.Flush())
		time.Sleep(300 * time.Millisecond)
		require.Zero(t, end(), "it has no lease yet")
		until.Store(time.Now().Add(time.Hour).UnixNano())
		require.NoError(t, p.Wait())
		require.Equal(t, int64(3), end())

		until.Store(0)
		add(t, p, to, "w", 3)
		time.AfterFunc(300*time.Millisecond, func() { over.Store(true) })
		require.ErrorIs(t, p.Wait(), ErrNoLease)
		require.Equal(t, int64(3), end())
	})
}
