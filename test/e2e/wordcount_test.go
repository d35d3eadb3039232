//go:build unix

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/e2etest"
)

// words is the program wordcount, run by two processes, and somebody who writes lines all
// the time and keeps the exact counts.
type words struct {
	*kafka
	name      string
	guarantee streams.Guarantee
	session   time.Duration
	state     [2]string
	running   [2]*e2etest.Process
	members   []string
	totals    *table
	dead      *tail
	letters   map[string]int // how often a line became a dead letter

	stop   chan struct{}
	writer sync.WaitGroup
	exact  map[string]int64 // of the writer, until it has stopped
	poison []string         // lines; the same
}

// startWords starts the two processes, and the writer once both work.
func startWords(k *kafka, name string, g streams.Guarantee, session time.Duration) *words {
	w := &words{kafka: k, name: name, guarantee: g, session: session, stop: make(chan struct{}), exact: map[string]int64{}, letters: map[string]int{}}
	k.create(nil, partitions, name+"-lines", name+"-totals", name+"-dead")
	dir := k.t.TempDir()
	for i := range w.state {
		w.state[i] = filepath.Join(dir, strconv.Itoa(i))
		w.run(i)
	}
	w.members = w.awaitMembers(name, 2, 0, nil)
	w.totals = k.table(name + "-totals")
	w.dead = k.follow(name+"-dead", func(m *sarama.ConsumerMessage) { w.letters[string(m.Value)]++ })
	w.writer.Go(w.write)
	k.t.Cleanup(w.end)
	return w
}

// run starts an instance.
func (w *words) run(i int) {
	w.t.Helper()
	w.running[i] = e2etest.Start(w.t, fmt.Sprintf("instance %d", i), program(w.t, "wordcount"),
		"-name", w.name, "-brokers", strings.Join(w.addrs, ","), "-state", w.state[i],
		"-guarantee", w.guarantee.String(), "-session", w.session.String())
}

// write writes lines, hundreds a second, until it is stopped. Some of them are poison.
func (w *words) write() {
	c := clientConfig()
	c.Producer.Flush.Frequency = 5 * time.Millisecond
	p, err := sarama.NewAsyncProducer(w.addrs, c)
	if err != nil {
		w.t.Errorf("write lines: %v", err)
		return
	}
	var acks sync.WaitGroup
	acks.Go(func() {
		for range p.Successes() {
		}
	})
	acks.Go(func() {
		var first error
		for err := range p.Errors() {
			if first == nil {
				first = err
				w.t.Errorf("write lines: %v", first)
			}
		}
	})
	defer acks.Wait()
	defer p.AsyncClose()
	r := rand.New(rand.NewPCG(1, 2))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
		for range 10 {
			line := make([]string, 5)
			for i := range line {
				line[i] = fmt.Sprintf("word-%d", min(r.IntN(500), r.IntN(500)))
				w.exact[line[i]]++
			}
			p.Input() <- &sarama.ProducerMessage{Topic: w.name + "-lines", Value: sarama.StringEncoder(strings.Join(line, " "))}
		}
		poison := fmt.Sprintf("word-1 word-2 poison-%d", len(w.poison))
		w.poison = append(w.poison, poison)
		p.Input() <- &sarama.ProducerMessage{Topic: w.name + "-lines", Value: sarama.StringEncoder(poison)}
	}
}

// end stops the writer and returns when all its lines are acknowledged.
func (w *words) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.writer.Wait()
}

// check stops the writer and the application and compares the counts: those of the totals
// with the exact ones, and those of the changelog with the totals. Where no duplicates
// are allowed the counts are the exact ones, otherwise at least those.
func (w *words) check(duplicates bool) {
	w.t.Helper()
	w.end()
	await(w.t, patience, func() bool { return w.totals.reaches(w.exact) }, "all words are counted")
	for _, p := range w.running {
		p.Terminate()
		p.Wait(patience)
	}
	changelog := w.table(w.name + "-counts-changelog")
	changelog.finish()
	w.totals.finish()
	require.Equal(w.t, w.totals.rows, changelog.rows, "the changelog holds what was sent")
	require.Equal(w.t, slices.Sorted(maps.Keys(w.exact)), slices.Sorted(maps.Keys(w.totals.rows)), "the words")
	var written, more int64
	for word, n := range w.exact {
		counted := w.totals.rows[word]
		require.GreaterOrEqual(w.t, counted, n, "the count of %s", word)
		written, more = written+n, more+counted-n
	}
	w.t.Logf("%s: %d words written, %d counted once more than needed", w.guarantee, written, more)
	if !duplicates {
		require.Zero(w.t, more, "words counted that are counted already")
	}
	w.checkDead(duplicates)
}

// checkDead checks that every line that is poison became a dead letter, and no other one.
func (w *words) checkDead(duplicates bool) {
	w.t.Helper()
	w.dead.finish()
	more := 0
	for _, line := range w.poison {
		require.NotZero(w.t, w.letters[line], "dead letters of %q", line)
		more += w.letters[line] - 1
	}
	require.Len(w.t, w.letters, len(w.poison), "lines that became dead letters")
	w.t.Logf("%d lines were poison, %d dead letters written once more than needed", len(w.poison), more)
	if !duplicates {
		require.Zero(w.t, more, "dead letters that were written already")
	}
}

// eachGuarantee runs f with both guarantees, on both brokers.
func eachGuarantee(t *testing.T, f func(t *testing.T, k *kafka, name string, g streams.Guarantee)) {
	for _, g := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, k *kafka, name string) {
				t.Parallel()
				f(t, k, name, g)
			})
		})
	}
}

func TestWordCountKilled(t *testing.T) {
	t.Parallel()
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		session := 6 * time.Second // a real Kafka allows no less
		if k.embedded {
			session = 2 * time.Second
		}
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		w := startWords(k, name, g, session)
		for _, i := range r.Perm(len(kills)) {
			w.kill(kills[i], time.Duration(r.IntN(1000))*time.Millisecond)
		}
		w.check(g == streams.AtLeastOnce)
	})
}

// kill waits until totals flow, lets some more time pass, kills instances, starts them
// again and waits until they work.
func (w *words) kill(c kill, after time.Duration) {
	w.t.Helper()
	w.awaitTotals()
	<-time.After(after) // it may hit anything
	for _, i := range c.instances {
		w.running[i].Kill()
	}
	begun := time.Now()
	for _, i := range c.instances {
		if c.wipe {
			require.NoError(w.t, os.RemoveAll(w.state[i]))
		}
		w.run(i)
	}
	w.members = w.awaitMembers(w.name, 2, 2-len(c.instances), w.members)
	w.awaitTotals()
	took := time.Since(begun)
	w.t.Logf("killed %v: totals of all partitions flow again after %v", c, took.Round(time.Millisecond))
	requireSoon(w.t, took)
}

// requireSoon checks that nobody waited for a transaction that the dead left open: nobody
// but its timeout of 30 s would end it then. Under the race detector all is too slow to say.
func requireSoon(t *testing.T, took time.Duration) {
	t.Helper()
	if !raceDetector {
		require.Less(t, took, 29*time.Second)
	}
}

// awaitTotals waits until every partition of the totals has something new.
func (w *words) awaitTotals() {
	w.t.Helper()
	begun := time.Now()
	old := func(last time.Time) bool { return last.Before(begun) }
	await(w.t, patience, func() (all bool) {
		w.totals.locked(func() { all = !slices.ContainsFunc(w.totals.last, old) })
		return all
	}, "there are new totals in every partition")
}

func TestStopHandsOver(t *testing.T) {
	t.Parallel()
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		const session = time.Minute
		w := startWords(k, name, g, session)
		w.awaitTotals()
		w.totals.listen()
		begun := time.Now()
		w.running[0].Terminate()
		w.running[0].Wait(session / 2)
		took := time.Since(begun)
		w.awaitMembers(name, 1, 1, w.members)
		w.awaitTotals()
		silences := w.totals.silences()
		t.Logf("stopped within %v; longest silence of the partitions %v", took.Round(time.Millisecond), silences)
		require.Less(t, slices.Max(silences), session/4, "the other instance waited for the session timeout")
		w.running[0] = w.running[1] // alone
		w.check(false)
	})
}
