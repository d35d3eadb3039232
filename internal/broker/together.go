package broker

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// together asks for what many want to know with few requests: what is asked for while an
// answer is on its way is asked for next, all at once. So an instance that begins a
// thousand tasks sends a few requests, and no answer is older than its question.
type together[K comparable, V any] struct {
	// once sends one request about all keys. What it has no answer for is missing.
	once func([]K) map[K]V

	mu    sync.Mutex
	busy  bool // serve runs
	queue *round[K, V]
}

// round is what is asked for at once.
type round[K comparable, V any] struct {
	keys    map[K]bool
	done    chan struct{}
	answers map[K]V
}

// ask returns the answers for keys; false: not all of them were answered, or ctx ended.
func (t *together[K, V]) ask(ctx context.Context, keys []K) (map[K]V, bool) {
	if len(keys) == 0 {
		return map[K]V{}, true
	}
	r := t.join(keys)
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, false
	}
	answers := make(map[K]V, len(keys))
	for _, k := range keys {
		a, ok := r.answers[k]
		if !ok {
			return nil, false
		}
		answers[k] = a
	}
	return answers, true
}

func (t *together[K, V]) join(keys []K) *round[K, V] {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.queue
	if r == nil {
		r = &round[K, V]{keys: map[K]bool{}, done: make(chan struct{})}
		t.queue = r
	}
	for _, k := range keys {
		r.keys[k] = true
	}
	if !t.busy {
		t.busy = true
		go t.serve()
	}
	return r
}

// serve runs until nothing is asked for.
func (t *together[K, V]) serve() {
	for {
		t.mu.Lock()
		r := t.queue
		t.queue, t.busy = nil, r != nil
		t.mu.Unlock()
		if r == nil {
			return
		}
		r.answers = t.once(slices.Collect(maps.Keys(r.keys)))
		close(r.done)
	}
}
