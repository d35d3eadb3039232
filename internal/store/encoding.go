package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Rows are stored under their key with one byte, the tag, in front. All encodings keep
// the order of what they encode.
const (
	tagMeta    = 0x00 // the position of a database
	tagRow     = 0x01 // rows; of a Versioned store, the newest version of a key
	tagVersion = 0x02 // versions that were replaced: escaped key, time, newest first
	tagExpiry  = 0x03 // when they may go: end of validity, escaped key, time
	tagPut     = 0x04 // key, time: versions for the changelog. Never in an engine.
	tagFound   = 0x05 // the version that GetAt found last. In the cache alone.
)

const timeLen = 8

// Inside a key zero becomes escZero escPad, and escZero escEnd ends the key. So no key
// is a prefix of another one, and the order of keys is the order of their bytes.
const (
	escZero = 0x00
	escPad  = 0xFF
	escEnd  = 0x01
)

// AppendWindowKey appends the row key of a window: the escaped key, then the start. Row
// keys are ordered by key, then by start.
func AppendWindowKey(dst, key []byte, start int64) []byte {
	return appendTime(appendEscaped(dst, key), start)
}

// SplitWindowKey is the inverse of AppendWindowKey. The key is a part of row, or a copy
// where it holds zero bytes. It panics on what AppendWindowKey cannot have made.
func SplitWindowKey(row []byte) (key []byte, start int64) {
	if !isWindowKey(row) {
		panic(fmt.Sprintf("store: %x is no window key", row))
	}
	n := len(row) - timeLen
	return unescape(row[:n]), readTime(row[n:])
}

// isWindowKey reports whether row can come from AppendWindowKey.
func isWindowKey(row []byte) bool {
	n := len(row) - timeLen - 2
	if n < 0 || row[n] != escZero || row[n+1] != escEnd {
		return false
	}
	for key := row[:n]; ; {
		i := bytes.IndexByte(key, escZero)
		if i < 0 {
			return true
		}
		if i+1 == len(key) || key[i+1] != escPad {
			return false
		}
		key = key[i+2:]
	}
}

func appendEscaped(dst, key []byte) []byte {
	for {
		i := bytes.IndexByte(key, escZero)
		if i < 0 {
			dst = append(dst, key...)
			return append(dst, escZero, escEnd)
		}
		dst = append(dst, key[:i]...)
		dst = append(dst, escZero, escPad)
		key = key[i+1:]
	}
}

// unescape is the inverse of appendEscaped; esc ends with the end mark.
func unescape(esc []byte) []byte {
	esc = esc[:len(esc)-2]
	i := bytes.IndexByte(esc, escZero)
	if i < 0 {
		return esc[:len(esc):len(esc)]
	}
	key := make([]byte, 0, len(esc))
	for ; i >= 0; i = bytes.IndexByte(esc, escZero) {
		key = append(key, esc[:i+1]...)
		esc = esc[i+2:]
	}
	return append(key, esc...)
}

// appendTime appends t so that the order of the bytes is the order of the times.
func appendTime(dst []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t)^1<<63)
}

func readTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

// appendTimeDown is appendTime in the opposite order.
func appendTimeDown(dst []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(dst, ^(uint64(t) ^ 1<<63))
}

func readTimeDown(b []byte) int64 { return int64(^binary.BigEndian.Uint64(b) ^ 1<<63) }

// Kafka Streams ends the key of a window in a changelog with a sequence number, which
// is 0 unless the store keeps several rows of one key and start.
const seqLen = 4

// appendChangelogWindowKey appends the key of a window as Kafka Streams writes it to a
// changelog: key, start, sequence number.
func appendChangelogWindowKey(dst, key []byte, start int64, seq uint32) []byte {
	dst = append(dst, key...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(start))
	return binary.BigEndian.AppendUint32(dst, seq)
}

func splitChangelogWindowKey(b []byte) (key []byte, start int64, seq uint32, err error) {
	n := len(b) - timeLen - seqLen
	if n < 0 {
		return nil, 0, 0, fmt.Errorf("a window key of %d bytes is too short: %x", len(b), b)
	}
	return b[:n], int64(binary.BigEndian.Uint64(b[n:])), binary.BigEndian.Uint32(b[n+timeLen:]), nil
}

// appendChangelogSessionKey appends the key of a session as Kafka Streams writes it to a
// changelog: key, end, start.
func appendChangelogSessionKey(dst, key []byte, end, start int64) []byte {
	dst = append(dst, key...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(end))
	return binary.BigEndian.AppendUint64(dst, uint64(start))
}

func splitChangelogSessionKey(b []byte) (key []byte, end, start int64, err error) {
	n := len(b) - 2*timeLen
	if n < 0 {
		return nil, 0, 0, fmt.Errorf("a session key of %d bytes is too short: %x", len(b), b)
	}
	return b[:n], int64(binary.BigEndian.Uint64(b[n:])), int64(binary.BigEndian.Uint64(b[n+timeLen:])), nil
}

// position is how far a database has come.
type position struct {
	offset int64 // the next changelog record to apply; -1: none was
	top    int64 // the greatest time put
}

var noPosition = position{offset: -1, top: noTime}

// positionKey is where a database keeps its position.
var positionKey = []byte("\x00position")

func appendPosition(dst []byte, p position) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.offset))
	return binary.BigEndian.AppendUint64(dst, uint64(p.top))
}

func readPosition(b []byte) (position, error) {
	if len(b) != 2*timeLen {
		return noPosition, corrupt(fmt.Errorf("a position of %d bytes", len(b)))
	}
	return position{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[timeLen:]))}, nil
}

// A stored value is the time of its row and then the value.
func appendStored(dst []byte, time int64, value []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(time))
	return append(dst, value...)
}

func splitStored(b []byte) (time int64, value []byte, err error) {
	if len(b) < timeLen {
		return 0, nil, corrupt(fmt.Errorf("a stored value of %d bytes", len(b)))
	}
	return int64(binary.BigEndian.Uint64(b)), b[timeLen:], nil
}

// A version's value has a byte in front that tells a value from a delete.
const (
	versionDelete = 0
	versionValue  = 1
)

// newest is the Until of a version that nothing replaced.
const newest = math.MaxInt64
