// Lunch abroad: customers pay in many currencies and are texted what it was in pounds.
//
//	go run ./examples/lunch-abroad                  everything in one process, with a broker in it
//	go run ./examples/lunch-abroad -payments 20000  stop after so many payments
//	go run ./examples/lunch-abroad -brokers localhost:9092 -role run
//
// See README.md beside this file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/topology"
)

type options struct {
	payments  int
	brokers   []string
	role      string
	guarantee streams.Guarantee
	workers   int
	state     string
	seed      uint64
	verbose   bool
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("lunch-abroad", flag.ContinueOnError)
	f.SetOutput(stderr)
	var brokers string
	f.IntVar(&o.payments, "payments", 0, "stop after `N` payment records; 0: go on until Ctrl-C")
	f.StringVar(&brokers, "brokers", "", "addresses of a Kafka, `host:port,...`; none: a broker in this process")
	f.StringVar(&o.role, "role", "all", "what this process does: feed payments, run the application, read the texts, or `all`")
	f.Var(&o.guarantee, "guarantee", "exactly-once or at-least-once")
	f.IntVar(&o.workers, "workers", 0, "goroutines that process; 0: one for each CPU")
	f.StringVar(&o.state, "state", "", "`directory` of local state, one for each process; none: one in the user's cache directory")
	f.Uint64Var(&o.seed, "seed", 1, "of the payments")
	f.BoolVar(&o.verbose, "v", false, "log what the application does")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if brokers != "" {
		o.brokers = strings.Split(brokers, ",")
	}
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.role != "all" && o.role != "feed" && o.role != "run" && o.role != "read":
		err = fmt.Errorf("-role %q: it is all, feed, run or read", o.role)
	case o.role != "all" && brokers == "":
		err = fmt.Errorf("-role %s needs -brokers: a broker inside this process would be its own alone", o.role)
	case o.payments < 0:
		err = fmt.Errorf("-payments %d: it cannot be negative", o.payments)
	}
	return o, err
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lunch-abroad:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "lunch-abroad:", err)
		os.Exit(1)
	}
}

// run does what the role asks until ctx ends, or all payments are told.
func run(ctx context.Context, o options, stdout, stderr io.Writer) error {
	if len(o.brokers) == 0 {
		b, err := embedded.Start()
		if err != nil {
			return err
		}
		defer b.Close()
		o.brokers = b.Addrs()
	}
	if o.state == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("no directory for local state; give one with -state: %w", err)
		}
		o.state = filepath.Join(cache, "streams")
	}
	if err := createTopics(o.brokers); err != nil {
		return err
	}
	var c counts
	out := &lines{w: stdout}
	defer out.flush()
	// After Ctrl-C no more is fed, and the rest goes on until what was fed is told.
	work, done := context.WithCancelCause(context.WithoutCancel(ctx))
	defer done(nil)
	if o.role != "all" {
		context.AfterFunc(ctx, func() { done(nil) })
	}
	var wg sync.WaitGroup
	start := func(roles string, f func() error) {
		if strings.Contains(roles, o.role) {
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
		if o.role == "feed" {
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
		return r.run(work, o.brokers)
	})
	progress(work, o, &c, stderr)
	wg.Wait()
	if err := context.Cause(work); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if o.role == "all" || o.role == "read" {
		fmt.Fprintln(out, c.line())
	}
	return nil
}

// patience is how long the program waits after Ctrl-C for what was fed to be told.
const patience = 20 * time.Second

// stopWhenComplete ends the work when everything is read that there will be: all that was
// fed, or as many payments as a reader was told to wait for.
func stopWhenComplete(ctx, work context.Context, r *reader, o options, done context.CancelCauseFunc) {
	var interrupted time.Time
	for work.Err() == nil {
		fed, known := r.counts.fed.Load(), r.counts.fedAll.Load()
		if o.role == "read" {
			fed, known = int64(o.payments), o.payments > 0
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
func runApp(ctx context.Context, o options, stderr io.Writer) error {
	b := topology.NewBuilder()
	LunchAbroad(b)
	Highest(b)
	topo, err := b.Build()
	if err != nil {
		return err
	}
	config := streams.Config{
		ApplicationID: "lunch-abroad", Brokers: o.brokers,
		Guarantee: o.guarantee, Workers: o.workers, StateDir: o.state,
	}
	if o.verbose {
		config.Logger = slog.New(slog.NewTextHandler(stderr, nil))
	}
	app, err := streams.New(topo, config)
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// progress keeps one line on standard error up to date until ctx ends.
func progress(ctx context.Context, o options, c *counts, stderr io.Writer) {
	begun, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	defer fmt.Fprintln(stderr)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			of := ""
			if o.payments > 0 {
				of = fmt.Sprintf(" of %d", o.payments)
			}
			fmt.Fprintf(stderr, "\r%s %v: %d%s payments fed, %d read, %d texts ", o.role, time.Since(begun).Round(time.Second), c.fed.Load(), of, c.payments.Load(), c.texts.Load())
		}
	}
}
