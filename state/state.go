// Package state holds what a task remembers between records: stores on local disk or in
// memory, each with a changelog in Kafka.
//
// A [Store] describes a store. It is declared once and named wherever the store is
// written, read or queried: by an aggregation that keeps its result in it, by a processor
// that opens it, by a test that looks into it. A [Reader] reads one, a [KeyValue] also
// writes.
package state

import (
	"fmt"
	"iter"
	"reflect"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/window"
)

// Store describes a store: its name in Kafka and on disk, and the types of what it
// holds. A store whose K is a [window.Key] is a window store: its Key comes from
// [window.Keys], and it forgets windows that are older than Retention.
type Store[K, V any] struct {
	Name  string
	Key   serde.Serde[K]
	Value serde.Serde[V]

	// History keeps old versions of every row for so long, for GetAt, Versions and joins
	// as of a record's time; 0 by default: the latest version alone.
	History time.Duration
	// Retention of a window store, counted from the start of a window to the latest one;
	// by default, and at least, what its windows need: their size and grace. Windows with
	// window.OnClose are kept a millisecond longer.
	Retention time.Duration

	InMemory    bool // not on disk; still restored from its changelog; false by default
	NoChangelog bool // lost when the task moves; false by default
	NoCache     bool // every change is sent on at once, whatever Config.CacheBytes says; false by default
}

// Any is a Store of any types.
type Any interface {
	// Spec is the description as the packages of this module read it.
	Spec() plan.StoreSpec
}

// Spec is the description as the packages of this module read it.
func (s Store[K, V]) Spec() plan.StoreSpec {
	d := plan.StoreSpec{
		Spec:        store.Spec{Name: s.Name, InMemory: s.InMemory, History: s.History.Milliseconds()},
		Types:       plan.TypesOf(s.Key, s.Value),
		NoChangelog: s.NoChangelog,
		NoCache:     s.NoCache,
		Describe:    fmt.Sprintf("%T with History %v, Retention %v, InMemory %v, NoChangelog %v", s, s.History, s.Retention, s.InMemory, s.NoChangelog),
	}
	switch {
	case s.Key == nil:
		d.Err = fmt.Errorf("no Key serde")
	case s.Value == nil:
		d.Err = fmt.Errorf("no Value serde")
	case s.History < 0 || s.Retention < 0:
		d.Err = fmt.Errorf("a negative History or Retention")
	}
	windowed, ok := s.Key.(window.Splitter[K])
	switch {
	case ok:
		s.specWindow(&d, windowed.Windows())
	case s.Retention > 0:
		d.Err = fmt.Errorf("it has Retention, which is for window stores: their Key comes from window.Keys")
	case s.History > 0:
		d.Kind = store.Versioned
	case isWindowKey[K]():
		d.Err = fmt.Errorf("the Key of a window store comes from window.Keys")
	}
	return d
}

// specWindow fills in what a window store needs.
func (s Store[K, V]) specWindow(d *plan.StoreSpec, w window.Windows) {
	d.Kind = store.Window
	if err := window.Check(w); err != nil {
		d.Err = err
		return
	}
	if window.KindOf(w) == window.Sessions {
		d.Kind = store.Session
	}
	d.Windows = fmt.Sprint(w)
	d.Describe += ", windows " + d.Windows
	need := window.Keep(w)
	d.Retention = max(need, 1)
	if s.Retention > 0 {
		d.Retention = s.Retention.Milliseconds()
	}
	switch {
	case s.History > 0:
		d.Err = fmt.Errorf("it has windows and History: a window keeps its latest value alone")
	case d.Retention < need:
		d.Err = fmt.Errorf("its Retention %v is less than its windows need, %v", s.Retention, time.Duration(need)*time.Millisecond)
	}
	if window.EmitOnClose(w) {
		d.Retention++ // what closes right now can still be read
	}
}

// isWindowKey says whether K is a window.Key.
func isWindowKey[K any]() bool {
	t := reflect.TypeFor[K]()
	return t.PkgPath() == reflect.TypeFor[window.Windows]().PkgPath() && strings.HasPrefix(t.Name(), "Key[")
}

// Reader reads a store.
type Reader[K, V any] interface {
	Get(k K) (v V, ok bool, err error)
	// Row is Get with the row's time.
	Row(k K) (row Row[K, V], ok bool, err error)
	All() iter.Seq2[Row[K, V], error]
	// Range yields the rows from lo up to and including hi, in the order of their
	// encoded keys, as they are when it begins; a nil lo or hi is no bound. A failure
	// is yielded once, last.
	Range(lo, hi *K) iter.Seq2[Row[K, V], error]
	// Backward is Range from hi down to lo.
	Backward(lo, hi *K) iter.Seq2[Row[K, V], error]
	// ApproximateLen is about how many rows there are: rows that wait to be committed
	// and rows that were deleted may count twice or still.
	ApproximateLen() (int64, error)
}

// KeyValue is an open store. It belongs to one task and needs no lock. What it writes
// has the time of the record, or of the schedule, being processed.
type KeyValue[K, V any] interface {
	Reader[K, V]
	// Put writes a row. A nil v, where V has a nil, deletes it.
	Put(k K, v V) error
	PutIfAbsent(k K, v V) (old V, loaded bool, err error)
	Delete(k K) error
	// PutAt and DeleteAt write as of t. A store with History puts an old t among the
	// old versions, or drops what is older than that; other stores take it as the latest.
	PutAt(k K, v V, t time.Time) error
	DeleteAt(k K, t time.Time) error
}

// Row is one key and its value.
type Row[K, V any] struct {
	Key   K
	Value V
	Time  time.Time // of the record that wrote it
	Until time.Time // of an old version: when the next one, or a delete, took its place; else zero
}

// windows is what a reader of a window store can do besides.
type windows[K, V any] interface {
	// Windows yields the windows, of k alone unless all, that hold an instant of
	// [from, to]; by start, and then by key.
	Windows(k K, all bool, from, to time.Time) iter.Seq2[Row[K, V], error]
}

// versions is what a reader of a store with History can do besides.
type versions[K, V any] interface {
	GetAt(k K, t time.Time) (Row[K, V], bool, error)
	Versions(k K, from, to time.Time) iter.Seq2[Row[K, V], error]
}

// Windows yields the windows of k that hold any instant from from up to and including
// to, by start: with one instant, the windows that hold it. A zero time is no bound.
func Windows[K, V any](r Reader[window.Key[K], V], k K, from, to time.Time) iter.Seq2[Row[window.Key[K], V], error] {
	w, ok := r.(windows[window.Key[K], V])
	if !ok {
		return failed[window.Key[K], V](fmt.Errorf("state: Windows of a store without windows"))
	}
	return w.Windows(window.Key[K]{Key: k, Start: time.UnixMilli(0), End: time.UnixMilli(0)}, false, from, to)
}

// AllWindows is Windows of every key, by start and then by key.
func AllWindows[K, V any](r Reader[window.Key[K], V], from, to time.Time) iter.Seq2[Row[window.Key[K], V], error] {
	w, ok := r.(windows[window.Key[K], V])
	if !ok {
		return failed[window.Key[K], V](fmt.Errorf("state: AllWindows of a store without windows"))
	}
	return w.Windows(window.Key[K]{}, true, from, to)
}

// GetAt is the row that k had at t. The store needs History.
func GetAt[K, V any](r Reader[K, V], k K, t time.Time) (row Row[K, V], ok bool, err error) {
	v, has := r.(versions[K, V])
	if !has {
		return row, false, fmt.Errorf("state: GetAt of a store without History")
	}
	return v.GetAt(k, t)
}

// Versions yields the rows that k had from from up to and including to, oldest first. A
// zero time is no bound. The store needs History.
func Versions[K, V any](r Reader[K, V], k K, from, to time.Time) iter.Seq2[Row[K, V], error] {
	v, ok := r.(versions[K, V])
	if !ok {
		return failed[K, V](fmt.Errorf("state: Versions of a store without History"))
	}
	return v.Versions(k, from, to)
}

func failed[K, V any](err error) iter.Seq2[Row[K, V], error] {
	return func(yield func(Row[K, V], error) bool) { yield(Row[K, V]{}, err) }
}
