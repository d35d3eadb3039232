package worker

import (
	"sync"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
)

// gate holds commits back while the group has a new generation and this member does not
// know its own part of it: the coordinator would refuse them. Processing goes on meanwhile.
// A commit that is under way when the generation changes may be refused; then it is done
// again under the new one.
type gate struct {
	mu     sync.Mutex
	member broker.Member
	open   bool
	losses int       // how often the membership was lost
	until  time.Time // nobody else is given its tasks before
}

// close holds commits back.
func (g *gate) close() {
	g.mu.Lock()
	g.open = false
	g.mu.Unlock()
}

// release lets commits go on as a member of a generation.
func (g *gate) release(m broker.Member) {
	g.mu.Lock()
	g.member, g.open = m, true
	g.mu.Unlock()
}

// hold notes that nobody else is given the member's tasks before until.
func (g *gate) hold(until time.Time) {
	g.mu.Lock()
	g.until = until
	g.mu.Unlock()
}

// lease is until when a worker may send what it made as the member that it was when the
// membership had been lost so often; false: it may not send it any more.
func (g *gate) lease(losses int) (until time.Time, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until, g.losses == losses
}

// lose notes that the membership was lost, and returns how often it was.
func (g *gate) lose() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = false
	g.losses++
	return g.losses
}

// lost says whether the membership was lost since it had been so often.
func (g *gate) lost(losses int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.losses != losses
}

// enter says as what member to commit, unless commits are held back, or the worker has not
// dropped yet what it had when the membership was lost: the next membership must not commit
// that.
func (g *gate) enter(losses int) (m broker.Member, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.member, g.open && g.losses == losses
}
