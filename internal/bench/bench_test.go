package main

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// Every workload runs to its end at either guarantee, and leaves nothing behind but inputs.
func TestRun(t *testing.T) {
	for _, guarantee := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		t.Run(guarantee.String(), func(t *testing.T) {
			b, err := embedded.Start()
			require.NoError(t, err)
			defer b.Close()
			var out, log bytes.Buffer
			o := options{brokers: b.Addrs(), records: 3000, workloads: workloads, workers: 2, guarantee: guarantee, repeat: 1}
			require.NoError(t, run(t.Context(), o, &out, &log), log.String())
			for _, w := range workloads {
				require.Regexp(t, `(?m)^ *`+w.name+` +\d[\d,]* +\(.*\) +\d`, out.String())
			}
			require.Regexp(t, `(?m)^ *floor after +\d`, out.String())

			c, err := dial(t.Context(), b.Addrs())
			require.NoError(t, err)
			defer c.close()
			topics, err := c.admin.ListTopics()
			require.NoError(t, err)
			groups, err := c.admin.ListConsumerGroups()
			require.NoError(t, err)
			for name := range topics {
				require.NotContains(t, name, "bench-run-")
			}
			require.Empty(t, groups)
		})
	}
}

// A restore that is over before anything is committed leaves a rate to show nevertheless.
func TestBesideOfFewRecords(t *testing.T) {
	b, err := embedded.Start()
	require.NoError(t, err)
	defer b.Close()
	beside := workloads[slices.IndexFunc(workloads, func(w workload) bool { return w.name == "beside" })]
	var out, log bytes.Buffer
	o := options{brokers: b.Addrs(), records: 8, workloads: []workload{beside}, workers: 1, guarantee: streams.AtLeastOnce, repeat: 3}
	require.NoError(t, run(t.Context(), o, &out, &log), log.String())
	require.Regexp(t, `(?m)^ *beside +[1-9][\d,]* +\([1-9]`, out.String())
}

// Kafka Streams runs the same workloads where they are written for it, and leaves nothing
// behind either.
func TestRunInJava(t *testing.T) {
	runsBeside(t, options{brokers: kafkatest.Brokers(t), java: true}, "in Java", "dedup", "lunch")
}

func runsBeside(t *testing.T, o options, where string, names ...string) {
	t.Helper()
	o.records, o.workers, o.repeat = 3000, 1, 1
	o.workloads = slices.DeleteFunc(slices.Clone(workloads), func(w workload) bool { return !slices.Contains(names, w.name) })
	var out, log bytes.Buffer
	require.NoError(t, run(t.Context(), o, &out, &log), log.String())
	for _, name := range names {
		require.Regexp(t, `(?m)^ *`+name+` `+where+` +\d[\d,]* +\(.*\) +\d`, out.String())
	}
	c, err := dial(t.Context(), o.brokers)
	require.NoError(t, err)
	defer c.close()
	topics, err := c.admin.ListTopics()
	require.NoError(t, err)
	for name := range topics {
		require.NotContains(t, name, "bench-run-")
	}
}

// A run that fails says why, once.
func TestRunFails(t *testing.T) {
	b, err := embedded.Start()
	require.NoError(t, err)
	defer b.Close()
	c, err := dial(t.Context(), b.Addrs())
	require.NoError(t, err)
	defer c.close()
	short := application{build: stateless, results: func(n int) int { return 2 * n }}
	w := reading("short", "", numberedInput, short)
	o := options{records: 1000, workers: 1}
	_, err = (&bench{options: o, cluster: c, log: io.Discard}).measure(t.Context(), w, 1)
	require.ErrorContains(t, err, "short: wrote ")
	require.ErrorContains(t, err, " and should have written 2000")
	require.NotContains(t, err.Error(), "\n")
}

// An input is written once, and again if it is not complete.
func TestProvide(t *testing.T) {
	b, err := embedded.Start()
	require.NoError(t, err)
	defer b.Close()
	c, err := dial(t.Context(), b.Addrs())
	require.NoError(t, err)
	defer c.close()
	for _, step := range []struct {
		records int
		log     string
	}{
		{100, "writing 100 records to numbers\n"},
		{100, ""},
		{150, "numbers holds 100 records, not 150; writing it anew\nwriting 150 records to numbers\n"},
	} {
		var log bytes.Buffer
		require.NoError(t, c.provide(t.Context(), numbered("numbers", step.records, nil), &log))
		require.Equal(t, step.log, log.String())
		held, err := c.held(t.Context(), "numbers")
		require.NoError(t, err)
		require.Equal(t, step.records, held)
	}
}

// Waiting for a group ends with the context, and says why it ended.
func TestAwaitEnds(t *testing.T) {
	b, err := embedded.Start()
	require.NoError(t, err)
	defer b.Close()
	c, err := dial(t.Context(), b.Addrs())
	require.NoError(t, err)
	defer c.close()
	require.NoError(t, c.provide(t.Context(), numbered("numbers", 10, nil), io.Discard))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrUnexpectedEOF)
	require.ErrorIs(t, c.await(ctx, "nobody", 0, "numbers"), io.ErrUnexpectedEOF)
	require.NoError(t, c.await(t.Context(), "nobody", 10, "numbers"))
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-run", "count|dedup", "-guarantee", "at-least-once"}, io.Discard)
	require.NoError(t, err)
	var names []string
	for _, w := range o.workloads {
		names = append(names, w.name)
	}
	require.Equal(t, []string{"count", "count-quiet", "dedup"}, names)
	require.Equal(t, streams.AtLeastOnce, o.guarantee)

	o, err = parse([]string{"-run", "^floor$"}, io.Discard)
	require.NoError(t, err)
	require.Empty(t, o.workloads)

	for want, args := range map[string]string{
		"matches no workload":   "-run nothing",
		"-run: error parsing":   "-run (",
		"are 1 at least":        "-repeat 0",
		"exclude each other":    "-embedded -brokers localhost:9092",
		`unexpected argument "`: "count",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, want)
	}
}

func TestTable(t *testing.T) {
	at := func(ms ...int) (ss []sample) {
		for _, ms := range ms {
			ss = append(ss, sample{records: 1_000_000, elapsed: time.Duration(ms) * time.Millisecond, cpu: 500 * time.Millisecond, allocs: 250_000, memory: 3 << 20})
		}
		return ss
	}
	var out bytes.Buffer
	require.NoError(t, table(&out, result{"floor", at(1000)}, []result{{"count", at(4000, 1000, 2000)}}, result{"floor", at(1000, 500)}))
	// The floors' medians are 1,000,000 and the mean of 1,000,000 and 2,000,000.
	lines := regexp.MustCompile(` +`).ReplaceAllString(out.String(), " ")
	require.Equal(t, ` workload records/s least–greatest CPU s/M allocs MiB of floor
 floor before 1,000,000 (1,000,000–1,000,000) 0.50 0.25 3 80 %
 count 500,000 (250,000–1,000,000) 0.50 0.25 3 40 %
 floor after 1,500,000 (1,000,000–2,000,000) 0.50 0.25 3 120 %
`, lines)
}

func TestPeak(t *testing.T) {
	require.Equal(t, int64(2<<20), peakOf("VmPeak:\t 9999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n"))
	require.Zero(t, peakOf("Name:\tbench\n"))
}

func TestThousands(t *testing.T) {
	for want, f := range map[string]float64{"0": 0.4, "999": 999, "1,000": 999.5, "12,345": 12345, "1,234,567": 1234567} {
		require.Equal(t, want, thousands(f))
	}
}

// Inputs are the same each time, as they are used again by name.
func TestInputs(t *testing.T) {
	const n = 5000
	for _, in := range []input{numbered("numbers", n, nil), zipf(n), tableRows(), withRepeats(n), payments(n), rates(n)} {
		a, b := in.generate(), in.generate()
		for i := range min(n, in.records) {
			require.Equal(t, a(i), b(i), in.topic)
		}
	}
	ids, next := map[string]bool{}, withRepeats(n).generate()
	for i := range n {
		r := next(i)
		require.Len(t, r.Key, idSize)
		ids[string(r.Key)] = true
	}
	require.Len(t, ids, uniqueOf(n))
	require.InDelta(t, 0.95*n, len(ids), 0.01*n)
}
