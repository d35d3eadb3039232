package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// windowSums are what the programs of this file compute, by windows.
type (
	windowSums = ktable.Table[window.Key[string], int64]
	windowKeys = serde.Serde[window.Key[string]]
)

// finalSums sends the sum of a window once, when it is over.
var finalSums = windowed("final sums", window.Tumbling{Size: time.Minute, Grace: 30 * time.Second, Emit: window.OnClose()}, nil, feedWindows, checkFinal)

// heldSums holds sums back until their windows are over. There is room for those of the
// windows that are open, and no more.
var heldSums = windowed("held sums", window.Tumbling{Size: time.Minute, Grace: 30 * time.Second}, func(t windowSums, key windowKeys) windowSums {
	return ktable.SuppressUntilClose(t, ktable.Buffer{MaxRecords: 7}, state.Store[window.Key[string], int64]{Name: "held", Key: key, Value: serde.Int64})
}, feedWindows, checkFinal)

// sessions of a key become one when a record comes that is between them. All that are fed
// are kept for longer than a world lasts.
var sessions = windowed("sessions", window.Session{Gap: 20 * time.Second, Grace: 200 * time.Hour}, nil, feedKeys, checkSessions)

func windowed(name string, by window.Windows, then func(windowSums, windowKeys) windowSums, feed func(*rand.Rand, int) []input, check func(*world, func([]byte) window.Key[string]) error) *program {
	key := window.Keys(serde.String, by)
	return &program{
		name: name, sources: []string{"in"},
		build: func(b *topology.Builder) {
			t := kstream.Aggregate(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, in)), by), aggregate.Sum(number), state.Store[window.Key[string], int64]{Name: "table", Key: key, Value: serde.Int64})
			if then != nil {
				t = then(t, key)
			}
			ktable.To(t, topology.Topic[window.Key[string], int64]{Name: "out", Key: key, Value: serde.Int64})
		},
		feed: feed,
		check: func(w *world) error {
			return check(w, func(data []byte) window.Key[string] {
				k, err := key.Decode(data)
				if err != nil {
					w.fail("%x: %v", data, err)
				}
				return k
			})
		},
	}
}

// checkFinal: the windows that the last record of their task has closed have their sums.
func checkFinal(w *world, decode func([]byte) window.Key[string]) error {
	want, last := map[string]int64{}, map[int32]int64{}
	for _, in := range w.inputs {
		last[in.at.Index] = max(last[in.at.Index], in.Time)
	}
	of := func(key string, ms int64) string {
		return fmt.Sprint(key, " ", time.UnixMilli(ms).Truncate(time.Minute).UnixMilli()/1000)
	}
	for _, in := range w.inputs {
		if start := time.UnixMilli(in.Time).Truncate(time.Minute); start.Add(90*time.Second).UnixMilli() <= last[in.at.Index] {
			want[of(string(in.Key), in.Time)] += number(string(in.Value))
		}
	}
	got := map[string][]int64{}
	for _, r := range w.output("out") {
		k := decode(r.Key)
		of := of(k.Key, k.Start.UnixMilli())
		got[of] = append(got[of], fold(r.Value))
	}
	for of, sum := range sorted(want) {
		sent := got[of]
		if len(sent) == 0 || w.exactlyOnce && !slices.Equal(sent, []int64{sum}) || sent[len(sent)-1] < sum {
			return fmt.Errorf("%q: the results are %v, not %d", of, sent, sum)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("results of %d windows, not of %d: %v", len(got), len(want), got)
	}
	return nil
}

// checkSessions: what is not deleted at the end are the sessions that there are, each with
// its sum.
func checkSessions(w *world, decode func([]byte) window.Key[string]) error {
	type session struct{ start, end, sum int64 }
	times, got := map[string][]session{}, map[string]int64{}
	for _, in := range w.inputs {
		times[string(in.Key)] = append(times[string(in.Key)], session{in.Time, in.Time, number(string(in.Value))})
	}
	of := func(key string, start, end int64) string {
		return key + " " + strconv.FormatInt(start-begin.UnixMilli(), 10) + "-" + strconv.FormatInt(end-begin.UnixMilli(), 10)
	}
	for _, r := range w.output("out") {
		k := decode(r.Key)
		of := of(k.Key, k.Start.UnixMilli(), k.End.UnixMilli())
		if delete(got, of); r.Value != nil {
			got[of] = fold(r.Value)
		}
	}
	n := 0
	for key, all := range sorted(times) {
		slices.SortFunc(all, func(a, b session) int { return int(a.start - b.start) })
		for i := 0; i < len(all); n++ {
			s := all[i]
			for i++; i < len(all) && all[i].start-s.end <= 20_000; i++ {
				s.end, s.sum = all[i].end, s.sum+all[i].sum
			}
			if sum, ok := got[of(key, s.start, s.end)]; !ok || sum < s.sum || w.exactlyOnce && sum != s.sum {
				return fmt.Errorf("%q: the session %s has %d, not %d", key, of(key, s.start, s.end), sum, s.sum)
			}
		}
	}
	if len(got) != n {
		return fmt.Errorf("%d sessions are left, not %d: %v", len(got), n, got)
	}
	return nil
}
