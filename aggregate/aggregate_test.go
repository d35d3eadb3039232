package aggregate_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/stretchr/testify/require"
)

// fold applies all values in order, as an operator does; false without any.
func fold[V, A any](g aggregate.Aggregator[V, A], values ...V) (acc A, has bool) {
	for _, v := range values {
		acc, has = g.Apply(acc, has, v), true
	}
	return acc, has
}

func itself[V any](v V) V { return v }

func TestApplyStartsTheFold(t *testing.T) {
	add := func(acc, v string) string { return acc + v }
	first := func(v string) string { return "first:" + v }
	start := func() string { return "init:" }
	for name, c := range map[string]struct {
		g    aggregate.Aggregator[string, string]
		want string
	}{
		"zero value":     {aggregate.Aggregator[string, string]{Add: add}, "ab"},
		"Init":           {aggregate.Aggregator[string, string]{Init: start, Add: add}, "init:ab"},
		"First":          {aggregate.Aggregator[string, string]{First: first, Add: add}, "first:ab"},
		"First and Init": {aggregate.Aggregator[string, string]{Init: start, First: first, Add: add}, "first:ab"},
		"Fold":           {aggregate.Fold(start, add), "init:ab"},
		"Fold of nil":    {aggregate.Fold(nil, add), "ab"},
	} {
		// What is passed without has must not be looked at.
		acc := c.g.Apply("garbage", false, "a")
		require.Equal(t, c.want, c.g.Apply(acc, true, "b"), name)
	}
}

func TestApplyTakesTheZeroValueForAFold(t *testing.T) {
	least := aggregate.Min(itself[int])
	require.Equal(t, 0, least.Apply(0, true, 5))
	require.Equal(t, 5, least.Apply(0, false, 5))
}

func TestInitIsCalledForEachFold(t *testing.T) {
	set := aggregate.Fold(
		func() map[string]bool { return map[string]bool{} },
		func(seen map[string]bool, v string) map[string]bool { seen[v] = true; return seen },
	)
	one, _ := fold(set, "a", "b")
	two, _ := fold(set, "c")
	require.Equal(t, map[string]bool{"a": true, "b": true}, one)
	require.Equal(t, map[string]bool{"c": true}, two)
	require.Nil(t, set.Merge)
}

func TestSum(t *testing.T) {
	type sale struct{ amount int64 }
	sum := aggregate.Sum(func(s sale) int64 { return s.amount })
	total, _ := fold(sum, sale{3}, sale{-10}, sale{2})
	require.Equal(t, int64(-5), total)
	require.Equal(t, int64(-2), sum.Merge(total, 3))

	wrapped, _ := fold(aggregate.Sum(itself[int8]), 127, 1)
	require.Equal(t, int8(-128), wrapped)

	nan, _ := fold(aggregate.Sum(itself[float64]), 1, math.NaN(), 2)
	require.True(t, math.IsNaN(nan))
}

func TestMaxAndMin(t *testing.T) {
	for _, values := range [][]int{{3}, {3, 1, 2}, {-3, -1, -2}, {math.MinInt, math.MaxInt}, {0, 5}, {0, -5}} {
		greatest, _ := fold(aggregate.Max(itself[int]), values...)
		require.Equal(t, slices.Max(values), greatest)
		least, _ := fold(aggregate.Min(itself[int]), values...)
		require.Equal(t, slices.Min(values), least)
	}

	byName := func(name string) string { return strings.ToLower(name) }
	last, _ := fold(aggregate.Max(byName), "Bea", "adam", "Zoe", "éva")
	require.Equal(t, "éva", last)
	first, _ := fold(aggregate.Min(byName), "Bea", "adam", "Zoe", "éva")
	require.Equal(t, "adam", first)
}

func TestANaNCountsAsMissing(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		values          []float64
		greatest, least float64
	}{
		{[]float64{nan, 1, 2}, 2, 1},
		{[]float64{1, nan, 2}, 2, 1},
		{[]float64{2, 1, nan}, 2, 1},
		{[]float64{nan, nan, -inf}, -inf, -inf},
		{[]float64{nan, inf, -inf}, inf, -inf},
	} {
		greatest, _ := fold(aggregate.Max(itself[float64]), c.values...)
		require.Equal(t, c.greatest, greatest, "max of %v", c.values)
		least, _ := fold(aggregate.Min(itself[float64]), c.values...)
		require.Equal(t, c.least, least, "min of %v", c.values)
	}
	for _, g := range []aggregate.Aggregator[float64, float64]{aggregate.Max(itself[float64]), aggregate.Min(itself[float64])} {
		only, _ := fold(g, nan, nan)
		require.True(t, math.IsNaN(only))
		require.True(t, math.IsNaN(g.Merge(nan, nan)))
		require.Equal(t, 1.0, g.Merge(nan, 1))
		require.Equal(t, 1.0, g.Merge(1, nan))
	}
}

func TestMaxAndMinTellZerosApart(t *testing.T) {
	minus := math.Copysign(0, -1)
	for _, values := range [][]float64{{0, minus}, {minus, 0}} {
		greatest, _ := fold(aggregate.Max(itself[float64]), values...)
		require.False(t, math.Signbit(greatest))
		least, _ := fold(aggregate.Min(itself[float64]), values...)
		require.True(t, math.Signbit(least))
	}
}

// checkLaws folds random values whole, shuffled, and cut in two and merged: what the
// package documents as independent of the order must come out the same.
func checkLaws[N cmp.Ordered](t *testing.T, seed uint64, g aggregate.Aggregator[N, N], next func(*rand.Rand) N) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		values := make([]N, 2+random.IntN(10))
		for i := range values {
			values[i] = next(random)
		}
		whole, _ := fold(g, values...)

		cut := 1 + random.IntN(len(values)-1)
		a, _ := fold(g, values[:cut]...)
		b, _ := fold(g, values[cut:]...)
		require.Zero(t, cmp.Compare(whole, g.Merge(a, b)), "seed %d: %v cut at %d", seed, values, cut)

		shuffled := slices.Clone(values)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, _ := fold(g, shuffled...)
		require.Zero(t, cmp.Compare(whole, again), "seed %d: %v as %v", seed, values, shuffled)
	}
}

func TestFoldsDoNotDependOnTheOrder(t *testing.T) {
	number := func(r *rand.Rand) int64 { return int64(r.Uint64()) }
	float := func(r *rand.Rand) float64 {
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), r.NormFloat64()}[r.IntN(6)]
	}
	checkLaws(t, 1, aggregate.Sum(itself[int64]), number)
	checkLaws(t, 2, aggregate.Max(itself[int64]), number)
	checkLaws(t, 3, aggregate.Min(itself[int64]), number)
	checkLaws(t, 4, aggregate.Max(itself[float64]), float)
	checkLaws(t, 5, aggregate.Min(itself[float64]), float)
}

func FuzzMaxAndMin(f *testing.F) {
	f.Add(1.0, math.NaN(), -1.0)
	f.Fuzz(func(t *testing.T, a, b, c float64) {
		greatest, least := aggregate.Max(itself[float64]), aggregate.Min(itself[float64])
		high, _ := fold(greatest, a, b, c)
		low, _ := fold(least, a, b, c)
		for _, v := range []float64{a, b, c} {
			if !math.IsNaN(v) {
				require.True(t, low <= v && v <= high, "%v is not within %v and %v", v, low, high)
			}
		}
		require.Zero(t, cmp.Compare(high, greatest.Merge(a, greatest.Merge(b, c))))
		require.Zero(t, cmp.Compare(low, least.Merge(a, least.Merge(b, c))))
	})
}

func TestApplyDoesNotAllocate(t *testing.T) {
	for _, g := range []aggregate.Aggregator[int64, int64]{
		aggregate.Sum(itself[int64]), aggregate.Max(itself[int64]), aggregate.Min(itself[int64]),
	} {
		require.Zero(t, testing.AllocsPerRun(100, func() { g.Apply(g.Apply(0, false, 1), true, 2) }))
	}
}

func TestMergeIsAdd(t *testing.T) {
	sum, high, low := aggregate.Sum(itself[int64]), aggregate.Max(itself[float64]), aggregate.Min(itself[string])
	require.True(t, sum.MergeIsAdd())
	require.True(t, high.MergeIsAdd())
	require.True(t, low.MergeIsAdd())
	type money int32
	require.True(t, aggregate.Sum(itself[money]).MergeIsAdd())

	require.False(t, aggregate.Sum(itself[float64]).MergeIsAdd(), "it rounds")
	require.False(t, aggregate.Aggregator[int, int]{}.MergeIsAdd())
	own := aggregate.Fold(nil, func(a, v int) int { return a + v })
	own.Merge = func(a, b int) int { return a + b }
	require.False(t, own.MergeIsAdd(), "nothing is known of it")

	for name, replace := range map[string]func(g, other *aggregate.Aggregator[float64, float64]){
		"Init":  func(g, _ *aggregate.Aggregator[float64, float64]) { g.Init = func() float64 { return 7 } },
		"First": func(g, _ *aggregate.Aggregator[float64, float64]) { g.First = nil },
		"Add": func(g, _ *aggregate.Aggregator[float64, float64]) {
			g.Add = func(a, _ float64) float64 { return a + 1 }
		},
		"Merge":          func(g, _ *aggregate.Aggregator[float64, float64]) { g.Merge = func(a, _ float64) float64 { return a } },
		"another's Add":  func(g, other *aggregate.Aggregator[float64, float64]) { g.Add = other.Add },
		"Merge with nil": func(g, _ *aggregate.Aggregator[float64, float64]) { g.Merge = nil },
	} {
		g, other := high, aggregate.Min(itself[float64])
		replace(&g, &other)
		require.False(t, g.MergeIsAdd(), name)
	}
	high.Remove = func(a, _ float64) float64 { return a }
	require.True(t, high.MergeIsAdd(), "Remove has nothing to do with it")
}
