//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
)

// lunch is the example lunch-abroad, run as its README says: one process feeds payments,
// two run the application, one reads the texts and checks them.
type lunch struct {
	*kafka
	payments  int
	guarantee streams.Guarantee
	state     [2]string // directories
	running   [2]*process
	members   []string        // of the group
	paid      map[string]bool // payments abroad
	told      map[string]int  // texts of each payment
	texts     *tail
}

func newLunch(k *kafka, payments int, g streams.Guarantee) *lunch {
	l := &lunch{kafka: k, payments: payments, guarantee: g, paid: map[string]bool{}, told: map[string]int{}}
	dir := k.t.TempDir()
	for i := range l.state {
		l.state[i] = filepath.Join(dir, strconv.Itoa(i))
	}
	return l
}

func (l *lunch) start(name, role string, args ...string) *process {
	l.t.Helper()
	args = append([]string{"-brokers", strings.Join(l.addrs, ","), "-role", role}, args...)
	return start(l.t, name, program(l.t, "lunch-abroad"), args...)
}

// run starts an instance.
func (l *lunch) run(i int) {
	l.t.Helper()
	l.running[i] = l.start(fmt.Sprintf("instance %d", i), "run", "-v", "-state", l.state[i], "-guarantee", l.guarantee.String())
}

// runBoth starts both instances, and returns when they share the work.
func (l *lunch) runBoth() {
	l.t.Helper()
	l.run(0)
	l.run(1)
	l.members = l.awaitMembers("lunch-abroad", 2, 0, nil)
}

// feed writes all payments, and notes which were made abroad.
func (l *lunch) feed() {
	l.t.Helper()
	l.start("feed", "feed", "-payments", strconv.Itoa(l.payments)).wait(patience)
	payments := l.follow("payments", func(m *sarama.ConsumerMessage) {
		var p struct{ ID, Currency string }
		if err := json.Unmarshal(m.Value, &p); err != nil {
			l.t.Errorf("payments/%d, offset %d: %v", m.Partition, m.Offset, err)
		}
		if p.Currency != "GBP" {
			l.paid[p.ID] = true
		}
	})
	await(l.t, patience, func() bool { return payments.count() == l.payments }, "%d payments are in their topic", l.payments)
}

// listen counts the texts as they come.
func (l *lunch) listen() {
	l.t.Helper()
	l.texts = l.follow("texts", func(m *sarama.ConsumerMessage) {
		var text struct{ ID string }
		if err := json.Unmarshal(m.Value, &text); err != nil {
			l.t.Errorf("texts/%d, offset %d: %v", m.Partition, m.Offset, err)
		}
		l.told[text.ID]++
	})
}

// awaitTold waits until so many payments are told.
func (l *lunch) awaitTold(n int) {
	l.t.Helper()
	await(l.t, 2*patience, func() bool { return l.texts.locked(func() bool { return len(l.told) >= n }) }, "%d payments are told", n)
}

// check ends the application and counts: every payment abroad has a text, with
// exactly-once exactly one, and nothing else has.
func (l *lunch) check() {
	l.t.Helper()
	for _, p := range l.running {
		p.terminate()
		p.wait(patience)
	}
	l.texts.finish()
	again := 0
	for id, n := range l.told {
		if !l.paid[id] {
			l.t.Errorf("%s was not made abroad and is told", id)
		}
		again += n - 1
	}
	for id := range l.paid {
		if l.told[id] == 0 {
			l.t.Errorf("%s is not told", id)
		}
	}
	l.t.Logf("%s: %d payments, %d of them abroad, %d texts, %d of them once more than needed", l.guarantee, l.payments, len(l.paid), l.texts.count(), again)
	if l.guarantee == streams.ExactlyOnce {
		require.Zero(l.t, again, "texts for payments that are told already")
	}
}

// read starts the process that reads the texts. It checks their pounds.
func (l *lunch) read() *process {
	l.t.Helper()
	return l.start("reader", "read", "-payments", strconv.Itoa(l.payments))
}

// checkReader checks what the reader has found.
func (l *lunch) checkReader(p *process) {
	l.t.Helper()
	p.wait(patience)
	if l.guarantee == streams.AtLeastOnce {
		return // it ends when it has read enough, which may be before the last text
	}
	out := strings.TrimSpace(p.output())
	require.NotContains(l.t, out, "was told twice")
	last := out[strings.LastIndex(out, "\n")+1:]
	require.Regexp(l.t, fmt.Sprintf(`^payments=%d abroad=%d duplicates=\d+ texts=%d$`, l.payments, len(l.paid), len(l.paid)), last)
}

func TestLunchAbroad(t *testing.T) {
	t.Parallel()
	for _, g := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			eachOwn(t, func(t *testing.T, k *kafka) {
				l := newLunch(k, 20_000, g)
				l.runBoth()
				l.listen()
				reader := l.read()
				l.feed()
				l.awaitTold(len(l.paid))
				l.checkReader(reader)
				l.check()
			})
		})
	}
}

// A kill is instances that are killed at once, and started again.
type kill struct {
	instances []int
	wipe      bool // their disks are lost
}

// defaultSession is streams.Config's SessionTimeout by default.
const defaultSession = 10 * time.Second

func (c kill) String() string {
	disk := "kept"
	if c.wipe {
		disk = "wiped"
	}
	return fmt.Sprintf("instances %v, disk %s", c.instances, disk)
}

// kills are what the tests do to two instances.
var kills = []kill{{[]int{0}, false}, {[]int{1}, true}, {[]int{0, 1}, false}}

func TestLunchAbroadKilled(t *testing.T) {
	t.Parallel()
	eachOwn(t, func(t *testing.T, k *kafka) {
		payments := 40_000
		if !k.embedded && !raceDetector && !testing.Short() {
			payments = 200_000
		}
		l := newLunch(k, payments, streams.ExactlyOnce)
		l.runBoth()
		l.listen()
		l.feed()
		for i, c := range kills {
			l.awaitTold(len(l.paid) * (i + 1) / 5)
			l.kill(c)
		}
		l.awaitTold(len(l.paid))
		l.checkReader(l.read())
		l.check()
	})
}

// kill kills instances in the middle of their work, starts them again, and waits until
// texts flow.
func (l *lunch) kill(c kill) {
	l.t.Helper()
	for _, i := range c.instances {
		l.running[i].kill()
	}
	begun := time.Now()
	var told int
	l.texts.locked(func() bool { told = len(l.told); return true })
	require.Less(l.t, told, len(l.paid), "there is no work left to be killed in")
	for _, i := range c.instances {
		if c.wipe {
			require.NoError(l.t, os.RemoveAll(l.state[i]))
		}
		l.run(i)
	}
	l.texts.listen()
	l.members = l.awaitMembers("lunch-abroad", 2, 2-len(c.instances), l.members)
	// What the survivor had committed when the other died may still be on its way here.
	before := l.texts.count()
	await(l.t, patience, func() bool { return l.texts.count() > before }, "texts flow again")
	took := time.Since(begun)
	l.t.Logf("killed after %d of %d texts: %v; texts flow again after %v, longest silence of a partition %v",
		told, len(l.paid), c, took.Round(time.Millisecond), slices.Max(l.texts.silences()))
	require.Less(l.t, took, defaultSession+restoring, "somebody waited for more than the session of the dead")
}
