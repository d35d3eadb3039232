//go:build unix

package scaleout

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// parts are the partitions of the results, as one reader sees them.
type parts []part

type part struct {
	owner   string // of the last result
	was     string // the owner when it was listened to first
	at      time.Time
	silence time.Duration // the longest
}

// take notes that there is a result, which ends with its owner.
func (ps *parts) take(r *kgo.Record) {
	for int(r.Partition) >= len(*ps) {
		*ps = append(*ps, part{at: time.Now()})
	}
	now, p := time.Now(), &(*ps)[r.Partition]
	p.silence, p.at = max(p.silence, now.Sub(p.at)), now
	p.owner = string(r.Value[strings.LastIndexByte(string(r.Value), '/')+1:])
}

// listen begins to measure.
func (ps *parts) listen() {
	for i := range *ps {
		p := &(*ps)[i]
		p.was, p.at, p.silence = p.owner, time.Now(), 0
	}
}

// moved says of each whether it has another owner now.
func (ps *parts) moved() (moved []bool) {
	for _, p := range *ps {
		moved = append(moved, p.owner != p.was)
	}
	return moved
}

// longest is the longest silence of those that moved and of the others.
func (ps *parts) longest(moved []bool) (s span) {
	for i, p := range *ps {
		longest := max(p.silence, time.Since(p.at)).Round(time.Millisecond)
		if i < len(moved) && moved[i] {
			s.moved = max(s.moved, longest)
		} else {
			s.unmoved = max(s.unmoved, longest)
		}
	}
	return s
}

// span is for how long partitions were silent that moved, and that did not.
type span struct{ unmoved, moved time.Duration }

func (s span) String() string {
	return fmt.Sprintf("%.3f s where nothing moved and %.3f s where it did", s.unmoved.Seconds(), s.moved.Seconds())
}

// silence is a row of the table of silences.
type silence struct {
	event     string
	processed span // for a reader of all results: a partition is silent while nobody works on it
	committed span // for a reader of committed results, which come with each commit
	n         int  // partitions that moved
}

// silences is the table of all tests.
var silences []silence

// printSilences prints the table.
func printSilences(t *testing.T) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%8.3f s", d.Seconds()) }
	var b strings.Builder
	fmt.Fprintf(&b, "%-50s  %21s  %21s\n", "longest silence", "processed", "committed")
	fmt.Fprintf(&b, "%-50s %10s %10s  %10s %10s  %s\n", "", "unmoved", "moved", "unmoved", "moved", "partitions moved")
	for _, s := range silences {
		fmt.Fprintf(&b, "%-50s %s %s  %s %s  %d\n", s.event, ms(s.processed.unmoved), ms(s.processed.moved), ms(s.committed.unmoved), ms(s.committed.moved), s.n)
	}
	t.Logf("%d keys, %d records a second, %d partitions, sessions of %v\n%s", *keys, *rate, partitions, session, b.String())
	if name := os.Getenv("SCALEOUT_TABLE"); name != "" {
		require.NoError(t, os.WriteFile(name, []byte(b.String()), 0o644))
	}
}
