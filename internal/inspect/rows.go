package inspect

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/seed-df18afd4/streams/internal/store"
)

// View shows the rows of a store.
type View struct {
	Kind       store.Kind
	Key, Value Codec
}

// NewView shows a store by the names of its serdes. The keys of windows are shown apart from
// their times.
func NewView(kind store.Kind, key, value string) View {
	if kind.Windowed() {
		key = Inner(key)
	}
	return View{kind, Named(key), Named(value)}
}

// Row is a row as it is shown.
type Row struct {
	Task    string     `json:"task"`
	Key     any        `json:"key"`
	Start   *time.Time `json:"start,omitempty"` // of windows, sessions and lists
	End     *time.Time `json:"end,omitempty"`   // of sessions
	Number  *uint32    `json:"number,omitempty"`
	Value   any        `json:"value"`
	Time    time.Time  `json:"time"`
	Until   *time.Time `json:"until,omitempty"` // of a version that another one replaced
	Problem string     `json:"problem,omitempty"`
}

// Row shows a row of a task.
func (v View) Row(task string, r store.Row) Row {
	row := Row{Task: task, Time: at(r.Time)}
	key := r.Key
	switch v.Kind {
	case store.Window:
		k, start := store.SplitWindowKey(r.Key)
		key, row.Start = k, new(at(start))
	case store.Session:
		k, end, start := store.SplitSessionKey(r.Key)
		key, row.Start, row.End = k, new(at(start)), new(at(end))
	case store.List:
		k, start, n := store.SplitListKey(r.Key)
		key, row.Start, row.Number = k, new(at(start)), &n
	case store.Versioned:
		if r.Until != math.MaxInt64 {
			row.Until = new(at(r.Until))
		}
	}
	var badKey, badValue string
	row.Key, badKey = v.Key.Show(notNil(key))
	row.Value, badValue = v.Value.Show(notNil(r.Value))
	switch {
	case badKey != "":
		row.Problem = "key: " + badKey
	case badValue != "":
		row.Problem = "value: " + badValue
	}
	return row
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// notNil is for rows, whose keys and values are never null.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Get yields the rows of a key: its windows, or its versions, where the store has such. A
// failure is yielded once, last.
func (v View) Get(s *store.Store, key []byte) iter.Seq2[store.Row, error] {
	switch {
	case v.Kind.Windowed():
		return s.Scan(store.Query{Key: key, Start: math.MinInt64, End: math.MaxInt64})
	case v.Kind == store.Versioned:
		return s.Versions(key, math.MinInt64/4, math.MaxInt64/4)
	}
	return func(yield func(store.Row, error) bool) {
		if r, ok, err := s.Get(key); ok || err != nil {
			yield(r, err)
		}
	}
}

// Range selects rows of a scan. The zero Range selects all.
type Range struct {
	Prefix       []byte    // of the keys
	From, To     []byte    // keys, both inclusive; nil: no bound
	Since, Until time.Time // starts of windows, ends of sessions, times of other rows, both inclusive; zero: no bound
}

// Scan yields the rows of a range. A failure is yielded once, last.
func (v View) Scan(s *store.Store, r Range) iter.Seq2[store.Row, error] {
	q := store.Query{Start: math.MinInt64, End: math.MaxInt64}
	if !r.Since.IsZero() {
		q.Start = r.Since.UnixMilli()
	}
	if !r.Until.IsZero() {
		q.End = r.Until.UnixMilli()
	}
	if !v.Kind.Windowed() {
		q.From, q.To = r.From, r.To
		if q.From == nil {
			q.From = r.Prefix
		}
	}
	return func(yield func(store.Row, error) bool) {
		for row, err := range s.Scan(q) {
			if err == nil && !v.in(row, r, q.Start, q.End) {
				continue
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// in says whether a row is in the range, as far as the store's scan did not see to it.
func (v View) in(row store.Row, r Range, since, until int64) bool {
	key := v.inner(row.Key)
	if !bytes.HasPrefix(key, r.Prefix) || r.From != nil && bytes.Compare(key, r.From) < 0 || r.To != nil && bytes.Compare(key, r.To) > 0 {
		return false
	}
	return v.Kind.Windowed() || row.Time >= since && row.Time <= until
}

// inner is the key of a row without a window.
func (v View) inner(key []byte) []byte {
	switch v.Kind {
	case store.Window:
		key, _ = store.SplitWindowKey(key)
	case store.Session:
		key, _, _ = store.SplitSessionKey(key)
	case store.List:
		key, _, _ = store.SplitListKey(key)
	}
	return key
}

// EncodeKey encodes a key that somebody typed.
func (v View) EncodeKey(text string) ([]byte, error) {
	if v.Key.Encode == nil {
		return nil, fmt.Errorf("keys of %s cannot be typed: give another serde with --key", v.Key.Name)
	}
	b, err := v.Key.Encode(text)
	if err != nil {
		return nil, fmt.Errorf("the key %q is no %s: %w", text, v.Key.Name, err)
	}
	return b, nil
}
