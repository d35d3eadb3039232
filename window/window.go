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
// 1970-01-01 UTC, as in Kafka Streams: a day is a UTC day, whatever the time zone.
// [Sliding] windows and [Session]s lie where the records are, and [Unlimited] is one window
// without end. A record falls into windows by its own time, not by when it is read.
//
// [Starts], [Size], [Grace], [EmitEvery], [Check] and [Splitter] are for who builds an
// operator or a store of his own. They count time in milliseconds since 1970.
package window

import (
	"fmt"
	"strings"
	"time"
)

// Windows is one of [Tumbling], [Hopping], [Sliding], [Session] and [Unlimited], as a
// value, not a pointer: two are the same windows if they are equal with ==.
type Windows interface {
	// windows is the general form.
	windows() form
}

// form says everything about windows of any kind.
type form struct {
	kind        Kind
	size, every time.Duration // size of sessions is their gap
	start       time.Time     // of an unlimited window
	grace       time.Duration
	emit        Emit
}

// Kind says what windows lie where.
type Kind int

const (
	// Aligned windows start at multiples of an interval: Tumbling and Hopping.
	Aligned Kind = iota
	// AtRecords is the kind of Sliding.
	AtRecords
	// Sessions is the kind of Session.
	Sessions
	// Endless is the kind of Unlimited.
	Endless
)

// KindOf gives the kind of w.
func KindOf(w Windows) Kind { return w.windows().kind }

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

// Sliding windows of Size end at each record, and begin just after each record: there is
// one for every set of records of a key that are no more than Size apart. Start and end
// belong to the window. Records before the time Size share the window that starts at 1970.
type Sliding struct {
	Size, Grace time.Duration
	Emit        Emit
}

// Session windows last as long as records of one key are no more than Gap apart. A
// record that joins two sessions makes them one: the old ones are deleted. Start and end
// are the times of the first and the last record.
type Session struct {
	Gap, Grace time.Duration
	Emit       Emit
}

// Unlimited is one window from Start, 1970 by default, for ever. Earlier records are
// dropped and counted. It has no end to be sent at.
type Unlimited struct{ Start time.Time }

func (w Tumbling) windows() form {
	return form{size: w.Size, every: w.Size, grace: w.Grace, emit: w.Emit}
}

func (w Hopping) windows() form {
	return form{size: w.Size, every: w.Every, grace: w.Grace, emit: w.Emit}
}

func (w Sliding) windows() form {
	return form{kind: AtRecords, size: w.Size, grace: w.Grace, emit: w.Emit}
}

func (w Session) windows() form {
	return form{kind: Sessions, size: w.Gap, grace: w.Grace, emit: w.Emit}
}

func (w Unlimited) windows() form { return form{kind: Endless, start: w.Start} }

// String is the Go literal, such as Tumbling{Size: 24h0m0s}, without its zero fields.
func (w Tumbling) String() string {
	return fmt.Sprintf("Tumbling{Size: %v%s}", w.Size, optional(w.Grace, w.Emit))
}

// String is the literal, such as Hopping{Size: 1h0m0s, Every: 5m0s}, without the optional
// fields that are zero.
func (w Hopping) String() string {
	return fmt.Sprintf("Hopping{Size: %v, Every: %v%s}", w.Size, w.Every, optional(w.Grace, w.Emit))
}

// String is the literal, such as Sliding{Size: 1m0s}, without its zero fields.
func (w Sliding) String() string {
	return fmt.Sprintf("Sliding{Size: %v%s}", w.Size, optional(w.Grace, w.Emit))
}

// String is the literal, such as Session{Gap: 5m0s}, without its zero fields.
func (w Session) String() string {
	return fmt.Sprintf("Session{Gap: %v%s}", w.Gap, optional(w.Grace, w.Emit))
}

// String is the literal, such as Unlimited{}.
func (w Unlimited) String() string {
	if w.Start.IsZero() {
		return "Unlimited{}"
	}
	return fmt.Sprintf("Unlimited{Start: %s}", w.Start.UTC().Format(time.RFC3339Nano))
}

// optional writes the fields that may be left out and were not.
func optional(grace time.Duration, emit Emit) string {
	var s strings.Builder
	if grace != 0 {
		fmt.Fprintf(&s, ", Grace: %v", grace)
	}
	if emit.every != 0 {
		fmt.Fprintf(&s, ", Emit: Every(%v)", emit.every)
	}
	if emit.onClose {
		s.WriteString(", Emit: OnClose()")
	}
	return s.String()
}

// Emit says when a windowed result is sent on. The zero Emit sends every update.
type Emit struct {
	every   time.Duration
	onClose bool
}

// Every sends the windows that changed once every d of wall-clock time, each with its
// newest result; what came in between is never sent. Every(0) is the zero [Emit].
func Every(d time.Duration) Emit { return Emit{every: d} }

// OnClose sends each window once, when stream time passes its end and grace, in the order
// of the windows' ends, then of their starts and keys. What comes later is too late for it.
func OnClose() Emit { return Emit{onClose: true} }

// Join says how far apart in time two records may be to meet in a join of streams: the
// right one from Before before the left one until After after it. Either may be negative,
// as long as together they are not. All are whole milliseconds.
type Join struct {
	Before, After time.Duration
	Grace         time.Duration // how long a record without a partner waits for a late one; none by default
}

// Within is a Join of d on either side, without grace.
func Within(d time.Duration) Join { return Join{Before: d, After: d} }
