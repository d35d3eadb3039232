package worker

import (
	"context"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/sched"
)

// gate holds commits back while the group is between JoinGroup and SyncGroup: the
// coordinator raises the generation before a member knows of it, and would refuse them.
// Processing goes on meanwhile.
type gate struct {
	sched   sched.Sched
	mu      sync.Mutex
	member  broker.Member
	open    bool
	commits int           // under way
	idle    chan struct{} // closed when commits is 0 again
}

// patience is how long a join waits for commits that are under way. What takes longer is
// refused by the coordinator, and done again.
const patience = 5 * time.Second

// close holds commits back, and waits for those under way.
func (g *gate) close(ctx context.Context) {
	g.mu.Lock()
	g.open = false
	idle := g.idle
	if g.commits == 0 {
		idle = nil
	}
	g.mu.Unlock()
	if idle == nil {
		return
	}
	g.sched.Wait(ctx, idle, patience)
}

// release lets commits go on as a member of a generation.
func (g *gate) release(m broker.Member) {
	g.mu.Lock()
	g.member, g.open = m, true
	g.mu.Unlock()
}

// enter begins a commit, unless they are held back.
func (g *gate) enter() (m broker.Member, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open {
		return m, false
	}
	if g.commits == 0 {
		g.idle = make(chan struct{})
	}
	g.commits++
	return g.member, true
}

// leave ends a commit.
func (g *gate) leave() {
	g.mu.Lock()
	if g.commits--; g.commits == 0 {
		close(g.idle)
	}
	g.mu.Unlock()
}
