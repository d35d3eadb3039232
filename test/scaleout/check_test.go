//go:build unix

package scaleout

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/seed-df18afd4/streams/internal/e2etest"
)

// check reads the results as they come. Its fields belong to the tail's lock.
type check struct {
	t       *testing.T
	tail    *e2etest.Tail
	once    bool           // no result may come twice
	last    map[string]int // numbers of records
	results int
	repeats int
	parts   parts
	wrong   int

	early     *e2etest.Tail // of results that are not committed yet
	processed parts         // belongs to its lock
}

func newCheck(t *testing.T, k *e2etest.Kafka, topic string, n int32, once bool) *check {
	c := &check{t: t, once: once, last: map[string]int{}, parts: make(parts, n), processed: make(parts, n)}
	c.tail = k.Follow(topic, c.take)
	c.early = k.FollowUncommitted(topic, c.processed.take)
	return c
}

// take looks at a result: the count of a key goes up by one, and is the number that the
// record carried. With AtLeastOnce it may go back, and comes to all numbers again from there.
func (c *check) take(r *kgo.Record) {
	f := strings.SplitN(string(r.Value), "/", 3)
	if len(f) != 3 {
		c.t.Errorf("result %q is malformed", r.Value)
		return
	}
	count, _ := strconv.Atoi(f[0])
	seq, err := strconv.Atoi(f[1])
	last := c.last[string(r.Key)]
	fine := err == nil && seq <= last+1 && count >= seq
	if c.once {
		fine = err == nil && seq == last+1 && count == seq
	}
	if !fine && c.wrong < 20 {
		c.wrong++
		c.t.Errorf("partition %d, offset %d: the result of %s is %s after %d records of it", r.Partition, r.Offset, r.Key, r.Value, last)
	}
	if seq <= last {
		c.repeats++
	}
	c.last[string(r.Key)] = max(last, seq)
	c.results++
	c.parts.take(r)
}

// anew expects the numbers of the records and the counts to begin anew.
func (c *check) anew() {
	c.tail.Locked(func() { c.last, c.results = map[string]int{}, 0 })
}

// count is how many results there were.
func (c *check) count() (n int) {
	c.tail.Locked(func() { n = c.results })
	return n
}

// owners are who wrote the last result of each partition.
func (c *check) owners() (owners []string) {
	c.tail.Locked(func() {
		for _, p := range c.parts {
			owners = append(owners, p.owner)
		}
	})
	return owners
}

// listen begins to measure silences.
func (c *check) listen() {
	c.tail.Locked(c.parts.listen)
	c.early.Locked(c.processed.listen)
}

// heard is the longest silence of the partitions that have another owner now, and of the
// others.
func (c *check) heard() (s silence) {
	var moved []bool
	c.tail.Locked(func() {
		moved = c.parts.moved()
		s.committed = c.parts.longest(moved)
	})
	c.early.Locked(func() { s.processed = c.processed.longest(moved) })
	for _, m := range moved {
		if m {
			s.n++
		}
	}
	return s
}

// reaches says whether the results of all records that were sent were seen.
func (c *check) reaches(sent map[string]int) (all bool) {
	c.tail.Locked(func() {
		all = true
		for key, n := range sent {
			if c.last[key] < n {
				all = false
				return
			}
		}
	})
	return all
}

// equals checks that there are these results and no others.
func (c *check) equals(sent map[string]int) {
	c.t.Helper()
	c.tail.Locked(func() {
		require.Equal(c.t, sent, c.last, "the counts of all keys")
		total := 0
		for _, n := range sent {
			total += n
		}
		c.t.Logf("%d records, %d results, %d of them again", total, c.results, c.repeats)
		if c.once {
			require.Equal(c.t, total, c.results, "results for each record")
		}
	})
}

// flows waits until every partition has new results.
func (c *check) flows() {
	c.t.Helper()
	begun := time.Now()
	e2etest.Await(c.t, patience, func() (all bool) {
		c.tail.Locked(func() {
			all = !slices.ContainsFunc(c.parts, func(p part) bool { return p.owner == "" || p.at.Before(begun) })
		})
		return all
	}, "there are new results in every partition")
}
