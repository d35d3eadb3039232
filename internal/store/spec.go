package store

import (
	"fmt"
	"math"
)

// Kind says how a store arranges its rows.
type Kind uint8

// The kinds of stores.
const (
	// KeyValue keeps one row a key.
	KeyValue Kind = iota
	// Window keeps one row a key and start, and forgets starts older than its Retention.
	Window
	// Versioned keeps the newest row of a key and those it replaced within History.
	Versioned
)

// String is the kind in words.
func (k Kind) String() string {
	switch k {
	case KeyValue:
		return "key-value"
	case Window:
		return "window"
	case Versioned:
		return "versioned"
	case Session:
		return "session"
	case List:
		return "list"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// MarshalText writes the kind in words.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind in words.
func (k *Kind) UnmarshalText(text []byte) error {
	for *k = KeyValue; *k <= List; *k++ {
		if k.String() == string(text) {
			return nil
		}
	}
	return fmt.Errorf("store: the unknown kind %q of stores", text)
}

// Spec describes a store.
type Spec struct {
	Name      string
	Kind      Kind
	Retention int64 // of a Window store, in milliseconds
	History   int64 // of a Versioned store, in milliseconds
	InMemory  bool  // nothing on disk; the store is empty when it is opened
}

// String is the store in words.
func (s Spec) String() string {
	out := s.Name + ", " + s.Kind.String()
	if s.Retention > 0 {
		out += fmt.Sprintf(", kept for %d ms", s.Retention)
	}
	if s.History > 0 {
		out += fmt.Sprintf(", versions of %d ms", s.History)
	}
	if s.InMemory {
		out += ", in memory"
	}
	return out
}

func (s Spec) check() error {
	switch {
	case s.Name == "":
		return fmt.Errorf("store: a store needs a name")
	case s.Kind > List:
		return fmt.Errorf("store: %q has the unknown kind %d", s.Name, s.Kind)
	case s.Kind.Windowed() && s.Retention <= 0:
		return fmt.Errorf("store: window store %q needs a retention above zero, has %d ms", s.Name, s.Retention)
	case s.Kind == Versioned && s.History <= 0:
		return fmt.Errorf("store: versioned store %q needs a history above zero, has %d ms", s.Name, s.History)
	}
	return nil
}

// Row is one row. Its slices are valid until the next call on the store.
type Row struct {
	Key, Value []byte
	Time       int64 // milliseconds since 1970
	// Until is, in a Versioned store, when the next version or a delete took the place
	// of this one; math.MaxInt64 for the newest.
	Until int64
}

// Query selects the rows of a Scan. The zero Query selects all rows of a KeyValue or
// Versioned store; a Window store also needs Start and End.
type Query struct {
	From, To []byte // row keys, both inclusive; nil: no bound
	Backward bool

	// The rest is for Window stores.

	Key        []byte // only the rows of this key; nil: of all keys
	Start, End int64  // only rows whose start lies in [Start, End]
	// ByTime orders the rows by start and then by key. It sorts the matching rows of
	// one segment at a time in memory, and reads each segment that Start and End touch.
	ByTime bool
}

// noTime is the time of a store that has seen no row.
const noTime = math.MinInt64

// horizon is the newest time that is out of reach when top is the greatest time seen
// and rows are kept for keep milliseconds; noTime when none is.
func horizon(top, keep int64) int64 {
	if top < noTime+keep {
		return noTime
	}
	return top - keep
}
