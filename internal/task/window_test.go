package task_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

// A window takes records until stream time has reached its end and grace: [0, 10) until 15.
func TestLateRecords(t *testing.T) {
	w := window.Tumbling{Size: 10 * ms, Grace: 5 * ms}
	for _, c := range []struct {
		now   int64
		taken bool
	}{{9, true}, {10, true}, {14, true}, {15, false}, {100, false}} {
		t.Run(fmt.Sprintf("at %d", c.now), func(t *testing.T) {
			r := start(t, countEvery(w))
			r.send("in", record("other", "", c.now))
			r.sent()
			r.send("in", record("k", "", 3))
			if c.taken {
				require.Equal(t, []string{"out k from 0=1@3"}, r.sent())
				require.Empty(t, r.Dropped())
			} else {
				require.Empty(t, r.sent())
				require.Equal(t, map[plan.Drop]int64{plan.Late: 1}, r.Dropped())
			}
		})
	}
}

// A record that is dropped makes time go on all the same, if it is not late itself; one
// without a key does not.
func TestStreamTimeOfWindows(t *testing.T) {
	r := start(t, countEvery(window.Tumbling{Size: 10 * ms}))
	noKey := record("", "", 50)
	noKey.Key = nil
	r.send("in", noKey)
	r.at(5)
	require.Equal(t, []string{"out k from 0=1@5"}, r.sent())
	require.Equal(t, map[plan.Drop]int64{plan.NullKey: 1}, r.Dropped())
}

// A record counts in each window that holds it, the earliest first; it may be late for
// some.
func TestHoppingWindows(t *testing.T) {
	r := start(t, countEvery(window.Hopping{Size: 10 * ms, Every: 4 * ms}))
	r.at(0)
	require.Equal(t, []string{"out k from 0=1@0"}, r.sent(), "no window begins before 1970")
	r.at(13)
	require.Equal(t, []string{"out k from 4=1@13", "out k from 8=1@13", "out k from 12=1@13"}, r.sent())
	r.at(9) // [0, 10) ended at 10
	require.Equal(t, []string{"out k from 4=2@13", "out k from 8=2@13"}, r.sent())
	require.Equal(t, map[plan.Drop]int64{plan.Late: 1}, r.Dropped())
}

// The result of a window has the greatest time of its records.
func TestTimesOfWindows(t *testing.T) {
	r := start(t, countEvery(window.Tumbling{Size: 10 * ms, Grace: 5 * ms}))
	r.at(5, 3, 7)
	require.Equal(t, []string{"out k from 0=1@5", "out k from 0=2@5", "out k from 0=3@7"}, r.sent())
}

// Both ends of a sliding window belong to it, and a session's too.
func TestWindowsThatEndAtRecords(t *testing.T) {
	r := start(t, countEvery(window.Sliding{Size: 10 * ms}))
	r.at(20, 30)
	require.Equal(t, []string{"out k from 10=1@20", "out k from 21=1@30", "out k from 20=2@30"}, r.sent())

	r = start(t, countEvery(window.Session{Gap: 10 * ms}))
	r.at(20, 30, 41)
	require.Equal(t, []string{"out k from 20=1@20", "out k from 20=2@30", "out k from 41=1@41"}, r.sent())
}

// A session takes records until stream time is past its end, grace and gap; one that joins
// it to a later session is not late.
func TestLateRecordsOfSessions(t *testing.T) {
	r := start(t, countEvery(window.Session{Gap: 10 * ms, Grace: 5 * ms}))
	r.at(0, 16)
	r.sent()
	r.send("in", record("other", "", 25))
	r.sent()
	r.send("in", record("late", "", 9)) // 25 - 5 - 10 is 10
	require.Empty(t, r.sent())
	require.Equal(t, map[plan.Drop]int64{plan.Late: 1}, r.Dropped())
	r.at(9) // one session with 16, but not with 0, which the store has forgotten
	require.Equal(t, []string{"out k from 9=2@16"}, r.sent())
}

// A store keeps windows longer than they take records, if it is told to.
func TestRetentionOfWindows(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		store := state.Store[window.Key[string], int64]{Name: "counts", Key: window.Keys(serde.String, tens), Value: serde.Int64, Retention: 50 * ms}
		s := kstream.From(b, text("in"))
		kstream.Count(kstream.WindowedBy(kstream.GroupByKey(s), tens), store)
		kstream.To(kstream.ProcessValues(s, "all", func(c *topology.Context[string, int64]) (topology.Processor[string, string], error) {
			rows, err := topology.View(c, store)
			return func(topology.Record[string, string]) error {
				n := int64(0)
				for _, err := range state.Windows(rows, "k", time.Time{}, time.Time{}) {
					if err != nil {
						return err
					}
					n++
				}
				return c.Emit(topology.Record[string, int64]{Value: n})
			}, err
		}, store), numbers("out"))
	})
	r.at(0, 10, 40, 50, 100)
	require.Equal(t, []string{"out k=1@0", "out k=2@10", "out k=3@40", "out k=3@50", "out k=1@100"}, r.sent(), "a window that began 50 ms before the latest is gone")
}
