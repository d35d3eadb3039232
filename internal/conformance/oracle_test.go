package conformance

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// counting is a count, and a law that forgets what follows the third record of a key.
func counting(upTo int) Law {
	return Law{
		Topics: []string{"in"},
		Late:   10,
		Build: func(b *topology.Builder) {
			r := kstream.Reduce(kstream.GroupByKey(kstream.From(b, plain("in"))), func(a, v string) string { return a + v }, kv("r"))
			ktable.To(r, plain("out"))
		},
		Got: Table(kv("r")),
		Want: func(in []Record) []string {
			all, n := map[string]Record{}, map[string]int{}
			for _, r := range in {
				if n[r.Key]++; n[r.Key] <= upTo {
					before := all[r.Key]
					all[r.Key] = Record{Key: r.Key, Value: new(or(before.Value, "") + *r.Value), Time: max(before.Time, r.Time)}
				}
			}
			var rows []Record
			for _, r := range all {
				rows = append(rows, r)
			}
			return Last(rows)
		},
	}
}

func TestALawThatHolds(t *testing.T) { counting(100).Check(t) }

// What is printed of a law that does not hold has no record that is not needed.
func TestALawThatDoesNotHold(t *testing.T) {
	f := &failed{T: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		counting(3).Check(f)
	}()
	<-done
	require.Contains(t, f.message, "made short")
	key := strings.Fields(f.message[strings.Index(f.message, "\tin "):])[1][:1]
	require.Equal(t, 4, strings.Count(f.message, "\tin "+key+"="), f.message)
	require.Equal(t, 4, strings.Count(f.message, "\tin "), f.message)
	require.NotContains(t, f.message, "restart")
}

// What was sent is looked at too.
func TestATableThatIsNotSent(t *testing.T) {
	l := counting(100)
	l.Build = func(b *topology.Builder) {
		kstream.Reduce(kstream.GroupByKey(kstream.From(b, plain("in"))), func(a, v string) string { return a + v }, kv("r"))
	}
	n, _, got := l.run(t, []event{{Record: Record{Topic: "in", Key: "a", Value: new("x"), Time: 1}}})
	require.Equal(t, 1, n)
	require.Equal(t, []string{"a=x@1", "but what was sent is []"}, got)
}

// failed is a test that may fail.
type failed struct {
	*testing.T
	message string
}

var _ streamstest.T = (*failed)(nil)

func (f *failed) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
