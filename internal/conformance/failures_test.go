package conformance

import (
	"errors"
	"testing"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// failures makes every record fail once in every task, after all that it did there: as one
// that came an hour later, which would close windows, make others late and forget rows if
// anything of it were left.
type failures struct {
	*testing.T
	done map[place]bool // the records that have failed
}

// place is a record of one task's input.
type place struct {
	sub, input int
	offset     int64
}

const muchLater = 3_600_000 // ms

var errOnce = errors.New("a record that fails once")

// failing takes steps whose records fail before they are processed. What they had done in
// their task must leave nothing: no row, no output, no time.
func failing(t *testing.T, topo *topology.Topology) (*streamstest.Driver, func(step)) {
	f := &failures{T: t, done: map[place]bool{}}
	for _, s := range (*plan.Plan)(topo).Subtopologies {
		wire := s.Wire
		s.Wire = func(ctx *plan.Context) error {
			err := wire(ctx)
			for i := range ctx.Inputs {
				ctx.Inputs[i].Process = f.once(ctx, s.ID, ctx.Inputs[i].Process)
			}
			return err
		}
	}
	d := streamstest.New(f, topo)
	return d, func(s step) { f.do(d, s) }
}

func (f *failures) once(ctx *plan.Context, sub int, process func(*kafka.Record, int64) error) func(*kafka.Record, int64) error {
	return func(r *kafka.Record, ms int64) error {
		at := place{sub, ctx.Record.Input, ctx.Record.Offset}
		if f.done[at] {
			return process(r, ms)
		}
		f.done[at] = true
		later := *r
		later.Time += muchLater
		return errors.Join(process(&later, ms+muchLater), errOnce)
	}
}

// Fatalf ends what the driver does when a record has failed as it should.
func (f *failures) Fatalf(format string, args ...any) {
	f.Helper()
	for _, a := range args {
		if err, ok := a.(error); ok && errors.Is(err, errOnce) {
			panic(errOnce)
		}
	}
	f.T.Fatalf(format, args...)
}

// do takes a step. What has failed is still to be processed, and is when the driver runs
// its tasks again.
func (f *failures) do(d *streamstest.Driver, s step) {
	for done := f.try(func() { s.do(d) }); !done; done = f.try(func() { d.Advance(0) }) {
	}
}

// try says whether f came to its end without a record that fails.
func (f *failures) try(some func()) (done bool) {
	defer func() {
		if r := recover(); r != nil && r != errOnce {
			panic(r)
		}
	}()
	some()
	return true
}
