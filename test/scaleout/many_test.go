//go:build unix

package scaleout

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// manyPartitions measures what an application of many partitions needs while nothing comes in
// and while something does, and how long its instances take to share them.
func manyPartitions(t *testing.T, cluster *kafkatest.Cluster) {
	for _, n := range []int32{10, 100, 1000} {
		for _, kind := range []string{"pass", "count"} {
			t.Run(fmt.Sprintf("%d %s", n, kind), func(t *testing.T) { measurePartitions(t, cluster, n, kind) })
		}
	}
}

func measurePartitions(t *testing.T, cluster *kafkatest.Cluster, n int32, kind string) {
	f := newFleetOf(t, cluster, spec{Topology: kind}, n)
	proxies, far := f.far()
	tasks := func(name string) (running int) {
		for _, t := range f.status(name).Tasks {
			if t.Running {
				running++
			}
		}
		return running
	}
	shared := func(names ...string) time.Duration {
		begun := time.Now()
		e2etest.Await(t, 5*time.Minute, func() bool {
			sum := 0
			for _, name := range names {
				k := tasks(name)
				if k < int(n)/len(names) {
					return false
				}
				sum += k
			}
			return sum == int(n)
		}, "%v share %d tasks", names, n)
		return time.Since(begun).Round(10 * time.Millisecond)
	}
	f.start("a", far)
	first := shared("a")
	f.start("b", far)
	second := shared("a", "b")
	f.start("c", far)
	third := shared("a", "b", "c")
	t.Logf("tasks are shared %v, %v and %v after the first, second and third instance was started", first, second, third)
	f.report("idle", proxies)
	f.feed.start(20_000, *rate)
	time.Sleep(5 * time.Second)
	f.report(fmt.Sprintf("%d records a second", *rate), proxies)
	begun := time.Now()
	f.stop("c")
	shared("a", "b")
	t.Logf("one left: tasks are shared after %v", time.Since(begun).Round(10*time.Millisecond))
	f.verify()
}

// report tells what instances use.
func (f *fleet) report(when string, proxies []*badnet.Proxy) {
	f.t.Helper()
	const window = 5 * time.Second
	kinds := map[int16]string{0: "produce", 1: "fetch", 2: "list offsets", 3: "metadata", 8: "commit", 12: "heartbeat", 24: "add partitions", 25: "add offsets", 26: "end transaction", 28: "commit in transaction"}
	count := func() map[int16]int {
		sum := map[int16]int{}
		for _, p := range proxies {
			for k, n := range p.Requests() {
				sum[k] += n
			}
		}
		return sum
	}
	sent := func() (sum int64) {
		for _, p := range proxies {
			sum += p.Bytes()
		}
		return sum
	}
	before, bytes, cpu := count(), sent(), f.cpu()
	time.Sleep(window)
	after := count()
	var each []string
	total := 0
	for k, n := range after {
		per := n - before[k]
		total += per
		if per > 0 {
			each = append(each, fmt.Sprintf("%s %.0f", kinds[k], float64(per)/window.Seconds()))
		}
	}
	rss := []string{}
	for name, p := range f.running {
		rss = append(rss, fmt.Sprintf("%s %d MiB", name, resident(f.t, p.PID())>>20))
	}
	f.t.Logf("%s: %.0f requests/s (%s), %.2f MB/s of requests, %.2f cores, memory %s", when, float64(total)/window.Seconds(), strings.Join(each, ", "),
		float64(sent()-bytes)/window.Seconds()/1e6, (f.cpu()-cpu)/window.Seconds(), strings.Join(rss, ", "))
}

var rssLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// resident is the memory of a process, in bytes; 0 where the system does not tell.
func resident(t *testing.T, pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := rssLine.FindSubmatch(b)
	if err != nil || m == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	require.NoError(t, err)
	return n << 10
}

// cpu is how many seconds the instances have computed; 0 where the system does not tell.
func (f *fleet) cpu() (seconds float64) {
	for _, p := range f.running {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			return 0
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, i := range []int{11, 12} { // user and system, in hundredths
			n, err := strconv.ParseFloat(fields[i], 64)
			require.NoError(f.t, err)
			seconds += n / 100
		}
	}
	return seconds
}
