package store

import (
	"encoding/binary"
	"fmt"
)

// The kinds of stores whose rows are windows with something behind the time that orders
// them. All else is as in Window stores: the time of a Session row is its end.
const (
	// Session keeps one row a key, end and start.
	Session Kind = Versioned + 1 + iota
	// List keeps any number of rows a key and start, by a number.
	List
)

// Windowed says whether rows have a time in their keys, and a Retention.
func (k Kind) Windowed() bool { return k == Window || k == Session || k == List }

// tail is how many bytes a row key has behind its time.
func (k Kind) tail() int {
	switch k {
	case Session:
		return timeLen
	case List:
		return seqLen
	}
	return 0
}

// start is the time in a tagged row key: the start of a window, the end of a session.
func (k Kind) start(key []byte) int64 { return readTime(key[len(key)-timeLen-k.tail():]) }

// inner is the part of a tagged row key that all windows of a key share.
func (k Kind) inner(key []byte) []byte { return key[:len(key)-timeLen-k.tail()] }

// isKey reports whether a row key can be one of this kind.
func (k Kind) isKey(row []byte) bool {
	return !k.Windowed() || len(row) >= k.tail() && isWindowKey(row[:len(row)-k.tail()])
}

// changelogKey appends the key in the changelog of a row key of a windowed kind.
func (k Kind) changelogKey(dst, row []byte) []byte {
	switch k {
	case Session:
		key, end, start := SplitSessionKey(row)
		return appendChangelogSessionKey(dst, key, end, start)
	case List:
		key, start, seq := SplitListKey(row)
		return appendChangelogWindowKey(dst, key, start, seq)
	}
	key, start := SplitWindowKey(row)
	return appendChangelogWindowKey(dst, key, start, 0)
}

// rowKey appends the row key of a key in the changelog of a windowed kind, and gives its
// time.
func (k Kind) rowKey(dst, b []byte) (row []byte, time int64, err error) {
	if k == Session {
		key, end, start, err := splitChangelogSessionKey(b)
		if err != nil {
			return dst, 0, err
		}
		return AppendSessionKey(dst, key, end, start), end, nil
	}
	key, start, seq, err := splitChangelogWindowKey(b)
	switch {
	case err != nil:
		return dst, 0, err
	case k == List:
		return AppendListKey(dst, key, start, seq), start, nil
	case seq != 0:
		return dst, 0, fmt.Errorf("window key %x has the sequence number %d: it was written by a store that keeps duplicates", b, seq)
	}
	return AppendWindowKey(dst, key, start), start, nil
}

// AppendSessionKey appends the row key of a session: the escaped key, the end, the start.
// Row keys are ordered by key, then by end.
func AppendSessionKey(dst, key []byte, end, start int64) []byte {
	return appendTime(AppendWindowKey(dst, key, end), start)
}

// SplitSessionKey is the inverse of AppendSessionKey.
func SplitSessionKey(row []byte) (key []byte, end, start int64) {
	n := len(row) - timeLen
	key, end = SplitWindowKey(row[:n])
	return key, end, readTime(row[n:])
}

// AppendListKey appends the row key of a List store: the escaped key, the start, a number
// that tells rows of one start apart.
func AppendListKey(dst, key []byte, start int64, n uint32) []byte {
	return binary.BigEndian.AppendUint32(AppendWindowKey(dst, key, start), n)
}

// SplitListKey is the inverse of AppendListKey.
func SplitListKey(row []byte) (key []byte, start int64, n uint32) {
	i := len(row) - seqLen
	key, start = SplitWindowKey(row[:i])
	return key, start, binary.BigEndian.Uint32(row[i:])
}
