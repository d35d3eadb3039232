package window

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/seed-df18afd4/streams/serde"
)

// Key is a record key inside a window: from Start up to End. End does not belong to the
// window, but to Sliding and Session windows it does. What the library hands out has both
// in UTC, so keys of one window are equal with ==.
type Key[K any] struct {
	Key        K
	Start, End time.Time
}

// Keys encodes windowed keys as Kafka Streams' windowed serializers do, so that other
// programs read them: the bytes of the inner key, then Start in milliseconds since 1970 as
// 8 bytes, big-endian. End is not written: w says how it follows from Start. A session has
// its End and then its Start. Build refuses a store whose w is not what its stream is
// windowed by.
//
// A topic with such keys is partitioned by the inner key alone, so that all windows of a
// key stay together. For that the serde also is a [Splitter].
//
// Starts before 1970 are errors, and so is every call if w does not pass [Check]. Keys of a
// nil key serde is nil: a missing serde.
func Keys[K any](key serde.Serde[K], w Windows) serde.Serde[Key[K]] {
	if key == nil {
		return nil
	}
	if err := Check(w); err != nil {
		return keys[K]{inner: key, windows: w, mistake: err}
	}
	return keys[K]{inner: key, windows: w, size: Size(w), session: KindOf(w) == Sessions}
}

// Splitter takes windowed keys apart: K is a [Key], and the serde that [Keys] returns is
// its Splitter. Stores and partitioners use it, to keep the windows of a key together.
type Splitter[K any] interface {
	// Split appends the encoded inner key of k to dst, and gives the extended slice and the
	// window's start and end in milliseconds since 1970, never negative.
	Split(dst []byte, k K) (key []byte, start, end int64, err error)
	// Join is the reverse: key is the encoded inner key alone, which it does not keep. The
	// end is looked at for sessions alone; that of other windows follows from their start.
	Join(key []byte, start, end int64) (K, error)
	// Windows gives what the keys are windowed by.
	Windows() Windows
}

// keys is used by value, so that Keys of the same arguments are equal.
type keys[K any] struct {
	inner   serde.Serde[K]
	windows Windows
	size    int64
	session bool
	mistake error // in windows
}

// String names the inner serde and the windows: "windowed(string, Tumbling{Size: 24h0m0s})".
func (s keys[K]) String() string {
	return fmt.Sprintf("windowed(%s, %v)", serde.Name(s.inner), s.windows)
}

// timeSize is how many bytes a time takes behind the inner key.
const timeSize = 8

// timesSize is how many bytes the window takes.
func (s keys[K]) timesSize() int {
	if s.session {
		return 2 * timeSize
	}
	return timeSize
}

func (s keys[K]) Append(dst []byte, k Key[K]) ([]byte, error) {
	dst, start, end, err := s.Split(dst, k)
	if err != nil {
		return dst, err
	}
	if s.session {
		dst = binary.BigEndian.AppendUint64(dst, uint64(end))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(start)), nil
}

func (s keys[K]) Decode(data []byte) (Key[K], error) {
	n := len(data) - s.timesSize()
	if n < 0 {
		return Key[K]{}, fmt.Errorf("window: a windowed key takes at least %d bytes, for its times, not %d: "+
			"use the serde that the data was written with", s.timesSize(), len(data))
	}
	var end int64
	if s.session {
		end = int64(binary.BigEndian.Uint64(data[n:]))
	}
	return s.Join(data[:n:n], int64(binary.BigEndian.Uint64(data[len(data)-timeSize:])), end)
}

func (s keys[K]) Split(dst []byte, k Key[K]) ([]byte, int64, int64, error) {
	if s.mistake != nil {
		return dst, 0, 0, s.mistake
	}
	start, end := k.Start.UnixMilli(), k.End.UnixMilli()
	if start < 0 {
		return dst, 0, 0, startError(start)
	}
	if s.session && end < start {
		return dst, 0, 0, endError(start, end)
	}
	dst, err := s.inner.Append(dst, k.Key)
	if err != nil {
		return dst, 0, 0, fmt.Errorf("window: encode the inner key: %w", err)
	}
	return dst, start, end, nil
}

func (s keys[K]) Join(key []byte, start, end int64) (Key[K], error) {
	if s.mistake != nil {
		return Key[K]{}, s.mistake
	}
	if start < 0 {
		return Key[K]{}, startError(start)
	}
	if s.session && end < start {
		return Key[K]{}, endError(start, end)
	}
	k, err := s.inner.Decode(key)
	if err != nil {
		return Key[K]{}, fmt.Errorf("window: decode the inner key: %w", err)
	}
	if !s.session {
		// A start of another program may be so late that its end overflows. Kafka Streams
		// takes the last time there is, too.
		end = start + min(s.size, math.MaxInt64-start)
	}
	return Key[K]{Key: k, Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(end).UTC()}, nil
}

func (s keys[K]) Windows() Windows { return s.windows }

func startError(start int64) error {
	return fmt.Errorf("window: a windowed key starts at %s, and no window starts before 1970: set its Start to that of a window",
		time.UnixMilli(start).UTC().Format(time.RFC3339Nano))
}

func endError(start, end int64) error {
	return fmt.Errorf("window: a session ends at %s, before it starts at %s: set Start and End of its key",
		time.UnixMilli(end).UTC().Format(time.RFC3339Nano), time.UnixMilli(start).UTC().Format(time.RFC3339Nano))
}
