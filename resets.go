package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/task"
)

// errReset ends the work of an instance because the application is being reset.
var errReset = errors.New("the application is being reset")

// waitingEvery is how often an instance says that it waits for the end of a reset.
const waitingEvery = 30 * time.Second

// resets keeps an instance from processing while the application is reset, and with state
// from before a reset.
//
// Nothing slips through between an instance that starts and a reset that begins: the reset
// writes that it has begun and then looks whether the group has members; a member reads
// the registry, after it has joined the group, before each task.
type resets struct {
	watch *registry.Watch
	dir   string
	log   *slog.Logger
	epoch int64 // of the state
}

// begin brings the local state to the epoch of the application. While a reset is under way
// that a person began it fails; one that an instance began is waited for.
func (r *resets) begin(ctx context.Context, says registry.Contents) error {
	if reset := says.Reset; reset != nil {
		if reset.Process != "" {
			return r.await(ctx)
		}
		return fmt.Errorf("a reset of the application, begun %s by %s, is not done (it got as far as %q): run streams reset again to finish or to undo it, then start this instance again",
			reset.Begun.Format(time.RFC3339), reset.By, reset.Step)
	}
	return r.rewind(says)
}

func (r *resets) rewind(says registry.Contents) error {
	wiped, err := store.Rewind(r.dir, says.Epoch.Number, says.Epoch.Wiped)
	if err != nil {
		return err
	}
	if len(wiped) > 0 {
		r.log.Info("wiped local stores that are from before a reset of the application", "epoch", says.Epoch.Number, "stores", strings.Join(wiped, ", "))
	}
	r.epoch = says.Epoch.Number
	return nil
}

// over says whether state of this instance's epoch is of the past, or about to be.
func (r *resets) over(says registry.Contents) bool {
	return says.Reset != nil || says.Epoch.Number != r.epoch
}

// during runs f, the instance's work, and interrupts it when a reset begins. It returns
// errReset then. A check, of a task that is about to start, returns only if there is none.
func (r *resets) during(ctx context.Context, f func(ctx context.Context, check func(context.Context) error) error) error {
	work, interrupt := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if r.begins(work) {
			interrupt(errReset)
		}
	}()
	err := f(work, func(task context.Context) error {
		says, err := r.watch.Latest(task)
		if err != nil || !r.over(says) {
			return err
		}
		interrupt(errReset)
		<-task.Done()
		return task.Err()
	})
	interrupted := errors.Is(context.Cause(work), errReset) && ctx.Err() == nil
	interrupt(nil)
	<-watched
	if !interrupted || errors.As(err, new(*task.Error)) {
		return err
	}
	if err != nil {
		r.log.Warn("the reset begins before all was committed", "error", err)
	}
	return errReset
}

// begins waits until a reset begins, and returns false when ctx ends before.
func (r *resets) begins(ctx context.Context) bool {
	failed := false
	for {
		select {
		case <-ctx.Done():
			return false
		case <-r.watch.Changed():
		}
		says, err := r.watch.Known()
		if err != nil && !failed {
			failed = true
			r.log.Error("the registry cannot be read any more; a reset will be noticed when tasks start", "error", err)
		}
		if err == nil && r.over(says) {
			return true
		}
	}
}

// await returns when no reset is under way any more, and brings the local state to its epoch.
func (r *resets) await(ctx context.Context) error {
	said := time.Time{}
	for {
		says, err := r.watch.Latest(ctx)
		if err != nil {
			return err
		}
		if says.Reset == nil {
			return r.rewind(says)
		}
		if time.Since(said) >= waitingEvery {
			said = time.Now()
			r.log.Info("stopped until the reset of the application is done; if nobody does it any more, streams reset finishes it", "begun", says.Reset.Begun, "by", says.Reset.By, "step", says.Reset.Step)
		}
		timer := time.NewTimer(waitingEvery)
		select {
		case <-r.watch.Changed():
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
