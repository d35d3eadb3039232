package worker

import (
	"sync"

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

// enter says as what member to commit, unless commits are held back.
func (g *gate) enter() (m broker.Member, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.member, g.open
}
