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
	"github.com/seed-df18afd4/streams/internal/e2etest"
)

// lunch is the example lunch-abroad, run as its README says: one process feeds payments,
// two run the application, one reads the texts and checks them.
type lunch struct {
	*kafka
	guarantee streams.Guarantee
	state     [2]string // directories
	running   [2]*e2etest.Process
	members   []string // of the group

	payments *tail
	paid     map[string]bool // payments abroad
	texts    *tail
	told     map[string]int // texts of each payment
}

// startLunch starts both instances, and returns when they share the work.
func startLunch(k *kafka, g streams.Guarantee) *lunch {
	k.t.Helper()
	l := &lunch{kafka: k, guarantee: g, paid: map[string]bool{}, told: map[string]int{}}
	dir := k.t.TempDir()
	for i := range l.state {
		l.state[i] = filepath.Join(dir, strconv.Itoa(i))
		l.run(i)
	}
	l.members = l.awaitMembers("lunch-abroad", 2, 0, nil)
	l.payments = l.follow("payments", func(m *sarama.ConsumerMessage) {
		var p struct{ ID, Currency string }
		if err := json.Unmarshal(m.Value, &p); err != nil {
			l.t.Errorf("payments/%d, offset %d: %v", m.Partition, m.Offset, err)
		}
		if p.Currency != "GBP" {
			l.paid[p.ID] = true
		}
	})
	l.texts = l.follow("texts", func(m *sarama.ConsumerMessage) {
		var text struct{ ID string }
		if err := json.Unmarshal(m.Value, &text); err != nil {
			l.t.Errorf("texts/%d, offset %d: %v", m.Partition, m.Offset, err)
		}
		l.told[text.ID]++
	})
	return l
}

func (l *lunch) start(name, role string, args ...string) *e2etest.Process {
	l.t.Helper()
	args = append([]string{"-brokers", strings.Join(l.addrs, ","), "-role", role}, args...)
	return e2etest.Start(l.t, name, program(l.t, "lunch-abroad"), args...)
}

// run starts an instance.
func (l *lunch) run(i int) {
	l.t.Helper()
	l.running[i] = l.start(fmt.Sprintf("instance %d", i), "run", "-v", "-state", l.state[i], "-guarantee", l.guarantee.String())
}

// feed starts to write payments: so many, or until it is stopped.
func (l *lunch) feed(payments int) *e2etest.Process {
	l.t.Helper()
	return l.start("feed", "feed", "-payments", strconv.Itoa(payments))
}

// awaitTold waits until so many payments are told.
func (l *lunch) awaitTold(n int) {
	l.t.Helper()
	await(l.t, 2*patience, func() bool { return l.toldSoFar() >= n }, "%d payments are told", n)
}

// toldSoFar is how many payments are told.
func (l *lunch) toldSoFar() (n int) {
	l.texts.locked(func() { n = len(l.told) })
	return n
}

// awaitAll waits until all payments that were written are told.
func (l *lunch) awaitAll() {
	l.t.Helper()
	var written int
	for p := range int32(partitions) {
		end, err := l.client.GetOffset("payments", p, sarama.OffsetNewest)
		require.NoError(l.t, err)
		written += int(end)
	}
	await(l.t, patience, func() bool { return l.payments.count() == written }, "%d payments are read", written)
	l.awaitTold(len(l.paid))
}

// check ends the application and counts: every payment abroad has a text, with
// exactly-once exactly one, and nothing else has.
func (l *lunch) check() {
	l.t.Helper()
	for _, p := range l.running {
		p.Terminate()
		p.Wait(patience)
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
	l.t.Logf("%s: %d payments, %d of them abroad, %d texts, %d of them once more than needed", l.guarantee, l.payments.count(), len(l.paid), l.texts.count(), again)
	if l.guarantee == streams.ExactlyOnce {
		require.Zero(l.t, again, "texts for payments that are told already")
	}
}

// read starts the process that reads the texts of so many payments, and checks their pounds.
func (l *lunch) read(payments int) *e2etest.Process {
	l.t.Helper()
	return l.start("reader", "read", "-payments", strconv.Itoa(payments))
}

// checkReader checks what the reader has found.
func (l *lunch) checkReader(p *e2etest.Process) {
	l.t.Helper()
	p.Wait(patience)
	if l.guarantee == streams.AtLeastOnce {
		return // it ends when it has read enough, which may be before the last text
	}
	out := strings.TrimSpace(p.Output())
	require.NotContains(l.t, out, "was told twice")
	last := out[strings.LastIndex(out, "\n")+1:]
	require.Regexp(l.t, fmt.Sprintf(`^payments=%d abroad=%d duplicates=\d+ texts=%d$`, l.payments.count(), len(l.paid), len(l.paid)), last)
}

func TestLunchAbroad(t *testing.T) {
	t.Parallel()
	for _, g := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			eachOwn(t, func(t *testing.T, k *kafka) {
				payments := 20_000
				if raceDetector {
					payments = 5_000 // it takes ten times as long
				}
				l := startLunch(k, g)
				reader := l.read(payments)
				l.feed(payments).Wait(patience)
				l.awaitAll()
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

func (c kill) String() string {
	disk := "kept"
	if c.wipe {
		disk = "wiped"
	}
	return fmt.Sprintf("instances %v, disk %s", c.instances, disk)
}

// kills are what the tests do to two instances.
var kills = []kill{{[]int{0}, false}, {[]int{1}, true}, {[]int{0, 1}, false}}

// Instances are killed while they work off many payments, and more come all the time.
func TestLunchAbroadKilled(t *testing.T) {
	t.Parallel()
	eachOwn(t, func(t *testing.T, k *kafka) {
		payments := 200_000
		if raceDetector {
			payments = 5_000
		}
		l := startLunch(k, streams.ExactlyOnce)
		l.feed(payments).Wait(patience)
		feed := l.feed(0)
		for i, c := range kills {
			l.awaitTold(payments * (i + 1) / 8) // three of four payments are made abroad
			l.kill(c)
		}
		feed.Terminate()
		feed.Wait(patience)
		l.awaitAll()
		l.checkReader(l.read(l.payments.count()))
		l.check()
	})
}

// kill kills instances in the middle of their work, starts them again, and waits until
// texts flow.
func (l *lunch) kill(c kill) {
	l.t.Helper()
	for _, i := range c.instances {
		l.running[i].Kill()
	}
	begun, told := time.Now(), l.toldSoFar()
	for _, i := range c.instances {
		if c.wipe {
			require.NoError(l.t, os.RemoveAll(l.state[i]))
		}
		l.run(i)
	}
	l.texts.listen()
	l.members = l.awaitMembers("lunch-abroad", 2, 2-len(c.instances), l.members)
	l.awaitTold(l.toldSoFar() + 1)
	took := time.Since(begun)
	l.t.Logf("killed after %d texts: %v; texts flow again after %v, longest silence of a partition %v",
		told, c, took.Round(time.Millisecond), slices.Max(l.texts.silences()))
}
