package ktable

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/serde"
)

func roundTrips[T any](f *testing.F, s serde.Serde[T], seeds ...T) {
	for _, v := range seeds {
		b, err := s.Append(nil, v)
		require.NoError(f, err)
		back, err := s.Decode(b)
		require.NoError(f, err)
		require.Equal(f, v, back)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := s.Decode(data)
		if err != nil {
			return
		}
		b, err := s.Append(nil, v)
		require.NoError(t, err)
		back, err := s.Decode(b)
		require.NoError(t, err)
		require.Equal(t, v, back)
	})
}

var hash = bytes.Repeat([]byte{7}, hashSize)

func FuzzSubscriptions(f *testing.F) {
	roundTrips(f, subscriptions{}, subscription{Key: []byte{}}, subscription{Do: forget, Hash: hash, Key: []byte("k"), Partition: 3})
}

func FuzzResponses(f *testing.F) {
	roundTrips(f, responses{}, response{}, response{Hash: hash, Partition: 1, Has: true, Value: []byte{}}, response{Has: true, Value: []byte("v")})
}

func FuzzSubscribers(f *testing.F) {
	roundTrips(f, subscribers{}, subscriber{[]byte{}, []byte{}}, subscriber{[]byte("f"), []byte("k")})
}
