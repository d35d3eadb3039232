package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/sched"
	"github.com/seed-df18afd4/streams/internal/store"
)

// copies are what an instance keeps of the state of tasks that run elsewhere: standbys, and
// warm-ups of tasks that are to move here. One goroutine has them all; it follows the
// changelogs, and gives the open stores to a worker that claims them.
type copies struct {
	c        Config
	caughtUp func(plan.TaskID)
	fetcher  cluster.Fetcher
	all      map[plan.TaskID]*taskCopy
	waiting  []*taskCopy     // to be opened, one after the other: claims go between
	life     context.Context // of follow
	asking   bool            // for committed offsets
	asks     sched.Crew
	askAt    time.Time // again

	wake   chan struct{}
	mu     sync.Mutex
	jobs   []func()
	mail   []copied
	lags   map[plan.TaskID]int64
	closed bool
}

// copied is a batch of the changelog of a copy's store.
type copied struct {
	t     *taskCopy
	slot  int
	batch kafka.Batch
}

// committedInterval is how often the limits of source topics are asked for.
const committedInterval = time.Second

// keptOn are the tasks whose state a former run left on the disk.
func keptOn(disk store.Disk, dir string) map[plan.TaskID]bool {
	kept := map[plan.TaskID]bool{}
	names, err := disk.ReadDir(dir)
	if err != nil {
		return kept // there is none
	}
	for _, name := range names {
		var id plan.TaskID
		if id.UnmarshalText([]byte(name)) == nil {
			kept[id] = true
		}
	}
	return kept
}

func newCopies(c Config, caughtUp func(plan.TaskID)) *copies {
	s := &copies{c: c, caughtUp: caughtUp, all: map[plan.TaskID]*taskCopy{}, lags: map[plan.TaskID]int64{}, wake: make(chan struct{}, 1)}
	s.fetcher = c.Client.NewFetcher(broker.FetchOptions{ReadCommitted: true, MaxBytes: c.Memory.RestoreFetch, OnError: func(p kafka.Partition, _ int, at int64, err error) {
		s.post(func() { s.failed(p, at, err) })
	}})
	return s
}

// post has the copies' goroutine run f; false: it has ended.
func (s *copies) post(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.jobs = append(s.jobs, f)
	s.kick()
	return true
}

func (s *copies) deliver(m copied) {
	s.mu.Lock()
	s.mail = append(s.mail, m)
	s.mu.Unlock()
	s.kick()
}

func (s *copies) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// behind says how many records each copy is behind, as far as it is known.
func (s *copies) behind() map[plan.TaskID]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.lags)
}

// keep begins the copies that are to be made, and with a list of those to keep, ends all
// others.
func (s *copies) keep(l *Layout, keep map[plan.TaskID]bool, make []plan.TaskID) {
	s.post(func() {
		for _, id := range slices.SortedFunc(maps.Keys(s.all), plan.TaskID.Compare) {
			if keep != nil && !keep[id] {
				s.end(s.all[id])
			}
		}
		for _, id := range make {
			if s.all[id] == nil {
				s.begin(&taskCopy{id: id, layout: l})
			}
		}
	})
}

// claim gives the stores of a copy to the task that runs here from now on; nil: there is
// no copy.
func (s *copies) claim(ctx context.Context, id plan.TaskID) (stores []*store.Store) {
	done := make(chan struct{})
	if !s.post(func() {
		defer close(done)
		if t := s.all[id]; t != nil && ctx.Err() == nil {
			stores = t.stores
			t.stores = nil
			s.unsubscribe(t)
		}
	}) {
		return nil
	}
	s.c.Sched.Wait(context.Background(), done, 0)
	return stores
}

// follow keeps the copies up with their changelogs until ctx ends.
func (s *copies) follow(ctx context.Context) {
	defer s.close()
	s.life = ctx
	for ctx.Err() == nil {
		s.mu.Lock()
		jobs, mail := s.jobs, s.mail
		s.jobs, s.mail = nil, nil
		s.mu.Unlock()
		for _, f := range jobs {
			f()
		}
		for _, m := range mail {
			if s.all[m.t.id] == m.t {
				s.take(m)
			}
		}
		s.settle()
		s.ask(ctx)
		if !s.openNext() {
			s.fetcher.Starve()
			s.c.Sched.Wait(ctx, s.wake, committedInterval)
		}
	}
}

// close ends everything. Claims that wait get nothing.
func (s *copies) close() {
	s.mu.Lock()
	jobs := s.jobs
	s.closed, s.jobs = true, nil
	s.mu.Unlock()
	for _, t := range s.all {
		s.end(t)
	}
	for _, f := range jobs {
		f() // they find nothing
	}
	for _, t := range s.all {
		s.end(t)
	}
	s.fetcher.Close()
	s.asks.Wait(s.c.Sched)
}

// settle commits what was restored, and looks how far behind the copies are.
func (s *copies) settle() {
	for _, id := range slices.SortedFunc(maps.Keys(s.all), plan.TaskID.Compare) {
		t := s.all[id]
		for i := range t.slots {
			if c := &t.slots[i]; c.touched {
				c.touched = false
				if err := t.stores[i].FinishRestore(); err != nil {
					s.wrong(t, i, err)
					break
				}
			}
		}
		if s.all[id] == t {
			s.tell(t)
		}
	}
}

// tell publishes how far behind a copy is, and says when it has caught up.
func (s *copies) tell(t *taskCopy) {
	lag := t.lag()
	s.mu.Lock()
	s.lags[t.id] = lag
	s.mu.Unlock()
	if !t.ready && caughtUp(lag) {
		t.ready = true
		s.caughtUp(t.id)
	}
}

// ask finds out in the background how far source topics are processed.
func (s *copies) ask(ctx context.Context) {
	now := s.c.Sched.Now()
	var ps []kafka.Partition
	for _, t := range s.all {
		for i := range t.slots {
			if t.slots[i].convert != nil {
				ps = append(ps, t.slots[i].changelog)
			}
		}
	}
	if s.asking || len(ps) == 0 || now.Before(s.askAt) {
		return
	}
	s.asking, s.askAt = true, now.Add(committedInterval)
	s.asks.Go(s.c.Sched, func() {
		committed, err := s.c.Client.Committed(ctx, s.c.App, ps)
		if err != nil && ctx.Err() == nil {
			s.c.Log.Warn("how far source topics are processed is not known", "error", err)
		}
		s.post(func() {
			s.asking = false
			if err == nil {
				s.limit(committed)
			}
		})
	})
}

func (s *copies) limit(committed map[kafka.Partition]kafka.Offset) {
	for _, id := range slices.SortedFunc(maps.Keys(s.all), plan.TaskID.Compare) {
		t := s.all[id]
		for i := range t.slots {
			if c := &t.slots[i]; c.convert != nil && s.all[id] == t {
				c.limit = max(c.limit, committed[c.changelog].At)
				s.apply(t, i)
			}
		}
	}
}
