package window

import (
	"math"
	"time"
)

// Starts gives the windows of w that hold the time t, by their starts: from first to last,
// every apart, all in milliseconds since 1970. It is Kafka Streams' rule, and w must have
// passed [Check] and be [Aligned] or [Endless]. The loop over them is
//
//	first, last, every := window.Starts(w, t)
//	for start := first; start <= last; start += every {
//
// and neither it nor an end, start + [Size], overflows. Each start is 0 or later. No window
// holds a negative t, nor one so late that the end would overflow: first is then greater
// than last.
func Starts(w Windows, t int64) (first, last, every int64) {
	f := w.windows()
	if f.kind == Endless {
		start := f.begin()
		if t < start {
			return start, start - 1, 1
		}
		return start, start, 1
	}
	size := f.size.Milliseconds()
	every = f.every.Milliseconds()
	if t < 0 {
		return 0, -every, every
	}
	first = max(0, t-size+every) / every * every
	last = min(t, math.MaxInt64-size) / every * every
	return first, last, every
}

// begin is the start of an unlimited window.
func (f form) begin() int64 {
	if f.start.IsZero() {
		return 0
	}
	return f.start.UnixMilli()
}

// Size gives how long each window of w is, in milliseconds: its end is its start and this.
// Of sessions it is the gap, of an unlimited window the longest there can be.
func Size(w Windows) int64 {
	f := w.windows()
	if f.kind == Endless {
		return math.MaxInt64 - f.begin()
	}
	return f.size.Milliseconds()
}

// Grace gives how long after its end a window of w takes late records, in milliseconds of
// stream time: it takes them while its end is greater than stream time - Grace. Written in
// this way the comparison does not overflow.
func Grace(w Windows) int64 { return w.windows().grace.Milliseconds() }

// Keep gives how long, in milliseconds from its time to the latest one, a store has to keep
// what w needs. The time of a window is its start, that of a session its end.
func Keep(w Windows) int64 {
	f := w.windows()
	switch f.kind {
	case AtRecords:
		return 2*f.size.Milliseconds() + f.grace.Milliseconds()
	case Endless:
		return math.MaxInt64 / 4 // for ever
	default:
		return f.size.Milliseconds() + f.grace.Milliseconds()
	}
}

// EmitEvery gives how far apart in wall-clock time results of w are sent on; 0 if every
// update is.
func EmitEvery(w Windows) time.Duration { return w.windows().emit.every }

// EmitOnClose says whether results of w are sent on once, when a window closes.
func EmitOnClose(w Windows) bool { return w.windows().emit.onClose }
