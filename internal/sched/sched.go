// Package sched is time and goroutines as the runtime uses them, so that a simulation can
// take their place and choose in which order things happen.
package sched

import (
	"context"
	"sync"
	"time"
)

// Sched knows the time, starts goroutines and waits.
type Sched interface {
	Now() time.Time
	// Go runs f beside its caller.
	Go(f func())
	// Wait returns true when wake gives something or is closed, and false when ctx ends or
	// d has passed before. Without a wake it sleeps; with a d of 0 it waits for as long as
	// it takes.
	Wait(ctx context.Context, wake <-chan struct{}, d time.Duration) bool
}

// Real is that of Go and of the machine.
var Real Sched = machine{}

type machine struct{}

func (machine) Now() time.Time { return time.Now() }
func (machine) Go(f func())    { go f() }

func (machine) Wait(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	var passed <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-wake:
		return true
	case <-passed:
	case <-ctx.Done():
	}
	return false
}

// Crew are goroutines whose end somebody waits for. The zero Crew is none.
type Crew struct {
	mu   sync.Mutex
	busy int
	idle chan struct{} // closed when busy is 0 again
}

// Go runs f beside its caller, as one of the crew.
func (c *Crew) Go(s Sched, f func()) {
	c.mu.Lock()
	if c.busy == 0 {
		c.idle = make(chan struct{})
	}
	c.busy++
	c.mu.Unlock()
	s.Go(func() {
		defer c.done()
		f()
	})
}

func (c *Crew) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy--; c.busy == 0 {
		close(c.idle)
	}
}

// Wait returns when none of the crew runs.
func (c *Crew) Wait(s Sched) {
	c.mu.Lock()
	idle := c.idle
	c.mu.Unlock()
	if idle != nil {
		s.Wait(context.Background(), idle, 0)
	}
}
