package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime/metrics"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// sample is what one run took.
type sample struct {
	records int
	elapsed time.Duration
	cpu     time.Duration // of the process that processes
	allocs  uint64
	memory  int64 // bytes of the machine's that it had at most; 0 where that is not known
}

func (s sample) rate() float64            { return float64(s.records) / s.elapsed.Seconds() }
func (s sample) cpuPerMillion() float64   { return s.cpu.Seconds() / float64(s.records) * 1e6 }
func (s sample) allocsPerRecord() float64 { return float64(s.allocs) / float64(s.records) }
func (s sample) mebibytes() float64       { return float64(s.memory) / (1 << 20) }

func (s sample) String() string {
	return fmt.Sprintf("%s records/s, %.2f CPU s/M, %.2f allocs, %.0f MiB, took %v", thousands(s.rate()), s.cpuPerMillion(), s.allocsPerRecord(), s.mebibytes(), s.elapsed.Round(time.Millisecond))
}

// meter measures from when it was made.
type meter struct {
	begun  time.Time
	cpu    time.Duration
	allocs uint64
}

func newMeter() meter { return meter{time.Now(), cpuTime(), allocated()} }

// sample is what was used so far, for so many records.
func (m meter) sample(records int) sample {
	return sample{records: records, elapsed: time.Since(m.begun), cpu: cpuTime() - m.cpu, allocs: allocated() - m.allocs, memory: peakMemory("self")}
}

// allocated is how many objects were allocated since the process began. Unlike
// runtime.ReadMemStats it does not stop the world.
func allocated() uint64 {
	m := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(m)
	return m[0].Value.Uint64()
}

// result is all runs of one workload.
type result struct {
	name    string
	samples []sample
}

// median is the median of a property of the samples: the mean of the middle two where
// their number is even.
func (r result) median(of func(sample) float64) float64 {
	all := make([]float64, len(r.samples))
	for i, s := range r.samples {
		all[i] = of(s)
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// spread is the least and the greatest rate.
func (r result) spread() string {
	by := func(a, b sample) int { return cmp.Compare(a.rate(), b.rate()) }
	return fmt.Sprintf("(%s–%s)", thousands(slices.MinFunc(r.samples, by).rate()), thousands(slices.MaxFunc(r.samples, by).rate()))
}

// table prints the results against the mean of the floors.
func table(w io.Writer, before result, results []result, after result) error {
	floor := (before.median(sample.rate) + after.median(sample.rate)) / 2
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "workload\trecords/s\tleast–greatest\tCPU s/M\tallocs\tMiB\tof floor\t")
	before.name += " before"
	after.name += " after"
	for _, r := range slices.Concat([]result{before}, results, []result{after}) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f\t%.2f\t%.0f\t%.0f %%\t\n", r.name, thousands(r.median(sample.rate)), r.spread(),
			r.median(sample.cpuPerMillion), r.median(sample.allocsPerRecord), r.median(sample.mebibytes), 100*r.median(sample.rate)/floor)
	}
	return t.Flush()
}

// thousands writes a whole number with commas, such as 1,704,000.
func thousands(f float64) string {
	s := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
