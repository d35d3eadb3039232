package store

import "encoding/binary"

// The kinds of stores whose rows are windows with something behind the time that orders
// them. All else is as in Window stores: the time of a Session row is its end.
const (
	// Session keeps one row a key, end and start.
	Session Kind = Versioned + 1 + iota
	// List keeps any number of rows a key and start, by a number.
	List
)

// windowed says whether rows have a time in their keys, and a Retention.
func (k Kind) windowed() bool { return k == Window || k == Session || k == List }

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
