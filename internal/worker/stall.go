package worker

import (
	"context"
	"fmt"
	"time"
)

const (
	stallLook   = time.Second      // how often workers are looked at
	stallReport = 10 * time.Second // in one call of the program, until it is reported
	slowTurn    = 20 * time.Millisecond
)

// watchStalls looks whether workers come out of the program's functions. One that does not
// is reported, and when it takes longer than MaxStall the instance leaves the group, so that
// its tasks can go on elsewhere; it ends with an error when the function returns.
func (n *Instance) watchStalls(ctx context.Context, leave func()) {
	seen, since, said := make([]uint64, len(n.workers)), make([]time.Time, len(n.workers)), make([]bool, len(n.workers))
	for ctx.Err() == nil {
		n.c.Sched.Wait(ctx, nil, stallLook)
		now := n.c.Sched.Now()
		for i, w := range n.workers {
			at := w.calls.Load()
			if at != seen[i] || at%2 == 0 {
				seen[i], since[i], said[i] = at, now, false
				continue
			}
			id := w.inside.Load()
			took := now.Sub(since[i])
			if took >= stallReport && !said[i] {
				said[i] = true
				n.c.Log.Warn("a function of the program takes long; its task waits, heartbeats go on", "worker", i, "task", id.String(), "so_far", took.Round(time.Second), "bound", n.c.MaxStall)
			}
			if took >= n.c.MaxStall {
				n.fail(fmt.Errorf("worker %d: task %s: a function of the program has not returned for %v: the instance has left the group, so that others go on with its tasks; make the function faster, or raise MaxStall", i, id, took.Round(time.Second)))
				leave()
				return
			}
		}
	}
}

// pace fits how many records a task may process in one go to how long the last turn took:
// with slow functions few, so that commits and other tasks are in time.
func (w *Worker) pace(processed int) {
	took := w.c.Sched.Now().Sub(w.now)
	switch {
	case took > slowTurn && processed > 0:
		w.stride = max(1, w.stride/2)
	case took < slowTurn/4:
		w.stride = min(stepLimit, w.stride*2)
	}
}
