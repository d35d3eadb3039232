package window_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// starts is the loop that Starts is for.
func starts(w window.Windows, t int64) []int64 {
	all := []int64{}
	first, last, every := window.Starts(w, t)
	for start := first; start <= last; start += every {
		all = append(all, start)
	}
	return all
}

// The starts are what TimeWindows.windowsFor of Kafka Streams 4.3.1 gave.
func TestStartsAreKafkaStreams(t *testing.T) {
	for _, c := range []struct {
		size, every time.Duration
		time        int64
		want        []int64
	}{
		{10, 10, -1, []int64{}},
		{10, 10, 0, []int64{0}},
		{10, 10, 9, []int64{0}},
		{10, 10, 10, []int64{10}},
		{10, 10, 100, []int64{100}},
		{10, 5, -1, []int64{}},
		{10, 5, 4, []int64{0}},
		{10, 5, 5, []int64{0, 5}},
		{10, 5, 10, []int64{5, 10}},
		{10, 5, 100, []int64{95, 100}},
		{10, 3, 2, []int64{0}},
		{10, 3, 3, []int64{0, 3}},
		{10, 3, 9, []int64{0, 3, 6, 9}},
		{10, 3, 10, []int64{3, 6, 9}},
		{10, 3, 12, []int64{3, 6, 9, 12}},
		{10, 3, 13, []int64{6, 9, 12}},
		{7, 2, 1, []int64{0}},
		{7, 2, 4, []int64{0, 2, 4}},
		{7, 2, 9, []int64{4, 6, 8}},
		{7, 2, 10, []int64{4, 6, 8, 10}},
		{7, 2, 100, []int64{94, 96, 98, 100}},
		{10, 1, 2, []int64{0, 1, 2}},
		{10, 1, 11, []int64{2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
	} {
		w := window.Hopping{Size: c.size * ms, Every: c.every * ms}
		require.Equal(t, c.want, starts(w, c.time), "%v at %d", w, c.time)
		if c.size == c.every {
			require.Equal(t, c.want, starts(window.Tumbling{Size: c.size * ms}, c.time), "tumbling %v at %d", c.size, c.time)
		}
	}
}

func TestTumblingDaysAreUTCDays(t *testing.T) {
	day := window.Tumbling{Size: 24 * time.Hour}
	// The day on which Central Europe put the clocks back has 25 hours there, and 24 here.
	late := time.Date(2025, 10, 26, 23, 59, 59, 999*int(ms), time.UTC)
	require.Equal(t, []int64{time.Date(2025, 10, 26, 0, 0, 0, 0, time.UTC).UnixMilli()}, starts(day, late.UnixMilli()))
	require.Equal(t, []int64{late.UnixMilli() + 1}, starts(day, late.UnixMilli()+1))
}

// checkStarts holds what Starts promises against the definition: the windows of t are
// those that begin at a multiple of every, not before 0, and hold t.
func checkStarts(t *testing.T, size, every, at int64) {
	t.Helper()
	w := window.Hopping{Size: time.Duration(size) * ms, Every: time.Duration(every) * ms}
	require.NoError(t, window.Check(w))
	first, last, step := window.Starts(w, at)
	require.Equal(t, every, step)
	if first > last {
		require.True(t, at < 0 || at > math.MaxInt64-size, "%v: no window at %d", w, at)
		return
	}
	require.GreaterOrEqual(t, first, int64(0))
	require.Zero(t, first%every)
	require.Zero(t, last%every)
	require.LessOrEqual(t, last, at, "the last window begins too late")
	require.Greater(t, first+size, at, "the first window ends too early")
	require.Greater(t, last+size, last, "an end overflows")

	before := first - every
	require.True(t, before < 0 || before+size <= at, "%v at %d: a window before %d is missing", w, at, first)
	if last <= math.MaxInt64-size-every { // the next one exists
		require.Greater(t, last+every, at, "%v: a window after %d is missing", w, last)
	}
	n := (last-first)/every + 1
	if first > 0 && at < math.MaxInt64-size {
		require.Contains(t, []int64{size / every, (size + every - 1) / every}, n, "%v at %d", w, at)
	}
}

func TestStartsOfRandomWindows(t *testing.T) {
	const seed = 2
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5_000 {
		size := 1 + random.Int64N(1<<(1+random.IntN(40)))
		every := 1 + random.Int64N(size)
		checkStarts(t, size, every, random.Int64N(1<<(1+random.IntN(60))))
		checkStarts(t, size, every, random.Int64N(3*size)-size)          // near 1970
		checkStarts(t, size, every, math.MaxInt64-random.Int64N(3*size)) // near the last time
	}
}

func FuzzStarts(f *testing.F) {
	f.Add(int64(10), int64(3), int64(9))
	f.Add(int64(10), int64(10), int64(-1))
	f.Add(int64(math.MaxInt64), int64(1), int64(math.MaxInt64))
	f.Add(int64(86_400_000), int64(86_400_000), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, size, every, at int64) {
		const longest = math.MaxInt64 / int64(ms) // milliseconds of a Duration
		size = 1 + (size&math.MaxInt64)%longest
		every = 1 + (every&math.MaxInt64)%size
		checkStarts(t, size, every, at)
	})
}

func TestStartsDoesNotAllocate(t *testing.T) {
	var w window.Windows = window.Hopping{Size: time.Hour, Every: time.Minute}
	require.Zero(t, testing.AllocsPerRun(100, func() { window.Starts(w, 1763942400000) }))
}

func TestSizeGraceAndEmit(t *testing.T) {
	for _, w := range []window.Windows{
		window.Tumbling{Size: time.Hour, Grace: time.Minute, Emit: window.Every(time.Second)},
		window.Hopping{Size: time.Hour, Every: time.Minute, Grace: time.Minute, Emit: window.Every(time.Second)},
	} {
		require.NoError(t, window.Check(w))
		require.Equal(t, int64(3_600_000), window.Size(w), "%v", w)
		require.Equal(t, int64(60_000), window.Grace(w), "%v", w)
		require.Equal(t, time.Second, window.EmitEvery(w), "%v", w)
	}
	require.Zero(t, window.Grace(window.Tumbling{Size: 1}))
	require.Zero(t, window.EmitEvery(window.Tumbling{Size: 1}))
}

func TestStringIsTheLiteral(t *testing.T) {
	for want, w := range map[string]any{
		"Tumbling{Size: 0s}":                               window.Tumbling{},
		"Tumbling{Size: 24h0m0s}":                          window.Tumbling{Size: 24 * time.Hour},
		"Tumbling{Size: 1h0m0s, Grace: 1m0s}":              window.Tumbling{Size: time.Hour, Grace: time.Minute},
		"Tumbling{Size: 1h0m0s, Emit: Every(1s)}":          window.Tumbling{Size: time.Hour, Emit: window.Every(time.Second)},
		"Hopping{Size: 1h0m0s, Every: 0s}":                 window.Hopping{Size: time.Hour},
		"Hopping{Size: 1h0m0s, Every: 5m0s, Grace: 1m0s}":  window.Hopping{Size: time.Hour, Every: 5 * time.Minute, Grace: time.Minute},
		"Hopping{Size: 1s, Every: 1s, Emit: Every(500ms)}": window.Hopping{Size: time.Second, Every: time.Second, Emit: window.Every(500 * ms)},
	} {
		require.Equal(t, want, w.(interface{ String() string }).String())
	}
}

func TestCheck(t *testing.T) {
	hour, minute := time.Hour, time.Minute
	for _, c := range []struct {
		windows window.Windows
		want    string // "" for no error
	}{
		{window.Tumbling{Size: 1 * ms}, ""},
		{window.Tumbling{Size: hour, Grace: hour, Emit: window.Every(1)}, ""},
		{window.Hopping{Size: hour, Every: hour}, ""},
		{window.Hopping{Size: hour, Every: 7 * ms}, ""},

		{nil, "window: windows are a <nil>: write a value of one of the types of package window, such as window.Tumbling"},
		{&window.Tumbling{Size: hour}, "window: windows are a *window.Tumbling: write a value"},
		{(*window.Hopping)(nil), "window: windows are a *window.Hopping: write a value"},

		{window.Tumbling{}, "window: Tumbling{Size: 0s}: a window needs a Size: write how long it lasts, such as Size: time.Hour"},
		{window.Tumbling{Size: -hour}, "a window needs a Size"},
		{window.Hopping{Every: minute}, "a window needs a Size"},
		{window.Tumbling{Size: hour + 1}, "Size is finer than a millisecond"},
		{window.Hopping{Size: hour}, "window: Hopping{Size: 1h0m0s, Every: 0s}: windows that hop need an Every"},
		{window.Hopping{Size: hour, Every: -minute}, "windows that hop need an Every"},
		{window.Hopping{Size: hour, Every: 1}, "Every is finer than a millisecond"},
		{window.Hopping{Size: hour, Every: hour + ms}, "a time between two windows would be in none: write an Every of 1h0m0s or less"},
		{window.Tumbling{Size: hour, Grace: -ms}, "Grace is negative"},
		{window.Tumbling{Size: hour, Grace: 1}, "Grace is finer than a millisecond"},
		{window.Tumbling{Size: hour, Emit: window.Every(-1)}, "Emit is every negative time"},
	} {
		err := window.Check(c.windows)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.want)
	}
}

func TestCheckGivesAllMistakes(t *testing.T) {
	err := window.Check(window.Hopping{Grace: -1, Emit: window.Every(-1)})
	require.ErrorContains(t, err, "a window needs a Size")
	require.ErrorContains(t, err, "Grace is negative")
	require.ErrorContains(t, err, "Emit is every negative time")
}
