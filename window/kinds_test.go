package window_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/window"
)

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		w     window.Windows
		kind  window.Kind
		size  int64
		grace int64
		keep  int64
		text  string
	}{
		{window.Tumbling{Size: 10 * ms, Grace: ms}, window.Aligned, 10, 1, 11, "Tumbling{Size: 10ms, Grace: 1ms}"},
		{window.Sliding{Size: 10 * ms, Grace: ms}, window.AtRecords, 10, 1, 21, "Sliding{Size: 10ms, Grace: 1ms}"},
		{window.Sliding{Size: 10 * ms, Emit: window.OnClose()}, window.AtRecords, 10, 0, 20, "Sliding{Size: 10ms, Emit: OnClose()}"},
		{window.Session{Gap: 5 * ms, Grace: 3 * ms}, window.Sessions, 5, 3, 8, "Session{Gap: 5ms, Grace: 3ms}"},
		{window.Session{Gap: 5 * ms, Emit: window.OnClose()}, window.Sessions, 5, 0, 5, "Session{Gap: 5ms, Emit: OnClose()}"},
		{window.Unlimited{}, window.Endless, math.MaxInt64, 0, math.MaxInt64 / 4, "Unlimited{}"},
		{window.Unlimited{Start: time.UnixMilli(5)}, window.Endless, math.MaxInt64 - 5, 0, math.MaxInt64 / 4, "Unlimited{Start: 1970-01-01T00:00:00.005Z}"},
	} {
		require.NoError(t, window.Check(c.w))
		require.Equal(t, c.kind, window.KindOf(c.w), c.text)
		require.Equal(t, c.size, window.Size(c.w), c.text)
		require.Equal(t, c.grace, window.Grace(c.w), c.text)
		require.Equal(t, c.keep, window.Keep(c.w), c.text)
		require.Equal(t, c.text, c.w.(interface{ String() string }).String())
	}
	require.True(t, window.EmitOnClose(window.Session{Gap: ms, Emit: window.OnClose()}))
	require.False(t, window.EmitOnClose(window.Session{Gap: ms, Emit: window.Every(ms)}))
}

func TestUnlimitedHoldsWhatIsNotBeforeIt(t *testing.T) {
	w := window.Unlimited{Start: time.UnixMilli(100)}
	require.Empty(t, starts(w, 99))
	require.Equal(t, []int64{100}, starts(w, 100))
	require.Equal(t, []int64{100}, starts(w, math.MaxInt64))
}

func TestCheckOfKindsWithoutAlignment(t *testing.T) {
	for want, w := range map[string]window.Windows{
		"needs a Size": window.Sliding{},
		"needs a Gap":  window.Session{},
		"finer":        window.Session{Gap: time.Nanosecond},
		"before 1970":  window.Unlimited{Start: time.UnixMilli(-1)},
		"negative":     window.Sliding{Size: ms, Grace: -ms},
	} {
		require.ErrorContains(t, window.Check(w), want)
	}
}

func TestJoinCheck(t *testing.T) {
	require.NoError(t, window.Within(ms).Check())
	require.NoError(t, window.Join{Before: -ms, After: 2 * ms}.Check())
	require.ErrorContains(t, window.Join{Before: -2 * ms, After: ms}.Check(), "empty")
	require.ErrorContains(t, window.Join{Grace: -1}.Check(), "Grace is negative")
	require.ErrorContains(t, window.Join{After: 1}.Check(), "finer")
}

// A session's key is the inner key, the end and the start, as Kafka Streams'
// SessionWindowedSerializer writes it.
func TestSessionKeys(t *testing.T) {
	s := window.Keys(serde.String, window.Session{Gap: ms})
	k := window.Key[string]{Key: "k", Start: time.UnixMilli(1).UTC(), End: time.UnixMilli(258).UTC()}
	b, err := s.Append(nil, k)
	require.NoError(t, err)
	require.Equal(t, "k\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x00\x00\x00\x01", string(b))
	back, err := s.Decode(b)
	require.NoError(t, err)
	require.Equal(t, k, back)

	inner, start, end, err := splitter(t, s).Split(nil, k)
	require.NoError(t, err)
	require.Equal(t, "k", string(inner))
	require.EqualValues(t, 1, start)
	require.EqualValues(t, 258, end)

	_, err = s.Decode(b[:15])
	require.ErrorContains(t, err, "at least 16 bytes")
	k.End = time.UnixMilli(0)
	_, err = s.Append(nil, k)
	require.ErrorContains(t, err, "before it starts")
}
