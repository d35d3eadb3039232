package sim

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/topology"
)

var (
	seedFlag    = flag.Uint64("seed", 0, "replay one seed, with all that happens")
	seedsFlag   = flag.Uint64("seeds", 0, "how many seeds to run; 0: 500")
	mutantsFlag = flag.Int("mutants", 0, "how many mistakes to build into the code and to look for, chosen by chance; 0: one")
	programFlag = flag.String("program", "", "run this program only, as \"sessions\"")
	firstFlag   = flag.Uint64("first", 0, "the first of the seeds; 0: one that nobody had before")
)

// TestMain lets garbage wait: a world leaves much, and soon.
func TestMain(m *testing.M) {
	flag.Parse()
	if *programFlag != "" && !slices.ContainsFunc(programs, func(p *program) bool { return p.name == *programFlag }) {
		fmt.Fprintf(os.Stderr, "sim: there is no program %q\n", *programFlag)
		os.Exit(2)
	}
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// plans are those of the programs.
var plans = sync.OnceValue(func() map[*program]*plan.Plan {
	all := map[*program]*plan.Plan{}
	for _, p := range programs {
		b := topology.NewBuilder()
		p.build(b)
		topo, err := b.Build()
		if err != nil {
			panic(err)
		}
		all[p] = (*plan.Plan)(topo)
	}
	return all
})

// newWorld is the world of a seed, as it begins.
func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{seed: seed, rng: r, now: begin, delivered: map[kafka.Partition]map[int64]delivered{}, counts: map[string]int{}}
	w.kafka = newCluster(w)
	w.topology = programs[r.IntN(len(programs))]
	if *programFlag != "" {
		w.topology = programs[slices.IndexFunc(programs, func(p *program) bool { return p.name == *programFlag })]
	}
	w.plan = plans()[w.topology]
	w.exactlyOnce = r.IntN(3) > 0
	w.workers = 1 + r.IntN(2)
	w.standbys = r.IntN(2)
	w.cache = r.IntN(2) * (50 + r.IntN(1000))
	w.uncommitted = pick(r, 500, 2000, 1<<20)
	w.commitInterval = pick(r, 20*time.Millisecond, 100*time.Millisecond, time.Second)
	w.idle = pick(r, 0, 100*time.Millisecond)
	w.purge = pick(r, time.Second, time.Hour)
	w.scarce = pick(r, 1, 1, 10, 40)
	w.flushRecords, w.fetchRecords = 1+r.IntN(8), 1+r.IntN(8)
	w.rates, w.aim = newRates(r), newAim(r, w.exactlyOnce)
	w.faults = 1 + r.IntN(5)
	w.inputs = w.number(w.topology.feed(r, 10+r.IntN(30)))
	w.second = len(w.inputs)
	for _, name := range append([]string{"out"}, w.topology.sources...) {
		w.kafka.create(broker.TopicSpec{Name: name, Partitions: partitions})
	}
	static := r.IntN(3) == 0
	for range 2 + r.IntN(2) {
		m := w.addMachine(w.now.Add(time.Duration(r.IntN(3000)) * time.Millisecond))
		if static {
			m.static = "instance " + m.name
		}
	}
	return w
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// newRates makes some faults frequent, and leaves others out.
func newRates(r *rand.Rand) (x rates) {
	for _, rate := range []struct {
		of   *int
		most int
	}{
		{&x.unasked, 100}, {&x.unanswered, 100}, {&x.slow, 300}, {&x.crash, 300},
		{&x.kill, 100}, {&x.write, 100}, {&x.pause, 50}, {&x.kick, 50}, {&x.stop, 50}, {&x.damage, 200}, {&x.wipe, 200}, {&x.full, 50}, {&x.flush, 300}, {&x.compact, 100}, {&x.jump, 50}, {&x.replace, 100},
	} {
		if r.IntN(2) == 0 {
			*rate.of = r.IntN(rate.most + 1)
		}
	}
	return x
}

// newAim is where much depends on what was done before and what was not.
func newAim(r *rand.Rand, exactlyOnce bool) string {
	if exactlyOnce {
		return pick(r, "", "JoinGroup", "OffsetFetch", "ListOffsets", "InitProducerId", "AddPartitionsToTxn", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn")
	}
	return pick(r, "", "JoinGroup", "OffsetFetch", "OffsetCommit", "OffsetCommit")
}

const (
	stormSteps = 2_000
	calmSteps  = 20_000
)

// play lets everything happen, and then compares.
func (w *world) play() (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		default:
			err = fmt.Errorf("panic: %v\n%s", r, stack())
		}
		w.clear()
	}()
	w.storm = true
	for w.steps < stormSteps && (w.faults > 0 || w.fed < len(w.inputs)) {
		w.step()
	}
	w.calm()
	w.until("everything is processed", w.processed)
	again := w.rng.IntN(3) == 0
	if again && w.rng.IntN(2) == 0 {
		w.killAll()
	}
	w.shutdown()
	if again { // what is on the disks shows in what comes next
		w.away()
		w.inputs = append(w.inputs, w.more()...)
		for _, m := range w.machines {
			m.off = m.retired
		}
		w.until("everything is processed", w.processed)
		w.shutdown()
	}
	if w.errors > len(w.machines) {
		return fmt.Errorf("%d times a process ended with an error, though nothing was broken any more", w.errors)
	}
	return w.topology.check(w)
}

func stack() string {
	b := make([]byte, 1<<14)
	return string(b[:runtime.Stack(b, false)])
}

// more are inputs like those before, from where they ended.
func (w *world) more() []input {
	all := w.topology.feed(rand.New(rand.NewPCG(w.seed, 2)), len(w.inputs)/2)
	last := w.inputs[len(w.inputs)-1].Time - begin.UnixMilli()
	for i := range all {
		all[i].Time += last
	}
	return w.number(all)
}

// number counts the records of each key on each side of a join: their values are numbers,
// or some are deletes.
func (w *world) number(all []input) []input {
	counts := map[string]map[string]int64{"left": w.lasts("left"), "right": w.lasts("right")}
	for i := range all {
		in := &all[i]
		if n := counts[in.at.Topic]; n != nil {
			n[string(in.Key)]++
			if in.Value = fmt.Append(nil, n[string(in.Key)]); w.topology.deletes != nil && w.topology.deletes(n[string(in.Key)]) {
				in.Value = nil
			}
		}
	}
	return all
}

// isDelete has a few of a key's records be deletes.
func isDelete(n int64) bool { return n%6 == 5 }

// calm ends the faults.
func (w *world) calm() {
	w.tracef("calm")
	w.storm, w.faults, w.scarce = false, 0, 1
	for _, m := range w.machines {
		m.disk.full, m.disk.breakAt = false, 0
		if m.process != nil {
			m.process.paused = noTime
		}
	}
}

func (w *world) until(what string, done func() bool) {
	for end := w.steps + calmSteps; !done(); w.step() {
		if w.steps > end {
			w.fail("stuck: nothing is broken any more, and it takes more than %d steps until %s", calmSteps, what)
		}
	}
}

// processed says whether all inputs are, and nothing is under way.
func (w *world) processed() bool {
	return w.fed == len(w.inputs) && w.settled()
}

// settled says whether what was fed is processed, and nothing is under way.
func (w *world) settled() bool {
	if len(w.kafka.late) > 0 || w.steps%8 != 0 {
		return false
	}
	for _, t := range w.kafka.transactions {
		if t.ending() || !t.begun.IsZero() {
			return false
		}
	}
	for _, s := range w.plan.Subtopologies {
		for _, src := range s.Sources {
			for i := range int32(partitions) {
				p := w.kafka.partitions[kafka.Partition{Topic: src.In(app), Index: i}]
				if p == nil || w.kafka.group.committed[p.at].At < p.readable(w.exactlyOnce) {
					return false
				}
			}
		}
	}
	return true
}

// killAll ends all processes, with what their databases have in memory only.
func (w *world) killAll() {
	for _, m := range w.machines {
		if m.process != nil {
			w.tracef("%s: killed", m.name)
			m.process.bury()
		}
		m.off = true
	}
}

// shutdown asks all instances to stop, and waits for them.
func (w *world) shutdown() {
	for _, m := range w.machines {
		m.off = true
		if p := m.process; p != nil && !p.asked {
			p.asked = true
			p.stop()
		}
	}
	w.until("all have stopped", func() bool {
		for _, t := range w.kafka.transactions {
			if t.ending() {
				return false
			}
		}
		return !slices.ContainsFunc(w.machines, func(m *machine) bool { return m.process != nil })
	})
}

// clear ends what a failure left behind.
func (w *world) clear() {
	w.storm = false
	for _, m := range w.machines {
		if p := m.process; p != nil {
			p.dead, p.view.dead = true, true
			w.end(p)
			p.stop()
			p.res.Abandon()
		}
	}
}

// TestSim runs seeds.
func TestSim(t *testing.T) {
	if *seedFlag != 0 {
		w := newWorld(*seedFlag)
		w.tracing = true
		err := w.play()
		t.Logf("%s\n%s", w, w.story.String())
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	n, first := *seedsFlag, *firstFlag
	if n == 0 {
		n = 500
	}
	if first == 0 {
		first = uint64(time.Now().UnixMilli())
	}
	fmt.Fprintf(os.Stderr, "simulation: %d seeds, the first is %d\n", n, first)
	begun := time.Now()
	total, bad := runSeeds(first, n, nil)
	t.Logf("%d seeds in %v: %s", n, time.Since(begun).Round(time.Millisecond), happened(total))
	if bad == nil {
		return
	}
	report(t, bad)
}

// report replays a seed that failed, and tells what happened.
func report(t *testing.T, bad *world) {
	t.Helper()
	again := newWorld(bad.seed)
	again.tracing = true
	err := again.play()
	lines := strings.Split(again.story.String(), "\n")
	t.Errorf("seed %d fails: %v\n%s\nthe end of its story:\n%s", bad.seed, bad.err, again, strings.Join(lines[max(0, len(lines)-60):], "\n"))
	if fmt.Sprint(err) != fmt.Sprint(bad.err) {
		t.Errorf("and it fails in another way when it is replayed: %v", err)
	}
	t.Errorf("replay: go test ./internal/sim -run Sim -seed %d -v", bad.seed)
}

func (w *world) String() string {
	return fmt.Sprintf("%s, exactly once %v, %d machines of %d workers, static %v, standbys %d, cache %d; %s", w.topology.name, w.exactlyOnce, len(w.machines), w.workers, w.machines[0].static != "", w.standbys, w.cache, happened(w.counts))
}

func happened(counts map[string]int) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %d", what, counts[what]))
	}
	return strings.Join(all, ", ")
}

// runSeeds plays seeds on all processors, and returns the least that fails.
func runSeeds(first, n uint64, change func(*world)) (total map[string]int, bad *world) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var next atomic.Uint64
	total = map[string]int{}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				mu.Lock()
				stop := i >= n || bad != nil
				mu.Unlock()
				if stop {
					return
				}
				w := newWorld(first + i)
				if change != nil {
					change(w)
				}
				w.err = w.play()
				mu.Lock()
				for what, n := range w.counts {
					total[what] += n
				}
				if w.err != nil && (bad == nil || w.seed < bad.seed) {
					bad = w
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return total, bad
}

// Seeds that found what is too rare for a mutant to be found within a thousand. Each is what it
// was as long as the simulation is.
func TestKeptSeeds(t *testing.T) {
	for seed, found := range map[uint64]string{
		91019897: "a task that is to leave reads the end of a transaction after its last commit, and nothing else makes its worker commit again",
	} {
		if _, bad := runSeeds(seed, 1, nil); bad != nil {
			t.Errorf("found when %s", found)
			report(t, bad)
		}
	}
}

// A seed is all that there is: played again, the same happens, word for word.
func TestSimReplays(t *testing.T) {
	for seed := range uint64(100) {
		var stories [2]string
		for i := range stories {
			w := newWorld(seed)
			w.tracing = true
			err := w.play()
			stories[i] = fmt.Sprint(w.story.String(), w, err)
		}
		if stories[0] != stories[1] {
			a, b := strings.Split(stories[0], "\n"), strings.Split(stories[1], "\n")
			for i := range a {
				if i >= len(b) || a[i] != b[i] {
					t.Fatalf("seed %d differs at line %d:\n%s\n%s", seed, i, a[i], b[min(i, len(b)-1)])
				}
			}
		}
	}
}
