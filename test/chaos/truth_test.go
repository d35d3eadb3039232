//go:build unix

package chaos

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/window"
)

// truth is what the results have to be. Whoever writes an input knows it.
type truth struct {
	counts     map[string]int64
	sums       map[string]int64
	pairs      map[string]int // how often each result is to come: once
	profiles   map[string]int
	once       map[string]int
	people     map[string]string // the final rows
	deliveries map[string]string
	poison     int
	records    int
}

// feed writes the inputs.
type feed struct {
	k      *e2etest.Kafka
	prefix string
	r      *rand.Rand
	end    chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex // of truth
	truth   truth
	tables  map[string]map[string]string // the rows of the input tables
	serial  int
	waiting []string // lefts whose right is still to come
	toxic   int      // poison records to write
}

func newFeed(t *testing.T, k *e2etest.Kafka, prefix string, seed uint64) *feed {
	f := &feed{k: k, prefix: prefix, r: rand.New(rand.NewPCG(seed, 1)), end: make(chan struct{}), tables: map[string]map[string]string{}}
	f.truth = truth{
		counts: map[string]int64{}, sums: map[string]int64{}, pairs: map[string]int{}, profiles: map[string]int{}, once: map[string]int{},
		people: map[string]string{}, deliveries: map[string]string{},
	}
	for i := range users {
		f.put("users", fmt.Sprint("user-", i), fmt.Sprint("profile-", i))
	}
	k.Flush() // before anybody buys
	t.Cleanup(func() { f.stop() })
	return f
}

const (
	users  = 50
	things = 300 // keys of most inputs
)

// start begins to write, until stop.
func (f *feed) start(rounds int) {
	f.wg.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rounds))
		defer tick.Stop()
		for {
			select {
			case <-f.end:
				return
			case <-tick.C:
				f.mu.Lock()
				f.round()
				f.mu.Unlock()
			}
		}
	})
}

// stop ends the feed, with the truth complete, and returns when all is written.
func (f *feed) stop() {
	select {
	case <-f.end:
		return
	default:
		close(f.end)
	}
	f.wg.Wait()
	for len(f.waiting) > 0 {
		f.right()
	}
	f.k.Flush()
	f.conclude()
}

// write writes one record.
func (f *feed) write(topic, key, value string) time.Time {
	r := &kgo.Record{Topic: f.prefix + topic, Key: []byte(key), Value: []byte(value), Timestamp: time.Now()}
	f.truth.records++
	f.k.ProduceRecord(r, nil)
	return r.Timestamp
}

// round writes something to every input.
func (f *feed) round() {
	f.serial++
	thing := func() string { return fmt.Sprint("k-", f.r.IntN(things)) }
	n := int64(f.r.IntN(100))
	key := thing()
	at := f.write("events", key, strconv.FormatInt(n, 10))
	f.truth.counts[key]++
	f.truth.sums[sumKey(key, at)] += n
	if f.toxic > 0 {
		f.toxic--
		f.truth.poison++
		f.write("events", thing(), "poison")
	}
	id := fmt.Sprint("pair-", f.serial)
	f.write("lefts", id, "l")
	f.waiting = append(f.waiting, id)
	if len(f.waiting) > 20 {
		f.right()
	}
	user := fmt.Sprint("user-", f.r.IntN(users))
	f.write("purchases", fmt.Sprint("purchase-", f.serial), user)
	f.truth.profiles[user]++
	f.put([]string{"names", "ages"}[f.r.IntN(2)], thing(), f.value())
	f.put("orders", thing(), fmt.Sprint("c-", f.r.IntN(users)))
	if f.serial%5 == 0 {
		f.put("customers", fmt.Sprint("c-", f.r.IntN(users)), f.value())
	}
	message := fmt.Sprint("m-", f.r.IntN(max(10, f.serial/2)))
	f.write("messages", message, message)
	f.truth.once[message] = 1
}

// right writes the partner of a left record that waits.
func (f *feed) right() {
	i := f.r.IntN(len(f.waiting))
	f.write("rights", f.waiting[i], "r")
	f.truth.pairs[f.waiting[i]] = 1
	f.waiting[i] = f.waiting[len(f.waiting)-1]
	f.waiting = f.waiting[:len(f.waiting)-1]
}

func (f *feed) value() string { return fmt.Sprint("v", f.serial) }

// kept are tables whose rows are only changed. Of those of the foreign-key join nothing is
// deleted: what may stay behind then is told in docs/guarantees.md.
var kept = map[string]bool{"users": true, "orders": true, "customers": true}

// put writes a row of a table; one time in ten it deletes it.
func (f *feed) put(table, key, value string) {
	rows := f.tables[table]
	if rows == nil {
		rows = map[string]string{}
		f.tables[table] = rows
	}
	if !kept[table] && f.r.IntN(10) == 0 {
		delete(rows, key)
		f.truth.records++
		f.k.ProduceRecord(&kgo.Record{Topic: f.prefix + table, Key: []byte(key), Timestamp: time.Now()}, nil)
		return
	}
	rows[key] = value
	f.write(table, key, value)
}

// poisoned has some of the next rounds write poison.
func (f *feed) poisoned(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.toxic += n
}

// conclude joins the tables.
func (f *feed) conclude() {
	for key, name := range f.tables["names"] {
		if age, ok := f.tables["ages"][key]; ok {
			f.truth.people[key] = name + "+" + age
		}
	}
	for key, customer := range f.tables["orders"] {
		if row, ok := f.tables["customers"][customer]; ok {
			f.truth.deliveries[key] = customer + "+" + row
		}
	}
}

// sumKey is how the tests call a window of a key.
func sumKey(key string, at time.Time) string {
	start := at.Truncate(tens.Size)
	return fmt.Sprintf("%s@%d", key, start.UnixMilli())
}

func windowKey(k window.Key[string]) string { return fmt.Sprintf("%s@%d", k.Key, k.Start.UnixMilli()) }
