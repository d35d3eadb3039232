package task_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

// countEvery counts records in windows of 10 ms, and sends results as windows say.
func countEvery(w window.Windows) func(*topology.Builder) {
	return func(b *topology.Builder) {
		store := state.Store[window.Key[string], int64]{Name: "counts", Key: window.Keys(serde.String, w), Value: serde.Int64}
		counts := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, text("in"))), w), store)
		kstream.To(kstream.SelectKey(kstream.Updates(counts), func(k window.Key[string], _ int64) string {
			return fmt.Sprintf("%s from %d", k.Key, k.Start.UnixMilli())
		}), numbers("out"))
	}
}

func TestEmitEvery(t *testing.T) {
	r := start(t, countEvery(window.Tumbling{Size: 10 * ms, Emit: window.Every(time.Second)}))
	r.at(1, 2)
	r.send("in", record("a", "", 3))
	require.Empty(t, r.sent())
	r.advance(999 * ms)
	require.Empty(t, r.sent())
	r.advance(1 * ms)
	require.Equal(t, []string{"out a from 0=1@3", "out k from 0=2@2"}, r.sent(), "the last result of each, by key")
	r.advance(time.Second)
	require.Empty(t, r.sent(), "nothing has changed")

	r.at(4)
	r.advance(3 * time.Second)
	require.Equal(t, []string{"out k from 0=3@4"}, r.sent())
}

// A window is sent though its store has forgotten it while its result waited.
func TestEmitEveryOutlivesTheStore(t *testing.T) {
	r := start(t, countEvery(window.Tumbling{Size: 10 * ms, Emit: window.Every(time.Second)}))
	r.at(1, 1000)
	r.commit()
	r.advance(time.Second)
	require.Equal(t, []string{"out k from 0=1@1", "out k from 1000=1@1000"}, r.sent())
}

// What waits is state: a restart neither loses it nor sends it twice.
func TestEmitEveryAcrossARestart(t *testing.T) {
	r := start(t, countEvery(window.Tumbling{Size: 10 * ms, Emit: window.Every(time.Second)}))
	r.at(1, 2)
	r.advance(600 * ms)
	require.NotEmpty(t, r.commit())

	r.restart()
	r.advance(999 * ms)
	require.Empty(t, r.sent())
	r.advance(1 * ms) // a second after the restart
	require.Equal(t, []string{"out k from 0=2@2"}, r.sent())
	r.commit()

	r.restart()
	r.advance(time.Hour)
	require.Empty(t, r.sent())
}

// What was sent and not committed is sent again.
func TestEmitEveryIsUndoneByARestart(t *testing.T) {
	r := start(t, countEvery(window.Tumbling{Size: 10 * ms, Emit: window.Every(time.Second)}))
	r.at(1)
	r.commit()
	r.advance(time.Second)
	require.Equal(t, []string{"out k from 0=1@1"}, r.sent())

	r.restart()
	r.advance(time.Second)
	require.Equal(t, []string{"out k from 0=1@1"}, r.sent())
}

func TestEmitOnClose(t *testing.T) {
	r := start(t, countEvery(window.Tumbling{Size: 10 * ms, Grace: 5 * ms, Emit: window.OnClose()}))
	r.at(1, 12, 2, 14)
	require.Empty(t, r.sent(), "the window is open until 15")
	r.at(15)
	require.Equal(t, []string{"out k from 0=2@2"}, r.sent())
	r.at(3) // too late
	require.Empty(t, r.sent())
}

// No window is lost when time jumps, and each is sent once, restarts or not.
func TestEmitOnCloseAcrossARestart(t *testing.T) {
	r := start(t, countEvery(window.Tumbling{Size: 10 * ms, Emit: window.OnClose()}))
	r.at(1, 2)
	r.commit()
	r.restart()
	r.send("in", record("a", "", 5000))
	require.Equal(t, []string{"out k from 0=2@2"}, r.sent())
	r.commit()
	r.restart()
	r.send("in", record("b", "", 9000))
	require.Equal(t, []string{"out a from 5000=1@5000"}, r.sent())
}
