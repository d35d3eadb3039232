package broker

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// together asks for what many want to know with few requests: what is asked for while an
// answer is on its way is asked for next, all at once. So an instance that begins a
// thousand tasks sends a few requests, and no answer is older than its question.
type together[V any] struct {
	// once sends one request about each partition. What it has no answer for is missing.
	once func([]kafka.Partition) map[kafka.Partition]V

	mu    sync.Mutex
	busy  bool // serve runs
	queue *round[V]
}

// round is what is asked for at once.
type round[V any] struct {
	ps      map[kafka.Partition]bool
	done    chan struct{}
	answers map[kafka.Partition]V
}

// ask returns the answers for ps; false: not all of them were answered, or ctx ended.
func (t *together[V]) ask(ctx context.Context, ps []kafka.Partition) (map[kafka.Partition]V, bool) {
	if len(ps) == 0 {
		return map[kafka.Partition]V{}, true
	}
	r := t.join(ps)
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, false
	}
	answers := make(map[kafka.Partition]V, len(ps))
	for _, p := range ps {
		a, ok := r.answers[p]
		if !ok {
			return nil, false
		}
		answers[p] = a
	}
	return answers, true
}

func (t *together[V]) join(ps []kafka.Partition) *round[V] {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.queue
	if r == nil {
		r = &round[V]{ps: map[kafka.Partition]bool{}, done: make(chan struct{})}
		t.queue = r
	}
	for _, p := range ps {
		r.ps[p] = true
	}
	if !t.busy {
		t.busy = true
		go t.serve()
	}
	return r
}

// serve runs until nothing is asked for.
func (t *together[V]) serve() {
	for {
		t.mu.Lock()
		r := t.queue
		t.queue, t.busy = nil, r != nil
		t.mu.Unlock()
		if r == nil {
			return
		}
		r.answers = t.once(slices.Collect(maps.Keys(r.ps)))
		close(r.done)
	}
}
