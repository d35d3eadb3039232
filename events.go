package streams

import "sync"

// events calls the program's listeners one after the other, in a goroutine that runs while
// there is something to tell: what a listener does holds up nothing but other listeners.
type events struct {
	mu      sync.Mutex
	queue   []func()
	running sync.WaitGroup
	busy    bool
}

// tell has f called after what was told before.
func (e *events) tell(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, f)
	if !e.busy {
		e.busy = true
		e.running.Go(e.run)
	}
}

func (e *events) run() {
	for {
		e.mu.Lock()
		if len(e.queue) == 0 {
			e.busy = false
			e.mu.Unlock()
			return
		}
		f := e.queue[0]
		e.queue = e.queue[1:]
		e.mu.Unlock()
		f()
	}
}

// wait returns when everything was told.
func (e *events) wait() { e.running.Wait() }
