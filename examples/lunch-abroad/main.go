// Lunch abroad: customers pay in many currencies and are texted what it was in pounds.
//
//	go run ./examples/lunch-abroad                  everything in one process, with a broker in it
//	go run ./examples/lunch-abroad -payments 20000  stop after so many payments
//	go run ./examples/lunch-abroad -brokers localhost:9092 -role run
//
// Package lunch beside this file is the application. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/seed-df18afd4/streams/examples/lunch-abroad/lunch"
)

func parse(args []string, stderr io.Writer) (o lunch.Options, err error) {
	f := flag.NewFlagSet("lunch-abroad", flag.ContinueOnError)
	f.SetOutput(stderr)
	var brokers string
	f.IntVar(&o.Payments, "payments", 0, "stop after `N` payment records; 0: go on until Ctrl-C")
	f.StringVar(&brokers, "brokers", "", "addresses of a Kafka, `host:port,...`; none: a broker in this process")
	f.StringVar(&o.Role, "role", "all", "what this process does: feed payments, run the application, read the texts, or `all`")
	f.Var(&o.Guarantee, "guarantee", "exactly-once or at-least-once")
	f.IntVar(&o.Workers, "workers", 0, "goroutines that process; 0: one for each CPU")
	f.StringVar(&o.State, "state", "", "`directory` of local state, one for each process; none: one in the user's cache directory")
	f.Uint64Var(&o.Seed, "seed", 1, "of the payments")
	f.BoolVar(&o.Verbose, "v", false, "log what the application does")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if brokers != "" {
		o.Brokers = strings.Split(brokers, ",")
	}
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.Role != "all" && o.Role != "feed" && o.Role != "run" && o.Role != "read":
		err = fmt.Errorf("-role %q: it is all, feed, run or read", o.Role)
	case o.Role != "all" && brokers == "":
		err = fmt.Errorf("-role %s needs -brokers: a broker inside this process would be its own alone", o.Role)
	case o.Payments < 0:
		err = fmt.Errorf("-payments %d: it cannot be negative", o.Payments)
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
	if err := lunch.Run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "lunch-abroad:", err)
		os.Exit(1)
	}
}
