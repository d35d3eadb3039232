//go:build unix

package scaleout

import (
	"fmt"
	"math/rand/v2"
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

// start begins to write records of n keys by chance, until stop.
func (f *feed) start(n, rate int) {
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
				f.send(key(r.IntN(n)))
			}
		}
	})
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
