// Package window cuts time into windows. It is pure: no I/O and no clock.
//
// To count or fold records per hour, say which windows, and key the store by them:
//
//	var (
//		Hour    = window.Tumbling{Size: time.Hour, Grace: time.Minute}
//		PerHour = state.Store[window.Key[string], int64]{
//			Name: "views-per-hour", Key: window.Keys(serde.String, Hour), Value: serde.Int64,
//		}
//	)
//
//	kstream.Count(kstream.WindowedBy(viewsByUser, Hour), PerHour)
//
// [Tumbling] windows follow each other; [Hopping] ones overlap. Both are aligned to
// 1970-01-01 UTC, as in Kafka Streams: a day is a UTC day, whatever the time zone. A record
// falls into windows by its own time, not by when it is read.
//
// [Starts], [Size], [Grace], [EmitEvery], [Check] and [Splitter] are for who builds an
// operator or a store of his own. They count time in milliseconds since 1970.
package window

import (
	"fmt"
	"time"
)

// Windows is one of [Tumbling] and [Hopping], as a value, not a pointer: two are the same
// windows if they are equal with ==.
type Windows interface {
	// windows is the general form: tumbling windows are those that hop by their size.
	windows() Hopping
}

// Tumbling windows have a fixed size and do not overlap; the first starts at 1970. Each
// time is in one of them. Size must be positive. Size and Grace are whole milliseconds.
type Tumbling struct {
	Size  time.Duration
	Grace time.Duration // how long after its end, in stream time, a window takes late records; none by default
	Emit  Emit          // when results are sent on; on every update by default
}

// Hopping windows of Size start every Every, the first at 1970, and so overlap: a time is
// in Size/Every of them, rounded up or down, and in fewer near 1970, as none starts
// earlier. Every must be positive and at most Size; Size itself makes them tumble.
// Grace and Emit are as in [Tumbling]. All times but Emit's are whole milliseconds.
type Hopping struct {
	Size, Every, Grace time.Duration
	Emit               Emit
}

func (w Tumbling) windows() Hopping {
	return Hopping{Size: w.Size, Every: w.Size, Grace: w.Grace, Emit: w.Emit}
}

func (w Hopping) windows() Hopping { return w }

// String is the Go literal, such as Tumbling{Size: 24h0m0s}, without its zero fields.
func (w Tumbling) String() string {
	return fmt.Sprintf("Tumbling{Size: %v%s}", w.Size, optional(w.Grace, w.Emit))
}

// String is the literal, such as Hopping{Size: 1h0m0s, Every: 5m0s}, without the optional
// fields that are zero.
func (w Hopping) String() string {
	return fmt.Sprintf("Hopping{Size: %v, Every: %v%s}", w.Size, w.Every, optional(w.Grace, w.Emit))
}

// optional writes the fields that may be left out and were not.
func optional(grace time.Duration, emit Emit) string {
	s := ""
	if grace != 0 {
		s += fmt.Sprintf(", Grace: %v", grace)
	}
	if emit != (Emit{}) {
		s += fmt.Sprintf(", Emit: Every(%v)", emit.every)
	}
	return s
}

// Emit says when a windowed result is sent on. The zero Emit sends every update.
type Emit struct{ every time.Duration }

// Every sends the windows that changed once every d of wall-clock time, each with its
// newest result; what came in between is never sent. Every(0) is the zero [Emit].
func Every(d time.Duration) Emit { return Emit{every: d} }
