package kstream

import (
	"encoding/binary"
	"fmt"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/window"
)

// unmatched are the records of a join that have met none, in the order in which they may
// have to be sent.
type unmatched[K, R any] struct {
	rows  *typed.Table[lonely[K], [][]byte]
	clock *plan.Clock
	first *plan.Clock // no record that waits is earlier; -1: not known
	// closes says when a record is sent, and send sends it.
	closes func(left bool, ms int64) int64
	grace  int64
	send   func(k K, left bool, value []byte, m *plan.Meta) error
}

// unmatched describes their store.
func (on Joined[K, V, W]) unmatched() state.Store[lonely[K], [][]byte] {
	return state.Store[lonely[K], [][]byte]{Name: on.Name + "-unmatched", Key: lonelyKeys[K]{on.Key}, Value: values{}}
}

// emitUnmatched opens their store, if the join has one.
func emitUnmatched[K, V, W, R any](on Joined[K, V, W], f pairing[V, W, R], window window.Join) func(*graph.Wiring, *graph.Step, graph.Handler[K, R]) *unmatched[K, R] {
	return func(w *graph.Wiring, s *graph.Step, next graph.Handler[K, R]) *unmatched[K, R] {
		d := on.unmatched()
		st := s.Find(d.Name)
		if st == nil {
			return nil
		}
		grace := window.Grace.Milliseconds()
		return &unmatched[K, R]{
			rows: graph.Open(w, st, d), clock: clockOfJoin(w, on.Name), first: w.Clock(on.Name + "/first"), grace: grace,
			closes: func(left bool, ms int64) int64 {
				if left {
					return ms + window.After.Milliseconds() + grace
				}
				return ms + window.Before.Milliseconds() + grace
			},
			send: func(k K, left bool, value []byte, m *plan.Meta) error {
				var v V
				var x W
				var err error
				if left {
					v, err = on.Left.Decode(value)
				} else {
					x, err = on.Right.Decode(value)
				}
				if err != nil {
					return fmt.Errorf("store %q: decode a value: %w", d.Name, err)
				}
				return next(k, f(v, left, x, !left), m)
			},
		}
	}
}

// add makes a record wait.
func (u *unmatched[K, R]) add(k K, ms int64, left bool, value []byte) error {
	key := lonely[K]{ms, left, k}
	list, _, _, err := u.rows.Load(key)
	if err != nil {
		return err
	}
	if u.first.Time < 0 {
		err = u.begin()
	}
	if err != nil {
		return err
	}
	if u.first.Time >= 0 {
		u.first.Time = min(u.first.Time, ms)
	}
	_, _, err = u.rows.Save(key, append(list, value), ms)
	return err
}

// begin knows that no record is the first if none waits. So a look is due when one of Kafka
// Streams is, even if the first record to wait is late.
func (u *unmatched[K, R]) begin() error {
	for _, err := range u.rows.All() {
		return err
	}
	u.first.Time = forever
	return nil
}

// met says that the records of a side with a key and a time wait no more.
func (u *unmatched[K, R]) met(k K, ms int64, left bool) error {
	key := lonely[K]{ms, left, k}
	_, _, waits, err := u.rows.Load(key)
	if err != nil || !waits {
		return err
	}
	_, _, err = u.rows.Remove(key, ms)
	return err
}

// close sends the records whose windows have closed: by time, the right ones of a time
// before the left ones, then by key. They have the headers of the record that closed them.
// After is how much later than the record in hand its partners may be: only when none that
// waits can be so early is nothing looked for.
func (u *unmatched[K, R]) close(m *plan.Meta, after int64) error {
	if u.first.Time >= 0 && u.first.Time+after+u.grace >= u.clock.Time {
		return nil
	}
	u.first.Time = forever
	leftOpen, rightOpen := false, false
	for row, err := range u.rows.All() {
		if err != nil {
			return err
		}
		u.first.Time = row.Key.ms
		if leftOpen && rightOpen {
			break
		}
		if u.closes(row.Key.left, row.Key.ms) >= u.clock.Time {
			leftOpen, rightOpen = leftOpen || row.Key.left, rightOpen || !row.Key.left
			if leftOpen && rightOpen && len(row.Value) > 1 {
				break // at the second of them, which Kafka Streams has apart
			}
			continue
		}
		for _, value := range row.Value {
			if err := u.send(row.Key.key, row.Key.left, value, &plan.Meta{Time: row.Key.ms, Headers: m.Headers}); err != nil {
				return err
			}
		}
		if _, _, err := u.rows.Remove(row.Key, row.Key.ms); err != nil {
			return err
		}
	}
	return nil
}

// forever is later than any time, and can be added to.
const forever = 1 << 60

// lonely is the key of records that have met none.
type lonely[K any] struct {
	ms   int64
	left bool
	key  K
}

// lonelyKeys orders by time, right before left, then key.
type lonelyKeys[K any] struct{ key serde.Serde[K] }

func (s lonelyKeys[K]) Append(dst []byte, k lonely[K]) ([]byte, error) {
	dst = binary.BigEndian.AppendUint64(dst, uint64(k.ms))
	if k.left {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	return s.key.Append(dst, k.key)
}

func (s lonelyKeys[K]) Decode(data []byte) (k lonely[K], err error) {
	if len(data) < 9 {
		return k, fmt.Errorf("kstream: %d bytes are no key of a join", len(data))
	}
	k.ms, k.left = int64(binary.BigEndian.Uint64(data)), data[8] == 1
	k.key, err = s.key.Decode(data[9:])
	return k, err
}

// values encodes a list of encoded values.
type values struct{}

func (values) Append(dst []byte, list [][]byte) ([]byte, error) {
	for _, v := range list {
		dst = append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	}
	return dst, nil
}

func (values) Decode(data []byte) (list [][]byte, err error) {
	for len(data) > 0 {
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return nil, fmt.Errorf("kstream: a list of values is cut short")
		}
		list = append(list, append([]byte{}, data[n:n+int(size)]...))
		data = data[n+int(size):]
	}
	return list, nil
}
