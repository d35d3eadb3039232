package lunch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// Two payments, one of them sent twice, and one in pounds.
func ExampleLunchAbroad() {
	b := topology.NewBuilder()
	LunchAbroad(b)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}
	d := streamstest.New(streamstest.InExample, topo)
	monday := time.Date(2026, 10, 26, 0, 0, 0, 0, time.UTC)
	pay := func(p Payment, at time.Time) {
		streamstest.Send(d, Payments, topology.Record[string, Payment]{Key: p.ID, Value: p, Time: at})
	}
	streamstest.Send(d, Rates, topology.Record[string, Rate]{Key: "EUR", Value: Rate{0.85}, Time: monday})
	streamstest.Send(d, Rates, topology.Record[string, Rate]{Key: "EUR", Value: Rate{0.86}, Time: monday.AddDate(0, 0, 1)})

	lunch := Payment{ID: "1", Phone: "+44 7700 900001", Currency: "EUR", Amount: 12}
	pay(lunch, monday.Add(12*time.Hour))
	pay(lunch, monday.Add(12*time.Hour))
	pay(Payment{ID: "2", Phone: "+44 7700 900002", Currency: "GBP", Amount: 9}, monday.Add(13*time.Hour))
	pay(Payment{ID: "3", Phone: "+44 7700 900003", Currency: "EUR", Amount: 12}, monday.Add(36*time.Hour))

	for _, r := range streamstest.Read(d, Texts) {
		fmt.Println(r.Value.Phone, r.Value.Message)
	}
	// Output:
	// +44 7700 900001 You paid 12.00 EUR, which is £10.20.
	// +44 7700 900003 You paid 12.00 EUR, which is £10.32.
}

// The highest price of a day is sent once a second, if it changed.
func ExampleHighest() {
	b := topology.NewBuilder()
	Highest(b)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}
	d := streamstest.New(streamstest.InExample, topo)
	monday := time.Date(2026, 10, 26, 9, 0, 0, 0, time.UTC)
	for i, price := range []float64{10, 30, 20} {
		order := Order{Currency: "GBP", Price: price}
		streamstest.Send(d, Orders, topology.Record[string, Order]{Key: fmt.Sprint(i), Value: order, Time: monday})
	}
	d.Advance(time.Second)
	d.Advance(time.Second)
	for _, r := range streamstest.Read(d, HighestPrices) {
		fmt.Println(r.Key.Start.Format(time.DateOnly), r.Value)
	}
	for row := range state.Windows(streamstest.Rows(d, HighestPrice), "GBP", monday, monday) {
		fmt.Println("so far:", row.Value)
	}
	// Output:
	// 2026-10-26 30
	// so far: 30
}

func TestTheWholeExample(t *testing.T) {
	for _, guarantee := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		t.Run(guarantee.String(), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var out bytes.Buffer
			o := Options{Payments: 2000, Role: "all", Guarantee: guarantee, State: t.TempDir(), Seed: 7}
			require.NoError(t, Run(ctx, o, &out, io.Discard))
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			var payments, abroad, duplicates, texts int
			_, err := fmt.Sscanf(lines[len(lines)-1], "payments=%d abroad=%d duplicates=%d texts=%d", &payments, &abroad, &duplicates, &texts)
			require.NoError(t, err, "the last line")
			require.Equal(t, 2000, payments)
			require.Equal(t, abroad, texts)
			require.Greater(t, duplicates, 20)
		})
	}
}
