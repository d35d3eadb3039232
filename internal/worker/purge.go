package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/sched"
)

// purger deletes what nobody needs any more: the records of repartition topics that are
// committed, and those of changelogs that are about windows which the stores have forgotten.
type purger struct {
	client   cluster.Cluster
	sched    sched.Sched
	interval time.Duration
	topics   map[string]bool
	log      *slog.Logger
	ctx      context.Context
	cancel   context.CancelFunc
	running  sched.Crew

	before map[kafka.Partition]int64
	done   map[kafka.Partition]int64 // changelogs, up to where they were purged
	last   time.Time
	busy   chan struct{} // full while a request is under way
}

func newPurger(c Config, l *Layout) *purger {
	p := &purger{client: c.Client, sched: c.Sched, interval: c.PurgeInterval, topics: map[string]bool{}, log: c.Log, before: map[kafka.Partition]int64{}, done: map[kafka.Partition]int64{}, last: c.Sched.Now(), busy: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for _, t := range l.repartitions() {
		p.topics[t.In(l.App)] = true
	}
	return p
}

// committed learns what is committed.
func (p *purger) committed(offsets map[kafka.Partition]kafka.Offset) {
	for at, o := range offsets {
		if p.topics[at.Topic] {
			p.before[at] = o.At
		}
	}
}

// needed learns from where on a changelog is needed.
func (p *purger) needed(changelog kafka.Partition, offset int64) {
	if offset > p.done[changelog] {
		p.before[changelog] = offset
		p.done[changelog] = offset
	}
}

// due says that it is time to purge.
func (p *purger) due() bool { return p.sched.Now().Sub(p.last) >= p.interval }

// purge deletes in the background. What fails is made up for by the next purge.
func (p *purger) purge() {
	if len(p.before) == 0 {
		p.last = p.sched.Now()
		return
	}
	select {
	case p.busy <- struct{}{}:
	default:
		return
	}
	before := p.before
	p.before, p.last = map[kafka.Partition]int64{}, p.sched.Now()
	p.running.Go(p.sched, func() {
		defer func() { <-p.busy }()
		if err := p.client.DeleteRecords(p.ctx, before); err != nil && p.ctx.Err() == nil {
			p.log.Warn("purge topics of the application", "error", err)
		}
	})
}

func (p *purger) close() {
	p.cancel()
	p.running.Wait(p.sched)
}
