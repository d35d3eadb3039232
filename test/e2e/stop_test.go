//go:build unix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const poison = "poison"

// panicky panics at a line that is poison.
func panicky(line string) {
	if line == poison {
		panic("a line is poison")
	}
}

// After Run nothing of an application is left in the process, however it ended.
func TestNothingIsLeft(t *testing.T) {
	ends := map[string]func(t *testing.T, c *counter, a *app){
		"stopped": func(t *testing.T, c *counter, a *app) { a.stop() },
		"failed": func(t *testing.T, c *counter, a *app) {
			c.send(c.name+"-lines", poison)
			require.ErrorContains(t, a.wait(patience), "a line is poison")
		},
	}
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			each(t, func(t *testing.T, k *kafka, name string) {
				c := newCounter(k, name)
				settings := config(t, k, name)
				// The first run opens what clients of the test keep open.
				first := run(t, counting(t, name, panicky), settings)
				c.count(vocabulary, 1)
				first.stop()

				before := goleak.IgnoreCurrent()
				a := run(t, counting(t, name, panicky), settings)
				c.count(vocabulary, 1)
				if runtime.GOOS == "linux" {
					require.NotEmpty(t, openFiles(t, settings.StateDir), "the state is not on disk")
				}
				end(t, c, a)
				if runtime.GOOS == "linux" {
					require.Empty(t, openFiles(t, settings.StateDir))
				}
				// A goroutine for each request that comes is how the embedded broker reads.
				reads := goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read.func1")
				var left error
				defer func() {
					if left != nil {
						t.Log(left)
					}
				}()
				await(t, patience, func() bool { left = goleak.Find(before, reads); return left == nil }, "all goroutines have ended")
			})
		})
	}
}

// openFiles are the files below a directory that this process has open.
func openFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	const own = "/proc/self/fd"
	fds, err := os.ReadDir(own)
	require.NoError(t, err)
	for _, fd := range fds {
		// An error means that it is closed by now.
		if file, err := os.Readlink(filepath.Join(own, fd.Name())); err == nil && strings.HasPrefix(file, dir) {
			files = append(files, file)
		}
	}
	return files
}

func TestStateDirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c := newCounter(k, name)
		settings := config(t, k, name)
		settings.SessionTimeout = time.Minute // which nobody waits for
		a := run(t, counting(t, name, nil), settings)
		a.awaitReady(patience)

		begun := time.Now()
		err := run(t, counting(t, name, nil), settings).wait(soon)
		require.Less(t, time.Since(begun), settings.SessionTimeout/2)
		require.ErrorContains(t, err, filepath.Join(settings.StateDir, name))
		require.ErrorContains(t, err, "is locked")
		require.ErrorContains(t, err, "give this one a state directory of its own")

		c.count(vocabulary, 1) // the first goes on
		a.stop()
		again := run(t, counting(t, name, nil), settings)
		c.count(vocabulary, 1)
		again.stop()
	})
}

// Instances that start together on a new cluster make the application's topics together.
func TestInstancesStartTogether(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		for round := range 3 {
			name := fmt.Sprint(name, "-", round)
			c := newCounter(k, name)
			var instances []*app
			for range 3 {
				instances = append(instances, run(t, counting(t, name, nil), config(t, k, name)))
			}
			c.count(vocabulary, 1)
			for _, a := range instances {
				a.stop()
			}
		}
	})
}
