package graph

import (
	"bytes"
	"cmp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/serde"
)

// What was read is written again as the same bytes, or refused; nothing panics.
func again[T any](t *testing.T, s serde.Serde[T], data []byte) {
	t.Helper()
	v, err := s.Decode(data)
	if err != nil {
		return
	}
	b, err := s.Append(nil, v)
	require.NoError(t, err)
	w, err := s.Decode(b)
	require.NoError(t, err)
	require.Equal(t, v, w)
}

func FuzzChanges(f *testing.F) {
	s := Changes[string]{Value: serde.String}
	for _, c := range []Change[string]{
		{}, {New: "a", HasNew: true}, {Old: "b", HasOld: true}, {New: "", HasNew: true, Old: "b", HasOld: true},
	} {
		b, err := s.Append(nil, c)
		require.NoError(f, err)
		back, err := s.Decode(b)
		require.NoError(f, err)
		require.Equal(f, c, back)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) { again(t, s, data) })
}

// Kafka Streams' bytes, of its ChangedSerializer.
func TestChangesAreThoseOfKafkaStreams(t *testing.T) {
	s := Changes[string]{Value: serde.String}
	for want, c := range map[string]Change[string]{
		"old\x00":         {Old: "old", HasOld: true},
		"new\x01":         {New: "new", HasNew: true},
		"\x04newsold\x02": {New: "news", HasNew: true, Old: "old", HasOld: true},
		"\x00\x02":        {HasNew: true, HasOld: true},
	} {
		b, err := s.Append(nil, c)
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
}

func FuzzKeptValues(f *testing.F) {
	s := KeptValues[string]{Value: serde.String}
	for _, k := range []Kept[string]{
		{}, {Value: "v", Time: -5}, {Value: "v", Time: 5, Headers: []kafka.Header{{Key: "h"}, {Key: "i", Value: []byte{}}, {Key: "", Value: []byte("x")}}},
	} {
		b, err := s.Append(nil, k)
		require.NoError(f, err)
		back, err := s.Decode(b)
		require.NoError(f, err)
		require.Equal(f, k, back)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) { again(t, s, data) })
}

// Keys of what waits are ordered by time first, as their bytes are, and those of one key and
// time by number.
func FuzzWaitingKeys(f *testing.F) {
	f.Add(int64(1), uint32(2), "a", int64(-1), uint32(0))
	f.Add(int64(1), uint32(2), "a", int64(1), uint32(2))
	s := WaitingKeys[string]{Key: serde.String}
	f.Fuzz(func(t *testing.T, at int64, n uint32, k string, at2 int64, n2 uint32) {
		a, err := s.Append(nil, Waiting[string]{At: at, Number: n, Key: k})
		require.NoError(t, err)
		b, err := s.Append(nil, Waiting[string]{At: at2, Number: n2, Key: k})
		require.NoError(t, err)
		require.Equal(t, cmp.Or(cmp.Compare(at, at2), cmp.Compare(n, n2)), bytes.Compare(a, b))
		back, err := s.Decode(a)
		require.NoError(t, err)
		require.Equal(t, Waiting[string]{At: at, Number: n, Key: k}, back)
		again(t, s, a[:len(a)/2])
	})
}
