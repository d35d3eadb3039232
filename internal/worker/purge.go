package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// purger deletes the records of repartition topics that are committed, so that these
// topics hold no more than what is under way.
type purger struct {
	client   *broker.Client
	interval time.Duration
	topics   map[string]bool
	log      *slog.Logger
	ctx      context.Context
	cancel   context.CancelFunc
	done     sync.WaitGroup

	before map[kafka.Partition]int64
	last   time.Time
	busy   chan struct{} // full while a request is under way
}

func newPurger(c *broker.Client, l *Layout, log *slog.Logger) *purger {
	p := &purger{client: c, interval: purgeInterval, topics: map[string]bool{}, log: log, before: map[kafka.Partition]int64{}, last: time.Now(), busy: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for _, t := range l.repartitions() {
		p.topics[t.In(l.App)] = true
	}
	return p
}

// committed learns what is committed, and deletes it from time to time in the background.
// A purge that fails is made up for by the next one.
func (p *purger) committed(offsets map[kafka.Partition]kafka.Offset) {
	if len(p.topics) == 0 {
		return
	}
	for at, o := range offsets {
		if p.topics[at.Topic] {
			p.before[at] = o.At
		}
	}
	if len(p.before) == 0 || time.Since(p.last) < p.interval {
		return
	}
	select {
	case p.busy <- struct{}{}:
	default:
		return
	}
	before := p.before
	p.before, p.last = map[kafka.Partition]int64{}, time.Now()
	p.done.Go(func() {
		defer func() { <-p.busy }()
		if err := p.client.DeleteRecords(p.ctx, before); err != nil && p.ctx.Err() == nil {
			p.log.Warn("purge repartition topics", "error", err)
		}
	})
}

func (p *purger) close() {
	p.cancel()
	p.done.Wait()
}
