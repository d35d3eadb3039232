package window

import (
	"math"
	"time"
)

// Starts gives the windows of w that hold the time t, by their starts: from first to last,
// every apart, all in milliseconds since 1970. It is Kafka Streams' rule, and w must have
// passed [Check]. The loop over them is
//
//	first, last, every := window.Starts(w, t)
//	for start := first; start <= last; start += every {
//
// and neither it nor an end, start + [Size], overflows. Each start is 0 or later. No window
// holds a negative t, nor one so late that the end would overflow: first is then greater
// than last.
func Starts(w Windows, t int64) (first, last, every int64) {
	h := w.windows()
	size := h.Size.Milliseconds()
	every = h.Every.Milliseconds()
	if t < 0 {
		return 0, -every, every
	}
	first = max(0, t-size+every) / every * every
	last = min(t, math.MaxInt64-size) / every * every
	return first, last, every
}

// Size gives how long each window of w is, in milliseconds: its end is its start and this.
func Size(w Windows) int64 { return w.windows().Size.Milliseconds() }

// Grace gives how long after its end a window of w takes late records, in milliseconds of
// stream time: it takes them while its end is greater than stream time - Grace. Written in
// this way the comparison does not overflow.
func Grace(w Windows) int64 { return w.windows().Grace.Milliseconds() }

// EmitEvery gives how far apart in wall-clock time results of w are sent on; 0 if every
// update is.
func EmitEvery(w Windows) time.Duration { return w.windows().Emit.every }
