package aggregate_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
)

type order struct {
	currency string
	price    float64
}

func price(o order) float64 { return o.price }

var orders = []order{{"USD", 20}, {"USD", 35.5}, {"USD", 12}}

// printFold folds the orders as a grouped stream does, and prints each result.
func printFold[A any](g aggregate.Aggregator[order, A]) {
	var acc A
	for i, o := range orders {
		acc = g.Apply(acc, i > 0, o)
		fmt.Println(acc)
	}
}

func ExampleSum() {
	printFold(aggregate.Sum(price))
	// Output:
	// 20
	// 55.5
	// 67.5
}

func ExampleMax() {
	printFold(aggregate.Max(price))
	// Output:
	// 20
	// 35.5
	// 35.5
}

func ExampleMin() {
	printFold(aggregate.Min(price))
	// Output:
	// 20
	// 20
	// 12
}

func ExampleFold() {
	printFold(aggregate.Fold(
		func() []float64 { return []float64{} },
		func(prices []float64, o order) []float64 { return append(prices, o.price) },
	))
	// Output:
	// [20]
	// [20 35.5]
	// [20 35.5 12]
}

// An average needs two numbers to fold. Merge is for session windows, where a record may
// join two folds.
func ExampleAggregator() {
	type mean struct {
		sum   float64
		count int
	}
	average := aggregate.Aggregator[order, mean]{
		Add:   func(m mean, o order) mean { return mean{m.sum + o.price, m.count + 1} },
		Merge: func(a, b mean) mean { return mean{a.sum + b.sum, a.count + b.count} },
	}

	var m mean
	for i, o := range orders {
		m = average.Apply(m, i > 0, o)
	}
	both := average.Merge(m, mean{sum: 100, count: 1})
	fmt.Println(m.sum/float64(m.count), both.sum/float64(both.count))
	// Output: 22.5 41.875
}

func ExampleAggregator_Apply() {
	latest := aggregate.Max(func(at time.Time) int64 { return at.Unix() })

	acc := latest.Apply(0, false, time.Unix(-50, 0)) // the first value: 0 is not a fold yet
	fmt.Println(acc)
	acc = latest.Apply(acc, true, time.Unix(-80, 0))
	fmt.Println(acc)
	// Output:
	// -50
	// -50
}
