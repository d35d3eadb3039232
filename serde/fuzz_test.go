package serde_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/stretchr/testify/require"
)

// roundTrip encodes v behind other bytes and expects to read it back.
func roundTrip[T any](t *testing.T, s serde.Serde[T], v T) {
	t.Helper()
	data, err := s.Append([]byte{0xaa}, v)
	require.NoError(t, err)
	require.Equal(t, byte(0xaa), data[0])
	back, err := s.Decode(data[1:])
	require.NoError(t, err)
	require.Equal(t, v, back)
}

// stable decodes data. If that works, the value's own bytes must stand for the same value.
func stable[T any](t *testing.T, s serde.Serde[T], data []byte) {
	t.Helper()
	v, err := s.Decode(data)
	if err != nil {
		require.NotEmpty(t, err.Error())
		return
	}
	once, err := s.Append(nil, v)
	require.NoError(t, err)
	back, err := s.Decode(once)
	require.NoError(t, err)
	twice, err := s.Append(nil, back)
	require.NoError(t, err)
	require.Equal(t, once, twice)
}

func stableInAll(t *testing.T, data []byte) {
	t.Helper()
	stable(t, serde.String, data)
	stable(t, serde.Bytes, data)
	stable(t, serde.Int64, data)
	stable(t, serde.Int32, data)
	stable(t, serde.Float64, data)
	stable(t, serde.Bool, data)
	stable(t, serde.Time, data)
	stable(t, serde.UUID, data)
	stable(t, serde.JSON[order](), data)
	stable(t, serde.JSON[any](), data)
	stable(t, serde.Nullable(serde.Int64), data)
	stable(t, serde.Nullable(serde.JSON[order]()), data)
}

func TestRandomBytesInAllSerdes(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		data := make([]byte, random.IntN(40))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		stableInAll(t, data)
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range []string{"", "\x01", "1234", "12345678", string(uuidText), `{"id":"a","price":1,"tags":["x"]}`, "null", "[1e400]"} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) { stableInAll(t, data) })
}

func FuzzString(f *testing.F) {
	f.Add("")
	f.Add("\xff€")
	f.Fuzz(func(t *testing.T, v string) { roundTrip(t, serde.String, v) })
}

func FuzzBytes(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 255})
	f.Fuzz(func(t *testing.T, v []byte) { roundTrip(t, serde.Bytes, v) })
}

func FuzzInt64(f *testing.F) {
	f.Add(int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, v int64) {
		roundTrip(t, serde.Int64, v)
		roundTrip(t, serde.Nullable(serde.Int64), &v)
	})
}

func FuzzInt32(f *testing.F) {
	f.Add(int32(math.MinInt32))
	f.Fuzz(func(t *testing.T, v int32) { roundTrip(t, serde.Int32, v) })
}

func FuzzFloat64(f *testing.F) {
	f.Add(uint64(0x7ff0000000000001))
	f.Add(uint64(1 << 63))
	f.Fuzz(func(t *testing.T, bits uint64) {
		data, err := serde.Float64.Append(nil, math.Float64frombits(bits))
		require.NoError(t, err)
		back, err := serde.Float64.Decode(data)
		require.NoError(t, err)
		if math.IsNaN(math.Float64frombits(bits)) {
			bits = 0x7ff8000000000000
		}
		require.Equal(t, bits, math.Float64bits(back))
	})
}

func FuzzBool(f *testing.F) {
	f.Add(true)
	f.Fuzz(func(t *testing.T, v bool) { roundTrip(t, serde.Bool, v) })
}

func FuzzTime(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(int64(math.MinInt64), int64(999_999_999))
	f.Add(int64(math.MaxInt64)/1000, int64(807_999_999))
	f.Fuzz(func(t *testing.T, seconds, nanoseconds int64) {
		v := time.Unix(seconds, nanoseconds)
		held := !v.Before(time.UnixMilli(math.MinInt64)) && v.Before(time.UnixMilli(math.MaxInt64).Add(time.Millisecond))
		data, err := serde.Time.Append(nil, v)
		require.Equal(t, held, err == nil, "%v: %v", v, err)
		if err != nil {
			return
		}
		back, err := serde.Time.Decode(data)
		require.NoError(t, err)
		cut := v.Sub(back)
		require.True(t, 0 <= cut && cut < time.Millisecond, "%v read as %v", v, back)
	})
}

func FuzzUUID(f *testing.F) {
	f.Add(uuidText)
	f.Fuzz(func(t *testing.T, random []byte) {
		var v [16]byte
		copy(v[:], random)
		roundTrip(t, serde.UUID, v)
	})
}

func FuzzJSON(f *testing.F) {
	f.Add("a<b\u2028", 1.5, "tag")
	f.Fuzz(func(t *testing.T, id string, price float64, tag string) {
		if !utf8.ValidString(id) || !utf8.ValidString(tag) || math.IsNaN(price) || math.IsInf(price, 0) {
			return // JSON holds no such text or number
		}
		roundTrip(t, serde.JSON[order](), order{ID: id, Price: price, Tags: []string{tag}})
	})
}
