//go:build unix

package chaos

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/window"
)

// results are what an application has written, as readers see it that read committed.
type results struct {
	t         *testing.T
	k         *e2etest.Kafka
	app       string
	guarantee streams.Guarantee
	tails     map[string]*e2etest.Tail
	rows      map[string]map[string]string // of each topic: the last value of each key
	times     map[string]map[string]int    // how often each key came
	written   map[string]map[written]bool  // of each topic: all values of each key
	backwards int                          // counts that were not one more than the last
	older     map[string]int               // of each table: rows in the place of newer ones
}

// written is a row that was written once. A delete has no value.
type written struct{ key, value string }

func follow(t *testing.T, k *e2etest.Kafka, app string, g streams.Guarantee) *results {
	r := &results{t: t, k: k, app: app, guarantee: g, tails: map[string]*e2etest.Tail{}, rows: map[string]map[string]string{}, times: map[string]map[string]int{}, written: map[string]map[written]bool{}, older: map[string]int{}}
	for _, name := range outputs {
		r.follow(name, app+"-"+name)
	}
	return r
}

// follow reads a topic as a table. Each tail has a lock of its own, and rows of its own.
func (r *results) follow(name, topic string) {
	rows, times := map[string]string{}, map[string]int{}
	all := map[written]bool{}
	r.rows[name], r.times[name], r.written[name] = rows, times, all
	windows := window.Keys(stringSerde, tens)
	r.tails[name] = r.k.Follow(topic, func(m *kgo.Record) {
		key := string(m.Key)
		switch name {
		case "sums":
			k, err := windows.Decode(m.Key)
			if err != nil {
				r.t.Errorf("%s/%d, offset %d: key %q: %v", topic, m.Partition, m.Offset, m.Key, err)
			}
			key = windowKey(k)
		case "sum-changelog": // the key, the window's start, and four zeros
			n := len(m.Key) - 12
			key = fmt.Sprintf("%s@%d", m.Key[:n], int64(binary.BigEndian.Uint64(m.Key[n:])))
		}
		if name == "counts" {
			r.counted(m, rows[key])
		}
		times[key]++
		all[written{key, string(m.Value)}] = true
		if m.Value == nil {
			delete(rows, key)
		} else {
			rows[key] = string(m.Value)
		}
	})
}

// counted looks whether a count goes on from the last one.
func (r *results) counted(m *kgo.Record, last string) {
	was, _ := strconv.Atoi(last) // none is 0
	is, err := strconv.Atoi(string(m.Value))
	if err != nil {
		r.t.Errorf("count %q: %v", m.Value, err)
	}
	if is == was+1 {
		return
	}
	r.backwards++
	if r.guarantee == streams.ExactlyOnce && r.backwards < 20 {
		r.t.Errorf("%s: counts/%d, offset %d: %s is %d after %d", r.app, m.Partition, m.Offset, m.Key, is, was)
	}
}

// differences says what is not as it has to be: less than the truth always is; more is, of a
// fold or a stream, only where a record takes effect once. Else more counts the folds that are
// more, and the results that came again.
func (r *results) differences(is truth) (wrong []string, more int) {
	number := func(name string, want map[string]int64) {
		r.tails[name].Locked(func() {
			for key, n := range want {
				got, _ := strconv.ParseInt(r.rows[name][key], 10, 64)
				if got < n || got > n && r.guarantee == streams.ExactlyOnce {
					wrong = append(wrong, fmt.Sprintf("%s of %s: %d, not %d", name, key, got, n))
				}
				if got > n {
					more++
				}
			}
			if len(r.rows[name]) > len(want) {
				wrong = append(wrong, fmt.Sprintf("%s has %d keys, not %d", name, len(r.rows[name]), len(want)))
			}
		})
	}
	times := func(name string, want map[string]int) {
		r.tails[name].Locked(func() {
			for key, n := range want {
				got := r.times[name][key]
				if got < n || got > n && r.guarantee == streams.ExactlyOnce {
					wrong = append(wrong, fmt.Sprintf("%s: %s came %d times, not %d", name, key, got, n))
				}
				more += max(0, got-n)
			}
			if len(r.times[name]) > len(want) {
				wrong = append(wrong, fmt.Sprintf("%s has %d keys, not %d", name, len(r.times[name]), len(want)))
			}
		})
	}
	number("counts", is.counts)
	number("sums", is.sums)
	times("pairs", is.pairs)
	times("profiles", is.profiles)
	times("once", is.once)
	for name, want := range map[string]map[string]string{"people": is.people, "deliveries": is.deliveries} {
		bad, older := r.table(name, want)
		if r.older[name] = older; older > max(1, len(want)/20) {
			bad = append(bad, fmt.Sprintf("%s: %d older rows are in the place of newer ones", name, older))
		}
		wrong = append(wrong, bad...)
	}
	return wrong, more
}

// table compares a table's rows. Without transactions an expelled instance may have put an
// older row in the place of the right one, which must have been written too: these are older.
func (r *results) table(name string, want map[string]string) (wrong []string, older int) {
	r.tails[name].Locked(func() {
		differs := func(key, v, what string) {
			if r.guarantee == streams.AtLeastOnce && r.written[name][written{key, v}] {
				older++
				return
			}
			wrong = append(wrong, what)
		}
		for key, v := range want {
			if got := r.rows[name][key]; got != v {
				differs(key, v, fmt.Sprintf("%s of %s: %q, not %q", name, key, got, v))
			}
		}
		for key := range r.rows[name] {
			if _, ok := want[key]; !ok {
				differs(key, "", fmt.Sprintf("%s has %s, which was deleted", name, key))
			}
		}
	})
	return wrong, older
}

// await waits until nothing of the truth is missing.
func (r *results) await(is truth, limit time.Duration) {
	r.t.Helper()
	var wrong []string
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if wrong, _ = r.differences(is); len(wrong) == 0 {
			return
		}
	}
	r.t.Errorf("%s, %v: %d results are wrong: %q", r.app, r.guarantee, len(wrong), wrong[:min(len(wrong), 20)])
}

// final compares everything again when no instance runs any more, and the tables of the
// instances, as their changelogs have them, too. It returns how many results came more often
// than they had to.
func (r *results) final(is truth) (more int) {
	r.t.Helper()
	r.follow("count-changelog", r.app+"-count-changelog")
	r.follow("sum-changelog", r.app+"-sum-changelog")
	for _, name := range append([]string{"count-changelog", "sum-changelog"}, outputs...) {
		r.tails[name].Finish(2 * time.Minute)
	}
	wrong, more := r.differences(is)
	require.Empty(r.t, wrong, "%s, %v", r.app, r.guarantee)
	if r.guarantee == streams.AtLeastOnce {
		r.overwritten(is)
		return more
	}
	require.Equal(r.t, r.rows["counts"], r.rows["count-changelog"], "the table of counts")
	require.Equal(r.t, r.rows["sums"], r.rows["sum-changelog"], "the table of sums")
	return more
}

// overwritten counts the rows of tables that are less than the truth. Without transactions an
// instance that was expelled cannot be kept from writing: what it had on the way when it was
// cut off may come later than what its successor wrote.
func (r *results) overwritten(is truth) {
	older := func(name string, want map[string]int64) (n int) {
		for key, v := range want {
			if got, _ := strconv.ParseInt(r.rows[name][key], 10, 64); got < v {
				n++
			}
		}
		return n
	}
	r.t.Logf("%v: late writes of expelled instances have put older rows in the place of %d counts, %d sums, %d people and %d deliveries", r.guarantee,
		older("count-changelog", is.counts), older("sum-changelog", is.sums), r.older["people"], r.older["deliveries"])
}
