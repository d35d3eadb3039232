package serde_test

import (
	"encoding/hex"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/stretchr/testify/require"
)

// encoded is a value and its bytes in hexadecimal.
type encoded[T any] struct {
	value T
	bytes string
}

// checkBytes encodes each value to its bytes and reads it back.
func checkBytes[T any](t *testing.T, s serde.Serde[T], cases []encoded[T]) {
	t.Helper()
	for _, c := range cases {
		got, err := s.Append([]byte("before"), c.value)
		require.NoError(t, err, "%v", c.value)
		require.Equal(t, "before", string(got[:6]), "%v", c.value)
		require.Equal(t, c.bytes, hex.EncodeToString(got[6:]), "%v", c.value)

		back, err := s.Decode(got[6:])
		require.NoError(t, err, "%v", c.value)
		require.Equal(t, c.value, back)
	}
}

// The bytes are what the serializers of Kafka's Java client 4.3.1 gave.
func TestBytesAreJavas(t *testing.T) {
	checkBytes(t, serde.String, []encoded[string]{
		{"", ""},
		{"hé 😀\x00", "68c3a920f09f988000"},
	})
	checkBytes(t, serde.Bytes, []encoded[[]byte]{
		{[]byte{}, ""},
		{[]byte{0, 255}, "00ff"},
	})
	checkBytes(t, serde.Int64, []encoded[int64]{
		{0, "0000000000000000"},
		{1, "0000000000000001"},
		{-1, "ffffffffffffffff"},
		{math.MinInt64, "8000000000000000"},
		{math.MaxInt64, "7fffffffffffffff"},
		{1763942400000, "0000019ab3290000"},
	})
	checkBytes(t, serde.Int32, []encoded[int32]{
		{0, "00000000"},
		{1, "00000001"},
		{-1, "ffffffff"},
		{math.MinInt32, "80000000"},
		{math.MaxInt32, "7fffffff"},
	})
	checkBytes(t, serde.Float64, []encoded[float64]{
		{0, "0000000000000000"},
		{1.5, "3ff8000000000000"},
		{math.Copysign(0, -1), "8000000000000000"},
		{math.Inf(-1), "fff0000000000000"},
	})
	checkBytes(t, serde.Bool, []encoded[bool]{{false, "00"}, {true, "01"}})
	checkBytes(t, serde.UUID, []encoded[[16]byte]{{
		[16]byte{0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0, 0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6},
		"66383164346661652d376465632d313164302d613736352d303061306339316536626636",
	}})
}

func TestTimeIsItsMilliseconds(t *testing.T) {
	checkBytes(t, serde.Time, []encoded[time.Time]{
		{time.UnixMilli(0).UTC(), "0000000000000000"},
		{time.Date(2025, 11, 24, 0, 0, 0, 0, time.UTC), "0000019ab3290000"},
		{time.UnixMilli(-1).UTC(), "ffffffffffffffff"},
		{time.Time{}, "ffffc77cedd32800"},
		{time.UnixMilli(math.MinInt64).UTC(), "8000000000000000"},
		{time.UnixMilli(math.MaxInt64).UTC(), "7fffffffffffffff"},
	})
}

func TestTimeCutsTowardsThePast(t *testing.T) {
	for _, c := range []struct{ nanoseconds, milliseconds int64 }{{1_999_999, 1}, {-1, -1}, {-1_000_000, -1}, {-1_000_001, -2}} {
		data, err := serde.Time.Append(nil, time.Unix(0, c.nanoseconds))
		require.NoError(t, err)
		got, err := serde.Int64.Decode(data)
		require.NoError(t, err)
		require.Equal(t, c.milliseconds, got, "%d ns", c.nanoseconds)
	}
}

func TestTimeRefusesWhatMillisecondsCannotHold(t *testing.T) {
	latest := time.UnixMilli(math.MaxInt64)
	for _, far := range []time.Time{
		latest.Add(time.Millisecond), time.UnixMilli(math.MinInt64).Add(-1), time.Unix(1<<62, 0), time.Unix(math.MinInt64, 0),
	} {
		_, err := serde.Time.Append(nil, far)
		require.ErrorContains(t, err, "serde: Time cannot hold the year")
	}
	_, err := serde.Time.Append(nil, latest.Add(time.Millisecond-1))
	require.NoError(t, err)
}

func TestAllNaNsAreOneKey(t *testing.T) {
	for _, bits := range []uint64{0x7ff8000000000000, 0x7ff8000000000001, 0xfff8000000000000, 0x7ff0000000000001} {
		data, err := serde.Float64.Append(nil, math.Float64frombits(bits))
		require.NoError(t, err)
		require.Equal(t, "7ff8000000000000", hex.EncodeToString(data), "%x", bits)
	}
}

func TestUUIDReadsUpperCase(t *testing.T) {
	lower, err := serde.UUID.Decode([]byte("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"))
	require.NoError(t, err)
	upper, err := serde.UUID.Decode([]byte("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"))
	require.NoError(t, err)
	require.Equal(t, lower, upper)
	require.NotZero(t, lower)
}

// decodeError erases a serde's type, so that all can be in one table.
func decodeError[T any](s serde.Serde[T]) func([]byte) error {
	return func(data []byte) error {
		_, err := s.Decode(data)
		return err
	}
}

func TestDecodeSaysWhatItExpected(t *testing.T) {
	for _, c := range []struct {
		decode func([]byte) error
		data   string
		want   string
	}{
		{decodeError(serde.Int64), "12345", "serde: Int64 takes 8 bytes, not 5: use the serde that the data was written with"},
		{decodeError(serde.Int64), "123456789", "serde: Int64 takes 8 bytes, not 9"},
		{decodeError(serde.Int64), "", "serde: Int64 takes 8 bytes, not 0"},
		{decodeError(serde.Int32), "12345678", "serde: Int32 takes 4 bytes, not 8"},
		{decodeError(serde.Float64), "1234", "serde: Float64 takes 8 bytes, not 4"},
		{decodeError(serde.Time), "1234", "serde: Time takes 8 bytes, not 4"},
		{decodeError(serde.Bool), "", "serde: Bool takes one byte, not 0"},
		{decodeError(serde.Bool), "\x02", "serde: Bool takes the byte 0 or 1, not 2"},
		{decodeError(serde.UUID), "0123456789abcdef", "serde: UUID takes 36 bytes, not 16"},
		{decodeError(serde.UUID), "f81d4fae-7dec-11d0-a765+00a0c91e6bf6", `not "f81d4fae-7dec-11d0-a765+00a0c91e6bf6"`},
		{decodeError(serde.UUID), "f81d4fae-7dec-11d0-a765-00a0c91e6bfg", "serde: UUID takes text such as"},
		{decodeError(serde.UUID), "f81d4fae-7dec-11d0-a765-00a0c91e6b-6", "serde: UUID takes text such as"},
		{decodeError(serde.JSON[order]()), "{", "serde: decode serde_test.order from JSON: unexpected end of JSON input"},
		{decodeError(serde.JSON[order]()), "", "serde: decode serde_test.order from JSON"},
		{decodeError(serde.JSON[order]()), "{} {}", "after top-level value"},
		{decodeError(serde.Nullable(serde.Int64)), "1", "serde: Int64 takes 8 bytes, not 1"},
	} {
		require.ErrorContains(t, c.decode([]byte(c.data)), c.want, "%q", c.data)
	}
}

func TestEmptyIsNotNull(t *testing.T) {
	text, err := serde.String.Append(nil, "")
	require.NoError(t, err)
	require.Equal(t, []byte{}, text)

	data, err := serde.Bytes.Append(nil, nil)
	require.NoError(t, err)
	require.Equal(t, []byte{}, data)

	value, err := serde.Bytes.Decode(nil)
	require.NoError(t, err)
	require.Equal(t, []byte{}, value)
}

func TestBytesCopies(t *testing.T) {
	data := []byte("abc")
	value, err := serde.Bytes.Decode(data)
	require.NoError(t, err)
	data[0] = 'x'
	require.Equal(t, "abc", string(value))

	value[1] = 'y'
	require.Equal(t, "xbc", string(data))
}

func TestNullableRefusesNil(t *testing.T) {
	s := serde.Nullable(serde.Int64)
	_, err := s.Append(nil, nil)
	require.ErrorContains(t, err, "serde: Nullable cannot encode nil")

	seven := int64(7)
	checkBytes(t, s, []encoded[*int64]{{&seven, "0000000000000007"}})
}

func TestWithoutAPartASerdeIsMissing(t *testing.T) {
	encode := func(dst []byte, _ string) ([]byte, error) { return dst, nil }
	decode := func([]byte) (string, error) { return "", nil }
	require.Nil(t, serde.Nullable[string](nil))
	require.Nil(t, serde.Func(nil, decode))
	require.Nil(t, serde.Func(encode, nil))
	require.NotNil(t, serde.Func(encode, decode))
}

func TestFuncPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	s := serde.Func(
		func(dst []byte, _ string) ([]byte, error) { return dst, broken },
		func([]byte) (string, error) { return "", broken },
	)
	_, err := s.Append(nil, "")
	require.Equal(t, broken, err)
	_, err = s.Decode(nil)
	require.Equal(t, broken, err)
}

// A store described twice is compared field by field, and comparing functions panics.
func TestSerdesCanBeCompared(t *testing.T) {
	s := serde.Func(
		func(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil },
		func(data []byte) (string, error) { return string(data), nil },
	)
	require.True(t, serde.JSON[order]() == serde.JSON[order]())
	require.True(t, serde.Nullable(s) == serde.Nullable(s))
}

func TestOnlyWhatTheTypeNeedsIsAllocated(t *testing.T) {
	dst := make([]byte, 0, 64)
	now := time.Now()
	id := [16]byte{1, 2, 3}
	for name, call := range map[string]func() error{
		"Int64.Append":   func() error { _, err := serde.Int64.Append(dst, 7); return err },
		"Int32.Append":   func() error { _, err := serde.Int32.Append(dst, 7); return err },
		"Float64.Append": func() error { _, err := serde.Float64.Append(dst, 7); return err },
		"Bool.Append":    func() error { _, err := serde.Bool.Append(dst, true); return err },
		"Time.Append":    func() error { _, err := serde.Time.Append(dst, now); return err },
		"UUID.Append":    func() error { _, err := serde.UUID.Append(dst, id); return err },
		"String.Append":  func() error { _, err := serde.String.Append(dst, "abc"); return err },
		"Bytes.Append":   func() error { _, err := serde.Bytes.Append(dst, id[:]); return err },
		"Int64.Decode":   func() error { _, err := serde.Int64.Decode(id[:8]); return err },
		"Int32.Decode":   func() error { _, err := serde.Int32.Decode(id[:4]); return err },
		"Float64.Decode": func() error { _, err := serde.Float64.Decode(id[:8]); return err },
		"Bool.Decode":    func() error { _, err := serde.Bool.Decode(id[:1]); return err },
		"Time.Decode":    func() error { _, err := serde.Time.Decode(id[:8]); return err },
		"UUID.Decode":    func() error { _, err := serde.UUID.Decode(uuidText); return err },
	} {
		require.NoError(t, call(), name)
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = call() }), name)
	}
}

var uuidText = []byte("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
