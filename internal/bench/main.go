// Bench measures the framework against a real broker, beside a bare loop that moves the
// same bytes with the same connections.
//
//	go run ./internal/bench                        all workloads
//	go run ./internal/bench -run 'count|dedup'     those that match
//	go run ./internal/bench -java -goka            beside Kafka Streams and goka, on the same broker
//	go run ./internal/bench -repeat 1 -records 200000 -embedded    whether it works at all
//
// The broker is the one at -brokers or in KAFKA_BOOTSTRAP, or else one that it starts, as
// tests do (see package kafkatest). It writes the inputs to topics named bench-…-<records>
// and uses them again when it finds them complete. Whatever else a run makes is deleted
// after it: topics, group and state. One bench at a time may use a broker.
//
// # How to read the table
//
// A run counts from the first record that is read until the offsets of all its input are
// committed; restore counts from Run until the application is ready. All is done once for
// each repeat: shown are the median of the rates and, in brackets, the least and the greatest.
//
//   - records/s counts what was read, a table's rows included.
//   - CPU s/M are seconds of CPU, of this process alone, for a million records. It varies
//     less than the rate when something else runs on the machine. With -embedded the broker
//     is in it.
//   - allocs are objects on the heap for each record. Those of Kafka Streams and goka are not counted.
//   - MiB is the most memory that the process had of the machine, on Linux.
//   - of floor is the rate as a part of the floor's: what the framework leaves of the speed
//     that the connections have. The floor is measured before the workloads and after them;
//     the mean of both medians counts. If they are far apart, something else ran meanwhile.
//     One run before all others, to warm up the broker, does not count. The floor is always
//     one loop, however many -workers there are.
//
// The end of a run waits for a commit, so up to 100 ms of it are idle: that is nothing for
// 2,000,000 records at 200,000/s, but the greater part for 200,000 at 2,000,000/s. State is
// written where the system has its temporary files; set TMPDIR to measure another disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

type options struct {
	brokers   []string
	embedded  bool
	records   int
	workloads []workload
	workers   int
	guarantee streams.Guarantee
	repeat    int
	java      bool
	goka      bool
	profile   string
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	var brokers, run string
	f.StringVar(&brokers, "brokers", "", "addresses of a Kafka, `host:port,...`; none: KAFKA_BOOTSTRAP, or one that is started")
	f.BoolVar(&o.embedded, "embedded", false, "use a broker in this process, whose CPU time counts as ours")
	f.IntVar(&o.records, "records", 2_000_000, "of input")
	f.StringVar(&run, "run", "", "run the workloads whose names match the `regexp`; all by default:"+describe())
	f.IntVar(&o.workers, "workers", 1, "goroutines that process")
	f.Var(&o.guarantee, "guarantee", "exactly-once, the default, or at-least-once")
	f.IntVar(&o.repeat, "repeat", 3, "measure each so many times")
	f.BoolVar(&o.java, "java", false, "run each workload on Kafka Streams too, which needs Java and Maven")
	f.BoolVar(&o.goka, "goka", false, "run those that goka can on goka too, which gives at-least-once whatever -guarantee says")
	f.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the workloads, without the floor, to `file`")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if brokers != "" {
		o.brokers = strings.Split(brokers, ",")
	}
	pattern, err := regexp.Compile(run)
	if err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	for _, w := range workloads {
		if pattern.MatchString(w.name) {
			o.workloads = append(o.workloads, w)
		}
	}
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case len(o.workloads) == 0 && !pattern.MatchString(floor.name):
		err = fmt.Errorf("-run %q matches no workload; there are:%s", run, describe())
	case o.records < 1 || o.workers < 1 || o.repeat < 1:
		err = errors.New("-records, -workers and -repeat are 1 at least")
	case o.embedded && brokers != "":
		err = errors.New("-embedded and -brokers exclude each other")
	}
	return o, err
}

// describe lists the workloads, each on a line of its own.
func describe() string {
	var s strings.Builder
	for _, w := range append([]workload{floor}, workloads...) {
		fmt.Fprintf(&s, "\n  %-12s %s", w.name, w.about)
	}
	return s.String()
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures what is asked for and prints the table.
func run(ctx context.Context, o options, stdout, stderr io.Writer) error {
	brokers, stop, err := start(o)
	if err != nil {
		return err
	}
	defer stop()
	c, err := dial(ctx, brokers)
	if err != nil {
		return err
	}
	defer c.close()
	b := &bench{options: o, cluster: c, log: stderr}
	if _, err := b.measure(ctx, floor, 1); err != nil {
		return err
	}
	before, err := b.measure(ctx, floor, b.repeat)
	if err != nil {
		return err
	}
	results, err := b.measureAll(ctx)
	if err != nil {
		return err
	}
	after, err := b.measure(ctx, floor, b.repeat)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d records, %s, workers %d, repeats %d, %s %s/%s, %d CPUs\n\n",
		o.records, o.guarantee, o.workers, o.repeat, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	return table(stdout, before, results, after)
}

// start starts the broker that the options ask for, if it does not run yet.
func start(o options) (brokers []string, stop func(), err error) {
	switch {
	case len(o.brokers) > 0:
		return o.brokers, func() {}, nil
	case o.embedded:
		b, err := embedded.Start()
		if err != nil {
			return nil, nil, err
		}
		return b.Addrs(), b.Close, nil
	}
	return kafkatest.ForMain()
}

// bench runs workloads on a cluster.
type bench struct {
	options
	*cluster
	log io.Writer
}

// measureAll measures the workloads that are asked for.
func (b *bench) measureAll(ctx context.Context) (results []result, err error) {
	if b.profile != "" {
		f, err := os.Create(b.profile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		defer pprof.StopCPUProfile()
	}
	all, remove, err := b.withPeers()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	for _, w := range all {
		r, err := b.measure(ctx, w, b.repeat)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// withPeers puts behind each workload the same in the frameworks that are asked for.
func (b *bench) withPeers() (all []workload, remove func() error, err error) {
	var peers []*peer
	remove = func() (err error) {
		for _, p := range peers {
			err = errors.Join(err, p.remove())
		}
		return err
	}
	for _, p := range []struct {
		wanted bool
		build  func() (*peer, error)
	}{{b.java, newJava}, {b.goka, newGoka}} {
		if !p.wanted {
			continue
		}
		built, err := p.build()
		if err != nil {
			return nil, nil, errors.Join(err, remove())
		}
		peers = append(peers, built)
	}
	for _, w := range b.workloads {
		all = append(all, w)
		for _, p := range peers {
			if same, ok := p.beside(w); ok {
				all = append(all, same)
			}
		}
	}
	return all, remove, nil
}

// measure runs one workload a number of times.
func (b *bench) measure(ctx context.Context, w workload, repeat int) (result, error) {
	r := result{name: w.name}
	inputs := w.inputs(b.records)
	for _, in := range inputs {
		if err := b.provide(ctx, in, b.log); err != nil {
			return r, err
		}
	}
	for range repeat {
		forgetMemory() // what the last run left is not this one's
		s, err := w.run(ctx, b, inputs)
		if err != nil {
			return r, fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Fprintf(b.log, "%-20s %s\n", w.name, s)
		r.samples = append(r.samples, s)
	}
	return r, nil
}
