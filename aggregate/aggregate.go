// Package aggregate holds ways to fold many values into one.
//
// To keep the total, the greatest or the least of a number in each group, take [Sum],
// [Max] or [Min] and say which number:
//
//	kstream.Aggregate(ordersPerDay, aggregate.Max(func(o Order) float64 { return o.Price }), HighestPrice)
//
// For anything else write the functions: [Fold] takes the usual two, [Aggregator] holds
// them all. Package aggregate is pure: no I/O and no clock.
package aggregate

import (
	"cmp"
	"reflect"
)

// Aggregator folds values of V into an A, in the order they come. Only Add is always
// needed; Build asks for the others where they are. The functions may change the A that
// they are given, and return it. An A that is nil deletes the row.
type Aggregator[V, A any] struct {
	Init   func() A       // what the first value is added to; A's zero value by default
	First  func(V) A      // folds the first value alone, in place of Init and Add
	Add    func(A, V) A   // folds one more value
	Remove func(A, V) A   // takes a value out again: for grouped tables
	Merge  func(a, b A) A // folds two folds, the earlier first: for sessions

	lawful functions // those for which MergeIsAdd holds
}

// functions are the code of Init, First, Add and Merge, which tells the functions that this
// package made from those of a program.
type functions [4]uintptr

func (g Aggregator[V, A]) functions() functions {
	of := func(f any) uintptr { return reflect.ValueOf(f).Pointer() }
	return functions{of(g.Init), of(g.First), of(g.Add), of(g.Merge)}
}

// MergeIsAdd says whether it is known that Merge does what Add does: that values which are
// folded in parts, in any order, and merged give the fold of them all. It is known of Sum of
// whole numbers, of Max and of Min, until one of their functions is replaced. Hopping windows
// then need not fold a record once for each of them: see kstream.Aggregate.
func (g Aggregator[V, A]) MergeIsAdd() bool {
	return g.lawful != functions{} && g.lawful == g.functions()
}

// obey notes that MergeIsAdd holds.
func (g Aggregator[V, A]) obey() Aggregator[V, A] {
	g.lawful = g.functions()
	return g
}

// Apply folds v into acc, and gives the new fold. Without has there is no acc yet, and it is
// not looked at: v is the first value, which First folds if there is one, and else Add into
// what Init gives. Add must be set.
func (g Aggregator[V, A]) Apply(acc A, has bool, v V) A {
	switch {
	case has:
		return g.Add(acc, v)
	case g.First != nil:
		return g.First(v)
	case g.Init != nil:
		return g.Add(g.Init(), v)
	default:
		var zero A
		return g.Add(zero, v)
	}
}

// Fold is an Aggregator of init and add; a nil init is A's zero value. It has no Merge.
func Fold[V, A any](init func() A, add func(A, V) A) Aggregator[V, A] {
	return Aggregator[V, A]{Init: init, Add: add}
}

// Number is what can be summed.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Sum adds up what of gives. It has Remove and Merge. As Go's + does, whole numbers wrap around when
// they overflow; floating-point ones round, so the last digits may depend on the order,
// and once there is a NaN the sum stays NaN.
func Sum[V any, N Number](of func(V) N) Aggregator[V, N] {
	g := Aggregator[V, N]{
		Add:    func(sum N, v V) N { return sum + of(v) },
		Remove: func(sum N, v V) N { return sum - of(v) },
		Merge:  func(a, b N) N { return a + b },
	}
	if one, two := N(1), N(2); one/two != 0 { // floating-point numbers round
		return g
	}
	return g.obey()
}

// Max keeps the greatest of what of gives; text is ordered by its bytes. It has First, as
// without a value there is none, and Merge. A NaN counts as missing: the fold is NaN only
// while all values are. So the order of the values does not matter.
func Max[V any, N cmp.Ordered](of func(V) N) Aggregator[V, N] {
	return Aggregator[V, N]{
		First: of,
		Add:   func(kept N, v V) N { return greater(kept, of(v)) },
		Merge: func(a, b N) N { return greater(a, b) },
	}.obey()
}

// Min keeps the least of what of gives; text is ordered by its bytes. It has First, as
// without a value there is none, and Merge. A NaN counts as missing: the fold is NaN only
// while all values are. So the order of the values does not matter.
func Min[V any, N cmp.Ordered](of func(V) N) Aggregator[V, N] {
	return Aggregator[V, N]{
		First: of,
		Add:   func(kept N, v V) N { return lesser(kept, of(v)) },
		Merge: func(a, b N) N { return lesser(a, b) },
	}.obey()
}

// greater and lesser choose one of two, where only a number can be chosen over a NaN. Go's
// max and min choose the NaN, and one bad record would spoil the fold for ever.
func greater[N cmp.Ordered](a, b N) N {
	switch {
	case isNaN(a):
		return b
	case isNaN(b):
		return a
	}
	return max(a, b)
}

func lesser[N cmp.Ordered](a, b N) N {
	switch {
	case isNaN(a):
		return b
	case isNaN(b):
		return a
	}
	return min(a, b)
}

// isNaN works for any ordered type: a NaN is the one value that is not equal to itself.
func isNaN[N cmp.Ordered](n N) bool { return n != n }
