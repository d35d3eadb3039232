package store

import (
	"bytes"
	"slices"
)

// span is a range of tagged keys, both bounds inclusive.
type span struct {
	lo, hi   []byte
	backward bool
	inner    []byte // of a window store: the inner key that all keys of the span have; nil: many

	// Of a window store: rows whose start is outside are skipped.
	start, end int64
}

// limit is the first key after the span.
func (s span) limit() []byte { return append(s.hi[:len(s.hi):len(s.hi)], 0) }

// empty reports whether no row can be in the span.
func (s span) empty() bool { return s.start > s.end || bytes.Compare(s.lo, s.hi) > 0 }

// has reports whether the span of a window store wants a row of this start.
func (s span) has(start int64) bool { return s.start <= start && start <= s.end }

// cursor walks through rows, by key, or backward.
type cursor interface {
	// next moves to the next row; false at the end.
	next() (bool, error)
	// key is the tagged key. Like row's value it is valid until next.
	key() []byte
	// row is what is stored under the key; ok is false for a delete.
	row() (value []byte, time int64, ok bool)
	close()
}

// merged walks through several cursors at once. Where two have the same key, the row of
// the earlier cursor counts.
type merged struct {
	live     []cursor // each stands on a row
	backward bool
	at       int // the cursor whose row is next, -1 before the first
}

// merge returns the union of the cursors, which it closes; nil ones are left out.
func merge(backward bool, cursors ...cursor) (*merged, error) {
	live := slices.DeleteFunc(cursors, func(c cursor) bool { return c == nil })
	m := &merged{live: live, backward: backward, at: -1}
	for i := len(m.live) - 1; i >= 0; i-- {
		if err := m.advance(i); err != nil {
			m.close()
			return nil, err
		}
	}
	return m, nil
}

// advance moves cursor i, and leaves it out when it has ended.
func (m *merged) advance(i int) error {
	ok, err := m.live[i].next()
	if err == nil && !ok {
		m.live[i].close()
		m.live = append(m.live[:i], m.live[i+1:]...)
	}
	return err
}

func (m *merged) next() (bool, error) {
	if m.at >= 0 {
		if err := m.pass(); err != nil {
			return false, err
		}
	}
	if len(m.live) == 0 {
		return false, nil
	}
	m.at = 0
	for i := 1; i < len(m.live); i++ {
		c := bytes.Compare(m.live[i].key(), m.live[m.at].key())
		if m.backward {
			c = -c
		}
		if c < 0 {
			m.at = i
		}
	}
	return true, nil
}

// pass moves all cursors past the current key.
func (m *merged) pass() error {
	key := m.live[m.at].key()
	for i := len(m.live) - 1; i > m.at; i-- {
		if bytes.Equal(m.live[i].key(), key) {
			if err := m.advance(i); err != nil {
				return err
			}
		}
	}
	return m.advance(m.at)
}

func (m *merged) key() []byte                { return m.live[m.at].key() }
func (m *merged) row() ([]byte, int64, bool) { return m.live[m.at].row() }

func (m *merged) close() {
	for _, c := range m.live {
		c.close()
	}
	m.live = nil
}
