package typed

import (
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
)

// Table is an open store of K and V. It implements state.KeyValue. It belongs to one
// goroutine, since it encodes into buffers of its own.
type Table[K, V any] struct {
	name   string
	s      *store.Store
	kind   store.Kind
	key    serde.Serde[K]
	value  serde.Serde[V]
	split  window.Splitter[K] // of a window store
	size   int64              // of a window, ms
	nilKey func(K) bool
	nilVal func(V) bool
	now    func() int64 // the time of what is written

	kbuf, inner, vbuf []byte
}

var _ state.KeyValue[string, int] = (*Table[string, int])(nil)

// New opens a store as it is described. Now is the time of what Put and Delete write.
func New[K, V any](d state.Store[K, V], s *store.Store, now func() int64) *Table[K, V] {
	t := &Table[K, V]{name: d.Name, s: s, kind: d.Spec().Kind, key: d.Key, value: d.Value, nilKey: Nil[K](), nilVal: Nil[V](), now: now}
	if w, ok := d.Key.(window.Splitter[K]); ok {
		t.split, t.size = w, window.Size(w.Windows())
	}
	return t
}

// rowKey encodes k into a buffer that the next call uses again.
func (t *Table[K, V]) rowKey(k K) (_ []byte, err error) {
	switch {
	case t.nilKey != nil && t.nilKey(k):
		return nil, fmt.Errorf("store %q: a nil key", t.name)
	case t.split != nil:
		var start, end int64
		if t.inner, start, end, err = t.split.Split(t.inner[:0], k); err != nil {
			break
		}
		if t.kind == store.Session {
			t.kbuf = store.AppendSessionKey(t.kbuf[:0], t.inner, end, start)
		} else {
			t.kbuf = store.AppendWindowKey(t.kbuf[:0], t.inner, start)
		}
	default:
		t.kbuf, err = t.key.Append(t.kbuf[:0], k)
	}
	if err != nil {
		return nil, fmt.Errorf("store %q: encode a key: %w", t.name, err)
	}
	return t.kbuf, nil
}

// row decodes a row.
func (t *Table[K, V]) row(r store.Row) (row state.Row[K, V], err error) {
	switch {
	case t.kind == store.Session:
		key, end, start := store.SplitSessionKey(r.Key)
		row.Key, err = t.split.Join(key, start, end)
	case t.split != nil:
		key, start := store.SplitWindowKey(r.Key)
		row.Key, err = t.split.Join(key, start, 0)
	default:
		row.Key, err = t.key.Decode(r.Key)
	}
	if err != nil {
		return row, fmt.Errorf("store %q: decode a key: %w", t.name, err)
	}
	return t.rowOf(row.Key, r)
}

// rowOf decodes a row whose key is known.
func (t *Table[K, V]) rowOf(k K, r store.Row) (row state.Row[K, V], err error) {
	row.Key, row.Time = k, time.UnixMilli(r.Time).UTC()
	if t.kind == store.Versioned && r.Until != math.MaxInt64 {
		row.Until = time.UnixMilli(r.Until).UTC()
	}
	if row.Value, err = t.value.Decode(r.Value); err != nil {
		return row, fmt.Errorf("store %q: decode a value: %w", t.name, err)
	}
	return row, nil
}

// Load is Get with the row's time in milliseconds.
func (t *Table[K, V]) Load(k K) (v V, ms int64, ok bool, err error) {
	key, err := t.rowKey(k)
	if err != nil {
		return v, 0, false, err
	}
	r, ok, err := t.s.Get(key)
	if err != nil || !ok {
		return v, 0, false, err
	}
	if v, err = t.value.Decode(r.Value); err != nil {
		return v, 0, false, fmt.Errorf("store %q: decode a value: %w", t.name, err)
	}
	return v, r.Time, true, nil
}

// Has says whether there is a row.
func (t *Table[K, V]) Has(k K) (bool, error) {
	key, err := t.rowKey(k)
	if err != nil {
		return false, err
	}
	_, ok, err := t.s.Get(key)
	return ok, err
}

// LoadAt is Load as of a time, where the store has History.
func (t *Table[K, V]) LoadAt(k K, at int64) (v V, ms int64, ok bool, err error) {
	if t.kind != store.Versioned {
		return t.Load(k)
	}
	row, ok, err := t.at(k, at)
	return row.Value, row.Time.UnixMilli(), ok, err
}

// Save writes a row as of a time; a nil v deletes it. Of a store with History it says
// whether the row is the latest of its key, and whether it was too old to keep; of a
// window store, whether its window is out of retention.
func (t *Table[K, V]) Save(k K, v V, ms int64) (latest, dropped bool, err error) {
	key, err := t.rowKey(k)
	if err != nil {
		return false, false, err
	}
	var value []byte
	if t.nilVal == nil || !t.nilVal(v) {
		if t.vbuf, err = t.value.Append(t.vbuf[:0], v); err != nil {
			return false, false, fmt.Errorf("store %q: encode a value: %w", t.name, err)
		}
		value = t.vbuf
		if value == nil {
			value = []byte{}
		}
	}
	return t.write(key, value, ms)
}

// Remove deletes a row as of a time, like Save.
func (t *Table[K, V]) Remove(k K, ms int64) (latest, dropped bool, err error) {
	key, err := t.rowKey(k)
	if err != nil {
		return false, false, err
	}
	return t.write(key, nil, ms)
}

func (t *Table[K, V]) write(key, value []byte, ms int64) (latest, dropped bool, err error) {
	if t.kind == store.Versioned {
		return t.s.PutVersion(key, value, ms)
	}
	dropped, err = t.s.Put(key, value, ms)
	return true, dropped, err
}

// Get implements state.Reader.
func (t *Table[K, V]) Get(k K) (V, bool, error) {
	v, _, ok, err := t.Load(k)
	return v, ok, err
}

// Row implements state.Reader.
func (t *Table[K, V]) Row(k K) (row state.Row[K, V], ok bool, err error) {
	key, err := t.rowKey(k)
	if err != nil {
		return row, false, err
	}
	r, ok, err := t.s.Get(key)
	if err != nil || !ok {
		return row, false, err
	}
	row, err = t.rowOf(k, r)
	return row, err == nil, err
}

// Put implements state.KeyValue.
func (t *Table[K, V]) Put(k K, v V) error {
	_, _, err := t.Save(k, v, t.now())
	return err
}

// PutIfAbsent implements state.KeyValue.
func (t *Table[K, V]) PutIfAbsent(k K, v V) (old V, loaded bool, err error) {
	if old, loaded, err = t.Get(k); loaded || err != nil {
		return old, loaded, err
	}
	return old, false, t.Put(k, v)
}

// Delete implements state.KeyValue.
func (t *Table[K, V]) Delete(k K) error {
	_, _, err := t.Remove(k, t.now())
	return err
}

// PutAt implements state.KeyValue.
func (t *Table[K, V]) PutAt(k K, v V, at time.Time) error {
	_, _, err := t.Save(k, v, at.UnixMilli())
	return err
}

// DeleteAt implements state.KeyValue.
func (t *Table[K, V]) DeleteAt(k K, at time.Time) error {
	_, _, err := t.Remove(k, at.UnixMilli())
	return err
}

// ApproximateLen implements state.Reader.
func (t *Table[K, V]) ApproximateLen() (int64, error) { return t.s.Len() }

// All implements state.Reader.
func (t *Table[K, V]) All() iter.Seq2[state.Row[K, V], error] { return t.scan(t.query()) }

// Range implements state.Reader.
func (t *Table[K, V]) Range(lo, hi *K) iter.Seq2[state.Row[K, V], error] {
	return t.between(lo, hi, false)
}

// Backward implements state.Reader.
func (t *Table[K, V]) Backward(lo, hi *K) iter.Seq2[state.Row[K, V], error] {
	return t.between(lo, hi, true)
}

func (t *Table[K, V]) query() store.Query {
	return store.Query{Start: math.MinInt64, End: math.MaxInt64}
}

func (t *Table[K, V]) between(lo, hi *K, backward bool) iter.Seq2[state.Row[K, V], error] {
	q := t.query()
	q.Backward = backward
	for _, bound := range []struct {
		k  *K
		to *[]byte
	}{{lo, &q.From}, {hi, &q.To}} {
		if bound.k == nil {
			continue
		}
		key, err := t.rowKey(*bound.k)
		if err != nil {
			return func(yield func(state.Row[K, V], error) bool) { yield(state.Row[K, V]{}, err) }
		}
		*bound.to = append([]byte{}, key...)
	}
	return t.scan(q)
}

func (t *Table[K, V]) scan(q store.Query) iter.Seq2[state.Row[K, V], error] {
	return t.decoded(t.s.Scan(q))
}

// decoded yields rows with their types; a failure once, last.
func (t *Table[K, V]) decoded(rows iter.Seq2[store.Row, error]) iter.Seq2[state.Row[K, V], error] {
	return func(yield func(state.Row[K, V], error) bool) {
		for r, err := range rows {
			var row state.Row[K, V]
			if err == nil {
				row, err = t.row(r)
			}
			if err != nil {
				yield(state.Row[K, V]{}, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}
