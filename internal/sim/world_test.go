package sim

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
)

const app = "app"

// world is everything that a seed chooses from, and all that there is.
type world struct {
	seed     uint64
	rng      *rand.Rand
	now      time.Time
	kafka    *cluster
	machines []*machine
	strands  []*strand
	current  *strand // that runs

	topology                    *program
	plan                        *plan.Plan
	exactlyOnce                 bool
	workers, standbys           int
	cache                       int
	uncommitted                 int
	commitInterval, idle, purge time.Duration
	scarce                      int // one of so many times that an input may come it does: else all are there before the first is processed
	flushRecords, fetchRecords  int

	rates     rates
	aim       string // the request at which processes die most; "": any
	storm     bool   // faults may happen
	faults    int    // that are left
	inputs    []input
	second    int // of the inputs: the first that came after all instances had stopped once
	fed       int
	delivered map[kafka.Partition]map[int64]delivered
	err       error
	steps     int
	counts    map[string]int // what happened
	errors    int            // with which processes ended though nothing was broken any more

	tracing bool
	story   strings.Builder
	choices []choice
}

// rates are chances, in ten thousand: of each request, or of each step.
type rates struct {
	unasked, unanswered, slow int // of a request
	crash                     int // before, or after a request
	kill, write, pause, kick  int // of a step
	stop, damage, wipe, full  int
	flush, compact, jump      int
	replace                   int
}

func (w *world) chance(tenThousandths int) bool {
	return tenThousandths > 0 && w.storm && w.rng.IntN(10_000) < tenThousandths
}

// fault uses one of the faults that a seed has up.
func (w *world) fault(tenThousandths int, what string) bool {
	if w.faults == 0 || !w.chance(tenThousandths) {
		return false
	}
	w.faults--
	w.counts[what]++
	return true
}

// crash says whether a process dies at a request.
func (w *world) crash(what string) bool {
	rate := w.rates.crash
	if w.aim != "" && strings.HasPrefix(what, w.aim) {
		rate += 500
	}
	return w.fault(rate, "killed at a request")
}

func (w *world) power() bool { return w.storm && w.rng.IntN(2) == 0 }

// later is when something arrives that is on its way: mostly at once.
func (w *world) later(most time.Duration) time.Time {
	if !w.chance(3000) {
		return w.now
	}
	return w.now.Add(time.Duration(w.rng.Int64N(int64(most))))
}

// delay is how long a request is under way. A member of a group whose requests are slow is
// put out.
func (w *world) delay(string) time.Duration {
	if !w.chance(w.rates.slow) {
		return 0
	}
	return time.Duration(w.rng.IntN(20_000)) * time.Millisecond
}

func (w *world) tracef(format string, args ...any) {
	if w.tracing {
		fmt.Fprintf(&w.story, "%6d %9.3f  ", w.steps, w.now.Sub(begin).Seconds())
		fmt.Fprintf(&w.story, format, args...)
		w.story.WriteByte('\n')
	}
}

type logHandler struct {
	p     *process
	attrs string
}

func (*logHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *logHandler) WithAttrs(as []slog.Attr) slog.Handler {
	return &logHandler{h.p, fmt.Sprint(h.attrs, as)}
}
func (h *logHandler) WithGroup(string) slog.Handler { return h }
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	if h.p.view.dead {
		return nil // nobody hears that, and how goleveldb dies is not for a seed to say
	}
	var as []string
	r.Attrs(func(a slog.Attr) bool { as = append(as, a.String()); return true })
	h.p.w.tracef("%s: log: %s %s", h.p.name, r.Message, strings.Join(as, " "))
	return nil
}

// strand is a goroutine of a process. One runs at a time, until it pauses.
type strand struct {
	p      *process
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	ready  func() bool
	until  time.Time
}

func (w *world) spawn(p *process, f func()) {
	s := &strand{p: p}
	s.resume, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.yield = yield
		defer func() {
			if r := recover(); r != nil && r != errKilled {
				panic(r)
			}
		}()
		f()
	})
	w.strands = append(w.strands, s)
}

func (w *world) runnable(s *strand) bool {
	if w.now.Before(s.p.paused) {
		return false
	}
	switch {
	case !s.until.IsZero() && !w.now.Before(s.until):
		return true
	case s.ready != nil:
		return s.ready()
	}
	return s.until.IsZero()
}

// run lets a strand go on.
func (w *world) run(s *strand) {
	w.current = s
	_, more := s.resume()
	w.current = nil
	p := s.p
	if !more {
		w.strands = slices.DeleteFunc(w.strands, func(o *strand) bool { return o == s })
	}
	switch {
	case p.machine.process != p: // buried
	case p.dead || p.view.dead:
		w.counts["killed"]++
		p.bury()
	case p.exited:
		w.exit(p)
	}
}

// end ends all strands of a process.
func (w *world) end(p *process) {
	mine := w.strands
	w.strands = nil
	for _, s := range mine {
		if s.p == p {
			s.stop()
		} else {
			w.strands = append(w.strands, s)
		}
	}
}

// exit is when Run has returned.
func (w *world) exit(p *process) {
	for _, s := range w.strands {
		if s.p == p && p.err == nil {
			w.fail("%s has ended, but a goroutine of it has not", p.name)
		}
	}
	p.dead = true
	w.end(p)
	p.view.dead = true
	p.res.Abandon()
	p.machine.process = nil
	p.machine.start = w.now.Add(time.Duration(w.rng.IntN(2000)) * time.Millisecond)
	if p.err != nil {
		w.counts["ended with an error"]++
		if !w.storm {
			w.errors++
		}
	}
}

// choice is something that can happen next.
type choice struct {
	strand *strand
	sub    *subscription
	from   *producer
	batch  *sealed
	marker *transaction
	i      int
	boot   *machine
	feed   bool
}

// options gathers what can happen next.
func (w *world) options() []choice {
	cs := w.choices[:0]
	for _, s := range w.strands {
		if w.runnable(s) {
			cs = append(cs, choice{strand: s})
		}
	}
	for _, m := range w.machines {
		p := m.process
		if p == nil {
			if !m.off && !w.now.Before(m.start) {
				cs = append(cs, choice{boot: m})
			}
			continue
		}
		if w.now.Before(p.paused) {
			continue
		}
		for _, f := range p.client.fetchers {
			for _, s := range f.subs {
				if s.news() {
					cs = append(cs, choice{sub: s})
				}
			}
		}
		for _, pr := range p.client.producers {
			if pr.err != nil {
				continue
			}
			for _, b := range pr.heads() {
				if w.now.Before(b.from) || !pr.leased() {
					continue
				}
				cs = append(cs, choice{from: pr, batch: b})
			}
		}
	}
	for i, b := range w.kafka.late {
		if (b.pounces() || !w.now.Before(b.from)) && !slices.ContainsFunc(w.kafka.late[:i], func(o *sealed) bool { return o.at == b.at && o.producer == b.producer }) {
			cs = append(cs, choice{batch: b})
		}
	}
	for _, t := range w.kafka.sorted() {
		if w.now.Before(t.from) {
			continue
		}
		for i := range t.unsaid {
			cs = append(cs, choice{marker: t, i: i})
		}
		if t.unsaidG {
			cs = append(cs, choice{marker: t, i: len(t.unsaid)})
		}
	}
	if w.fed < len(w.inputs) && (!w.inputs[w.fed].after || w.settled()) {
		cs = append(cs, choice{feed: true})
	}
	w.choices = cs
	return cs
}

// step lets one thing happen.
func (w *world) step() {
	w.steps++
	cs := w.options()
	if len(cs) == 0 || w.rng.IntN(20) == 0 {
		w.advance()
		return
	}
	if w.storm && w.breaks() {
		return
	}
	c := cs[w.rng.IntN(len(cs))]
	switch {
	case c.strand != nil:
		w.run(c.strand)
	case c.sub != nil:
		c.sub.fetch()
	case c.from != nil:
		c.from.arrive(c.batch)
	case c.batch != nil:
		w.kafka.late = slices.DeleteFunc(w.kafka.late, func(o *sealed) bool { return o == c.batch })
		err := w.kafka.produce(c.batch)
		w.counts["arrived late"]++
		w.tracef("late: %d records to %v as %d of epoch %d: %v", len(c.batch.records), c.batch.at, c.batch.producer, c.batch.epoch, err)
	case c.marker != nil:
		c.marker.say(c.i)
	case c.boot != nil:
		c.boot.boot()
	case c.feed:
		if w.rng.IntN(w.scarce) == 0 {
			w.feed()
		}
	}
}

// feed writes the next input, some of them with a transaction, and some in one that is
// aborted.
func (w *world) feed() {
	in := w.inputs[w.fed]
	p := w.kafka.partitions[in.at]
	const others = -7 // the producer id of whoever writes the inputs
	if w.exactlyOnce && w.rng.IntN(8) == 0 {
		p.append([]kafka.Record{{Key: in.Key, Value: []byte("never to be seen"), Time: in.Time}}, others, true)
		p.mark(others, 0, false)
	}
	transaction := w.rng.IntN(8) == 0
	p.append([]kafka.Record{in.Record}, others, transaction)
	if transaction {
		p.mark(others, 0, true)
	}
	w.fed++
}

// advance moves the clock to when something is due.
func (w *world) advance() {
	next := w.now.Add(time.Minute)
	due := func(t time.Time) {
		if t.After(w.now) && t.Before(next) {
			next = t
		}
	}
	for _, s := range w.strands {
		if !s.until.IsZero() {
			due(s.until)
		}
	}
	for _, m := range w.machines {
		if m.process == nil && !m.off {
			due(m.start)
		} else if m.process != nil {
			due(m.process.paused)
		}
	}
	for _, m := range w.kafka.group.members {
		due(m.heard.Add(m.session + time.Millisecond))
	}
	due(w.kafka.group.deadline)
	for _, b := range w.kafka.late {
		due(b.from)
	}
	for _, m := range w.machines {
		if m.process == nil {
			continue
		}
		for _, pr := range m.process.client.producers {
			for _, b := range pr.queue {
				due(b.from)
			}
		}
	}
	for _, t := range w.kafka.transactions {
		due(t.from)
		if !t.begun.IsZero() {
			due(t.begun.Add(t.timeout))
		}
	}
	w.pass(next)
}

func (w *world) pass(to time.Time) {
	w.now = to
	w.kafka.group.expire()
	for _, t := range w.kafka.sorted() {
		t.expire()
	}
}

// breaks may break something.
func (w *world) breaks() bool {
	m := w.machines[w.rng.IntN(len(w.machines))]
	p := m.process
	switch r := w.rates; {
	case p != nil && w.fault(r.kill, "killed between requests"):
		w.tracef("%s: killed", m.name)
		p.bury()
	case p != nil && w.fault(r.write, "killed in a write to disk"):
		m.disk.breakAt = m.disk.writes + 1 + w.rng.IntN(20)
	case p != nil && w.fault(r.pause, "stopped for a while"):
		p.paused = w.now.Add(time.Duration(w.rng.IntN(40_000)) * time.Millisecond)
		w.tracef("%s: stands still for %v", m.name, p.paused.Sub(w.now))
	case w.exactlyOnce && len(w.kafka.group.members) > 0 && w.fault(r.kick, "put out of the group"):
		w.kafka.group.remove(w.kafka.group.members[w.rng.IntN(len(w.kafka.group.members))].ID)
	case p != nil && !p.asked && w.fault(r.stop, "asked to stop"):
		w.tracef("%s: asked to stop", m.name)
		p.asked = true
		p.stop()
	case p != nil && w.exactlyOnce && m.static != "" && !m.retired && w.fault(r.replace, "replaced under its instance id"):
		w.replace(m)
	case p == nil && w.fault(r.damage, "disk damaged"), p != nil && w.fault(r.damage/4, "disk damaged while in use"):
		w.tracef("%s: disk: %s", m.name, m.disk.damage(w.rng))
	case p == nil && w.fault(r.wipe, "disk wiped"):
		w.tracef("%s: disk: wiped", m.name)
		m.disk.wipe()
	case w.fault(r.full, "disk full, or not any more"):
		m.disk.full = !m.disk.full
		w.tracef("%s: disk: full %v", m.name, m.disk.full)
	case p != nil && !p.view.dead && w.chance(r.flush):
		w.tracef("%s: disk: what the databases have in memory: %v", m.name, p.res.Flush())
	case w.chance(r.compact):
		w.compact(false) // no storm lasts for a day
	case w.fault(r.jump, "clock jumped"):
		w.pass(w.now.Add(time.Duration(w.rng.IntN(60_000)) * time.Millisecond))
	default:
		return false
	}
	return true
}

// replace starts an instance elsewhere under the instance id of one that runs, which may
// stand still meanwhile, and go on then as if nothing had happened.
func (w *world) replace(m *machine) {
	m.off, m.retired = true, true
	if w.rng.IntN(2) == 0 {
		m.process.paused = w.now.Add(time.Duration(w.rng.IntN(30_000)) * time.Millisecond)
	}
	n := w.addMachine(w.now.Add(time.Duration(w.rng.IntN(5000)) * time.Millisecond))
	n.static = m.static
	w.tracef("%s: %s is to be started under its instance id", m.name, n.name)
}

func (w *world) addMachine(start time.Time) *machine {
	m := &machine{w: w, name: string(rune('A' + len(w.machines))), disk: newDisk(), start: start}
	w.machines = append(w.machines, m)
	return m
}

// away lets hours or days pass in which no instance runs.
func (w *world) away() {
	hours := w.rng.IntN(60)
	w.tracef("nobody runs for %d hours", hours)
	w.pass(w.now.Add(time.Duration(hours) * time.Hour))
	w.compact(hours >= 24)
}

func (w *world) compact(deletes bool) {
	for _, p := range w.kafka.order {
		if p.compacted && w.rng.IntN(2) == 0 {
			n := len(p.entries)
			p.compact(w.rng.IntN(4), deletes)
			w.tracef("compacted %v from %d to %d", p.at, n, len(p.entries))
		}
	}
}

// failure is what a world has found.
type failure struct{ error }

func (w *world) fail(format string, args ...any) {
	panic(failure{fmt.Errorf(format, args...)})
}
