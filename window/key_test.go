package window_test

import (
	"encoding/hex"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

var day = window.Tumbling{Size: 24 * time.Hour}

// at is the key of the window of day that starts at start, in milliseconds.
func at[K any](key K, start int64) window.Key[K] {
	return window.Key[K]{Key: key, Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(start).UTC().Add(day.Size)}
}

// splitter is the Splitter that Keys must return.
func splitter[K any](t *testing.T, s serde.Serde[window.Key[K]]) window.Splitter[window.Key[K]] {
	t.Helper()
	sp, ok := s.(window.Splitter[window.Key[K]])
	require.True(t, ok)
	return sp
}

// The bytes are what TimeWindowedSerializer of Kafka Streams 4.3.1 gave.
func TestKeysAreKafkaStreams(t *testing.T) {
	keys := window.Keys(serde.String, day)
	for _, c := range []struct {
		key   window.Key[string]
		bytes string
	}{
		{at("EUR", 0), "4555520000000000000000"},
		{at("EUR", 1763942400000), "4555520000019ab3290000"},
		{at("", 1763942400000), "0000019ab3290000"},
		{at("é", 0), "c3a90000000000000000"},
	} {
		data, err := keys.Append(nil, c.key)
		require.NoError(t, err)
		require.Equal(t, c.bytes, hex.EncodeToString(data))
		back, err := keys.Decode(data)
		require.NoError(t, err)
		require.True(t, c.key == back, "%v read as %v", c.key, back)
	}

	data, err := window.Keys(serde.Int64, day).Append(nil, at(int64(7), 5))
	require.NoError(t, err)
	require.Equal(t, "00000000000000070000000000000005", hex.EncodeToString(data))
}

func TestKeysOfTheLastTimeEndWithIt(t *testing.T) {
	data, err := hex.DecodeString("4555527ffffffffffffffe")
	require.NoError(t, err)
	k, err := window.Keys(serde.String, day).Decode(data)
	require.NoError(t, err)
	require.Equal(t, int64(math.MaxInt64-1), k.Start.UnixMilli())
	require.Equal(t, int64(math.MaxInt64), k.End.UnixMilli())
}

func TestSplitAndJoin(t *testing.T) {
	sp := splitter(t, window.Keys(serde.String, day))
	require.Equal(t, window.Windows(day), sp.Windows())

	key, start, _, err := sp.Split([]byte("before"), at("EUR", 86_400_000))
	require.NoError(t, err)
	require.Equal(t, "beforeEUR", string(key))
	require.Equal(t, int64(86_400_000), start)

	k, err := sp.Join(key[6:], start, 0)
	require.NoError(t, err)
	require.Equal(t, at("EUR", 86_400_000), k)
}

// The end is the windows' matter: what a key says of it is not written.
func TestEndFollowsFromStart(t *testing.T) {
	keys := window.Keys(serde.String, day)
	data, err := keys.Append(nil, window.Key[string]{Key: "EUR", Start: time.UnixMilli(0)})
	require.NoError(t, err)
	k, err := keys.Decode(data)
	require.NoError(t, err)
	require.Equal(t, at("EUR", 0), k)
}

func TestKeysRefuse(t *testing.T) {
	keys := window.Keys(serde.String, day)
	sp := splitter(t, keys)

	_, err := keys.Decode([]byte("1234567"))
	require.EqualError(t, err, "window: a windowed key takes at least 8 bytes, for its times, not 7: use the serde that the data was written with")
	_, err = keys.Decode([]byte("EUR\xff\xff\xff\xff\xff\xff\xff\xff"))
	require.ErrorContains(t, err, "window: a windowed key starts at 1969-12-31T23:59:59.999Z, and no window starts before 1970")
	_, err = keys.Append(nil, window.Key[string]{Key: "EUR"})
	require.ErrorContains(t, err, "starts at 0001-01-01T00:00:00Z")
	_, err = keys.Append(nil, at("EUR", -1))
	require.ErrorContains(t, err, "before 1970")
	_, _, _, err = sp.Split(nil, at("EUR", math.MinInt64))
	require.ErrorContains(t, err, "before 1970")
	_, err = sp.Join([]byte("EUR"), -1, 0)
	require.ErrorContains(t, err, "before 1970")
}

func TestKeysPassErrorsOfTheInnerSerdeOn(t *testing.T) {
	broken := errors.New("broken")
	keys := window.Keys(serde.Func(
		func(dst []byte, _ string) ([]byte, error) { return dst, broken },
		func([]byte) (string, error) { return "", broken },
	), day)
	_, err := keys.Append(nil, at("EUR", 0))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "window: encode the inner key: ")
	_, err = keys.Decode(make([]byte, 8))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "window: decode the inner key: ")
}

// The inner serde gets a slice that ends with the inner key: appending to it by mistake
// must not reach the start.
func TestInnerSerdeCannotReachTheStart(t *testing.T) {
	greedy := serde.Func(
		func(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil },
		func(data []byte) (string, error) { return string(append(data, '!')), nil },
	)
	data := append([]byte("EUR"), 0, 0, 0, 0, 0, 0, 0, 5)
	k, err := window.Keys(greedy, day).Decode(data)
	require.NoError(t, err)
	require.Equal(t, "EUR!", k.Key)
	require.Equal(t, "EUR\x00\x00\x00\x00\x00\x00\x00\x05", string(data))
}

func TestKeysOfWrongWindowsAlwaysFail(t *testing.T) {
	for _, w := range []window.Windows{nil, window.Hopping{Size: time.Hour}} {
		keys := window.Keys(serde.String, w)
		sp := splitter(t, keys)
		want := window.Check(w)
		require.Error(t, want)

		_, err := keys.Append(nil, at("EUR", 0))
		require.Equal(t, want, err)
		_, err = keys.Decode([]byte("EUR12345678"))
		require.Equal(t, want, err)
		_, _, _, err = sp.Split(nil, at("EUR", 0))
		require.Equal(t, want, err)
		_, err = sp.Join([]byte("EUR"), 0, 0)
		require.Equal(t, want, err)
		require.Equal(t, w, sp.Windows())
	}
}

func TestKeysOfNothingIsMissing(t *testing.T) {
	require.Nil(t, window.Keys[string](nil, day))
}

// Topologies name the windows twice, and a store may be described twice.
func TestKeysOfTheSameAreEqual(t *testing.T) {
	require.True(t, window.Keys(serde.String, day) == window.Keys(serde.String, day))
	require.False(t, window.Keys(serde.String, day) == window.Keys(serde.String, window.Tumbling{Size: time.Hour}))
}

func TestKeysDoNotAllocate(t *testing.T) {
	keys := window.Keys(serde.String, day)
	sp := splitter(t, keys)
	numbers := window.Keys(serde.Int64, day)
	dst := make([]byte, 0, 64)
	k, n := at("EUR", 1763942400000), at(int64(7), 1763942400000)
	data, err := numbers.Append(nil, n)
	require.NoError(t, err)

	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = keys.Append(dst, k) }), "Append")
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _, _, _ = sp.Split(dst, k) }), "Split")
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = numbers.Append(dst, n) }), "Append of a number")
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = numbers.Decode(data) }), "Decode of a number")
}

func FuzzKeys(f *testing.F) {
	f.Add("EUR", int64(0))
	f.Add("", int64(math.MaxInt64))
	f.Add("EUR", int64(-1))
	keys := window.Keys(serde.String, day)
	sp := keys.(window.Splitter[window.Key[string]])
	f.Fuzz(func(t *testing.T, key string, start int64) {
		k := window.Key[string]{Key: key, Start: time.UnixMilli(start).UTC()}
		data, err := keys.Append(nil, k)
		require.Equal(t, start < 0, err != nil)
		if err != nil {
			return
		}
		back, err := keys.Decode(data)
		require.NoError(t, err)
		require.Equal(t, key, back.Key)
		require.Equal(t, k.Start, back.Start)
		require.True(t, back.End.After(back.Start) || start == math.MaxInt64)

		inner, splitStart, _, err := sp.Split(nil, back)
		require.NoError(t, err)
		require.Equal(t, data[:len(data)-8], inner)
		joined, err := sp.Join(inner, splitStart, 0)
		require.NoError(t, err)
		require.Equal(t, back, joined)
	})
}

// A session's key says when it ends, too. Neither time is before 1970, nor the end before
// the start.
func FuzzSessionKeys(f *testing.F) {
	f.Add("EUR", int64(0), int64(0))
	f.Add("", int64(5), int64(math.MaxInt64))
	f.Add("EUR", int64(-1), int64(0))
	f.Add("EUR", int64(1), int64(0))
	keys := window.Keys(serde.String, window.Session{Gap: time.Minute})
	sp := keys.(window.Splitter[window.Key[string]])
	f.Fuzz(func(t *testing.T, key string, start, end int64) {
		k := window.Key[string]{Key: key, Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(end).UTC()}
		data, err := keys.Append(nil, k)
		require.Equal(t, start < 0 || end < start, err != nil)
		if err != nil {
			return
		}
		back, err := keys.Decode(data)
		require.NoError(t, err)
		require.Equal(t, k, back)

		inner, from, to, err := sp.Split(nil, back)
		require.NoError(t, err)
		require.Equal(t, []int64{start, end}, []int64{from, to})
		joined, err := sp.Join(inner, from, to)
		require.NoError(t, err)
		require.Equal(t, k, joined)
	})
}

func FuzzKeysDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("EUR12345678"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02")) // ends before it starts
	keys := window.Keys(serde.Bytes, day)
	numbers := window.Keys(serde.Int64, day)
	sessions := window.Keys(serde.Bytes, window.Session{Gap: time.Minute})
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := sessions.Decode(data); err == nil {
			back, err := sessions.Append(nil, k)
			require.NoError(t, err)
			require.Equal(t, data, back)
		}
		if k, err := keys.Decode(data); err == nil {
			back, err := keys.Append(nil, k)
			require.NoError(t, err)
			require.Equal(t, data, back)
		}
		if k, err := numbers.Decode(data); err == nil {
			back, err := numbers.Append(nil, k)
			require.NoError(t, err)
			require.Equal(t, data, back)
		}
	})
}
