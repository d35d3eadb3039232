// Package lunch is the example lunch abroad: topology.go is the application, and the rest
// feeds it, runs it, and reads back what it wrote.
package lunch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/topology"
)

// Options say what a process does.
type Options struct {
	Payments  int               // stop after so many payment records; 0: go on
	Brokers   []string          // of a Kafka; none: a broker in this process
	Role      string            // feed payments, run the application, read the texts, or all
	Guarantee streams.Guarantee // of the application
	Workers   int               // goroutines that process; 0: one for each CPU
	State     string            // directory of local state; empty: one in the user's cache directory
	Seed      uint64            // of the payments
	Verbose   bool              // log what the application does
}

// Run does what the role asks until ctx ends, or all payments are told.
func Run(ctx context.Context, o Options, stdout, stderr io.Writer) error {
	if len(o.Brokers) == 0 {
		b, err := embedded.Start()
		if err != nil {
			return err
		}
		defer b.Close()
		o.Brokers = b.Addrs()
	}
	if o.State == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("no directory for local state; give one with -state: %w", err)
		}
		o.State = filepath.Join(cache, "streams")
	}
	if err := createTopics(o.Brokers); err != nil {
		return err
	}
	var c counts
	out := &lines{w: stdout}
	defer out.flush()
	// After Ctrl-C no more is fed, and the rest goes on until what was fed is told.
	work, done := context.WithCancelCause(context.WithoutCancel(ctx))
	defer done(nil)
	if o.Role != "all" {
		context.AfterFunc(ctx, func() { done(nil) })
	}
	var wg sync.WaitGroup
	start := func(roles string, f func() error) {
		if strings.Contains(roles, o.Role) {
			wg.Go(func() {
				if err := f(); err != nil {
					done(err)
				}
			})
		}
	}
	start("all feed", func() error {
		err := feed(ctx, o, &c)
		c.fedAll.Store(true)
		if o.Role == "feed" {
			done(err)
		}
		return err
	})
	start("all run", func() error { return runApp(work, o, stderr) })
	start("all read", func() error {
		r, err := newReader(out, &c)
		if err != nil {
			return err
		}
		wg.Go(func() { stopWhenComplete(ctx, work, r, o, done) })
		return r.run(work, o.Brokers)
	})
	progress(work, o, &c, stderr)
	wg.Wait()
	if err := context.Cause(work); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if o.Role == "all" || o.Role == "read" {
		fmt.Fprintln(out, c.line())
	}
	return nil
}

// patience is how long the program waits for a busy broker: for topics that were just
// created, and after Ctrl-C for what was fed to be told.
const patience = 20 * time.Second

// stopWhenComplete ends the work when everything is read that there will be: all that was
// fed, or as many payments as a reader was told to wait for.
func stopWhenComplete(ctx, work context.Context, r *reader, o Options, done context.CancelCauseFunc) {
	var interrupted time.Time
	for work.Err() == nil {
		fed, known := r.counts.fed.Load(), r.counts.fedAll.Load()
		if o.Role == "read" {
			fed, known = int64(o.Payments), o.Payments > 0
		}
		if known && r.complete(fed) {
			done(nil)
			return
		}
		if ctx.Err() != nil && interrupted.IsZero() {
			interrupted = time.Now()
		}
		if !interrupted.IsZero() && time.Since(interrupted) > patience {
			done(fmt.Errorf("interrupted, and not all payments were told within %v: %s", patience, r.counts.line()))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// runApp runs one instance of the application.
func runApp(ctx context.Context, o Options, stderr io.Writer) error {
	b := topology.NewBuilder()
	LunchAbroad(b)
	Highest(b)
	topo, err := b.Build()
	if err != nil {
		return err
	}
	config := streams.Config{
		ApplicationID: "lunch-abroad", Brokers: o.Brokers,
		Guarantee: o.Guarantee, Workers: o.Workers, StateDir: o.State,
		WaitForTopics: patience, // a busy broker may not know those yet that were just created
	}
	if o.Verbose {
		config.Logger = slog.New(slog.NewTextHandler(stderr, nil))
	}
	app, err := streams.New(topo, config)
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// progress keeps one line on standard error up to date until ctx ends.
func progress(ctx context.Context, o Options, c *counts, stderr io.Writer) {
	begun, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	defer fmt.Fprintln(stderr)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			of := ""
			if o.Payments > 0 {
				of = fmt.Sprintf(" of %d", o.Payments)
			}
			fmt.Fprintf(stderr, "\r%s %v: %d%s payments fed, %d read, %d texts ", o.Role, time.Since(begun).Round(time.Second), c.fed.Load(), of, c.payments.Load(), c.texts.Load())
		}
	}
}
