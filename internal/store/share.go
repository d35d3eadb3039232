package store

import (
	"sync"
	"sync/atomic"
)

// shared is memory that several users have equal shares of.
type shared struct {
	whole, least, most int
	users              atomic.Int64
}

func (s *shared) enter() { s.users.Add(1) }
func (s *shared) leave() { s.users.Add(-1) }

// each is what one of the users may take now.
func (s *shared) each() int {
	return min(max(s.whole/max(1, int(s.users.Load())), s.least), s.most)
}

// room is memory that goes to who asks first.
type room struct {
	whole int64
	used  atomic.Int64
	none  func() // called when something was refused, once
	once  sync.Once
}

// take reports whether there are n bytes left, which are the caller's then.
func (r *room) take(n int) bool {
	if r == nil {
		return true
	}
	if r.used.Add(int64(n)) <= r.whole {
		return true
	}
	r.give(n)
	r.once.Do(r.none)
	return false
}

func (r *room) give(n int) {
	if r != nil {
		r.used.Add(int64(-n))
	}
}
