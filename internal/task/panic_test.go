package task_test

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// here is the line of the caller, and some more.
func here(more int) string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("%s:%d", filepath.Base(file), line+more)
}

func TestAPanicNamesItsLine(t *testing.T) {
	var line string
	var nothing map[string]int
	for name, f := range map[string]func(string) string{
		"panic": func(v string) string {
			line = here(1)
			panic("on purpose")
		},
		"nil map": func(v string) string {
			line = here(1)
			nothing[v] = 1
			return v
		},
		"index": func(v string) string {
			line = here(1)
			return v[len(v)+1:]
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(b *topology.Builder) {
				kstream.To(kstream.MapValues(kstream.From(b, text("in")), f), text("out"))
			})
			r.add("in", 0, record("k", "v", 1))
			var e *task.PanicError
			require.ErrorAs(t, r.try(), &e)
			require.Equal(t, line, filepath.Base(e.Where))
			require.ErrorContains(t, e, "panic at ")
		})
	}
}

func TestAPanicWithAnErrorIsThatError(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		kstream.Peek(kstream.From(b, text("in")), func(string, string) { panic(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)) })
	})
	r.add("in", 0, record("k", "v", 1))
	require.ErrorIs(t, r.try(), io.ErrUnexpectedEOF)
}

func TestAPanicInAScheduleNamesItsLine(t *testing.T) {
	var line string
	r := start(t, func(b *topology.Builder) {
		kstream.Process(kstream.From(b, text("in")), "p", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			c.Schedule(time.Second, topology.WallClock, func(time.Time) error {
				line = here(1)
				panic("on purpose")
			})
			return func(topology.Record[string, string]) error { return nil }, nil
		})
	})
	r.wall = 1000
	var e *task.PanicError
	require.ErrorAs(t, r.try(), &e)
	require.Equal(t, line, filepath.Base(e.Where))
}

// What goes wrong while a processor starts keeps the task from starting.
func TestStartFails(t *testing.T) {
	var line string
	for _, c := range []struct {
		name, want string
		start      func(*topology.Context[string, string]) (topology.Processor[string, string], error)
	}{
		{"panic", "panic at ", func(*topology.Context[string, string]) (topology.Processor[string, string], error) {
			line = here(1)
			panic("on purpose")
		}},
		{"error", "no licence", func(*topology.Context[string, string]) (topology.Processor[string, string], error) {
			return nil, errors.New("no licence")
		}},
		{"nothing", "start gave no processor", func(*topology.Context[string, string]) (topology.Processor[string, string], error) {
			return nil, nil
		}},
		{"store", `store "rows" is not among the stores that the node was given: add it to the arguments of Process`, func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
			_, err := topology.Open(c, rows)
			return nil, err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := stopped(t, func(b *topology.Builder) { kstream.Process(kstream.From(b, text("in")), "p", c.start) })
			err := r.open()
			require.ErrorContains(t, err, "task 0_0: ")
			require.ErrorContains(t, err, "p-1 at panic_test.go:")
			require.ErrorContains(t, err, c.want)
			var e *task.PanicError
			if errors.As(err, &e) {
				require.Equal(t, line, filepath.Base(e.Where))
			}
		})
	}
}
