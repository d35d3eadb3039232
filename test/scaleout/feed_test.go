//go:build unix

package scaleout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/e2etest"
)

// feed writes records, and numbers those of each key.
type feed struct {
	k     *e2etest.Kafka
	topic string
	end   chan struct{}
	wg    sync.WaitGroup
	once  sync.Once

	mu   sync.Mutex
	sent map[string]int
}

func newFeed(t *testing.T, k *e2etest.Kafka, topic string) *feed {
	f := &feed{k: k, topic: topic, end: make(chan struct{}), sent: map[string]int{}}
	t.Cleanup(func() {
		f.once.Do(func() { close(f.end) })
		f.wg.Wait()
	})
	return f
}

func key(i int) string { return fmt.Sprintf("key-%07d", i) }

// send writes one record of a key.
func (f *feed) send(key string) {
	f.mu.Lock()
	f.sent[key]++
	n := f.sent[key]
	f.mu.Unlock()
	f.k.Produce(f.topic, key, strconv.AppendInt(nil, int64(n), 10))
}

// all writes one record of each of n keys, and returns when they are written.
func (f *feed) all(n int) {
	for i := range n {
		f.send(key(i))
	}
	f.k.Flush()
}

// start begins to write records of n keys by chance, until stop. Partitions take turns: what
// is silent then has records to work on.
func (f *feed) start(n, rate int) {
	keys := f.byPartition(n)
	f.wg.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		const every = 10 * time.Millisecond
		tick := time.NewTicker(every)
		defer tick.Stop()
		begun, sent := time.Now(), 0
		for {
			select {
			case <-f.end:
				return
			case <-tick.C:
			}
			for due := int(time.Since(begun).Seconds() * float64(rate)); sent < due; sent++ {
				of := keys[sent%len(keys)]
				f.send(of[r.IntN(len(of))])
			}
		}
	})
}

// byPartition are n keys, those of each partition that has any.
func (f *feed) byPartition(n int) [][]string {
	keys := make([][]string, f.k.Partitions(f.topic))
	for i := range n {
		p := e2etest.PartitionOf(key(i), int32(len(keys)))
		keys[p] = append(keys[p], key(i))
	}
	return slices.DeleteFunc(keys, func(of []string) bool { return len(of) == 0 })
}

// stop ends the feed and returns when all is written.
func (f *feed) stop() {
	f.once.Do(func() { close(f.end) })
	f.wg.Wait()
	f.k.Flush()
}

// counts are how many records of each key were written. Nobody writes any more.
func (f *feed) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent
}
