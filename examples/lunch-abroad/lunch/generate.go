package lunch

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The European Central Bank's reference rates: units of each currency for one euro.
//
//go:embed rates.csv
var ratesCSV string

// RateOfDay is one rate that the bank published.
type RateOfDay struct {
	Day      time.Time
	Currency string
	Rate
}

// ratesOfDays are the bank's rates in pounds, by date.
func ratesOfDays() ([]RateOfDay, error) {
	rows, err := csv.NewReader(strings.NewReader(ratesCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("rates.csv: %w", err)
	}
	perEuro := map[string]float64{} // by date, of pounds
	var rates []RateOfDay
	for _, pass := range []bool{true, false} {
		for _, row := range rows[1:] {
			v, err := strconv.ParseFloat(row[2], 64)
			if err != nil {
				return nil, fmt.Errorf("rates.csv: %w", err)
			}
			if pounds := row[1] == "GBP"; pass && pounds {
				perEuro[row[0]] = v
			} else if !pass && !pounds {
				day, err := time.Parse(time.DateOnly, row[0])
				if err != nil {
					return nil, fmt.Errorf("rates.csv: %w", err)
				}
				rates = append(rates, RateOfDay{day, row[1], Rate{perEuro[row[0]] / v}})
			}
		}
	}
	return rates, nil
}

// generator makes payments and orders. They depend on the seed and their number alone.
type generator struct {
	seed       uint64
	begin      time.Time
	currencies []string // one time in four it is pounds
}

// interval is the time between two payments.
const interval = 30 * time.Second

// newGenerator generates payments in the currencies that have a rate on every day.
func newGenerator(seed uint64, rates []RateOfDay) generator {
	days := map[string]int{}
	for _, r := range rates {
		days[r.Currency]++
	}
	most := 0
	for _, n := range days {
		most = max(most, n)
	}
	g := generator{seed: seed, begin: rates[0].Day}
	for c, n := range days {
		if n == most {
			g.currencies = append(g.currencies, c)
		}
	}
	slices.Sort(g.currencies)
	return g
}

// payment is the payment of a number.
func (g generator) payment(n int) (Payment, time.Time) {
	r := rand.New(rand.NewPCG(g.seed, uint64(n)))
	p := Payment{
		ID:       fmt.Sprintf("payment-%d-%d", g.seed, n),
		Phone:    fmt.Sprintf("+44 7700 900%03d", r.IntN(1000)),
		Currency: "GBP",
		Amount:   float64(100+r.IntN(20_000)) / 100,
	}
	if r.IntN(4) > 0 {
		p.Currency = g.currencies[r.IntN(len(g.currencies))]
	}
	return p, g.begin.Add(time.Duration(n) * interval)
}

// order is the order of a number.
func (g generator) order(n int) (Order, time.Time) {
	r := rand.New(rand.NewPCG(g.seed+1, uint64(n)))
	o := Order{Currency: "GBP", Price: float64(r.IntN(1_000_000)) / 100}
	if r.IntN(3) == 0 {
		o.Currency = "USD"
	}
	return o, g.begin.Add(time.Duration(n) * interval)
}

// sequence is the payments' numbers in the order in which a client sends them: some are
// sent again a little later, as after a lost acknowledgement.
type sequence struct {
	r     *rand.Rand
	next  int
	again []int // to be sent again
}

func newSequence(seed uint64) *sequence { return &sequence{r: rand.New(rand.NewPCG(seed, 7))} }

// number is the number of the next payment record.
func (s *sequence) number() int {
	if len(s.again) > 0 && (len(s.again) > 20 || s.r.IntN(20) == 0) {
		n := s.again[0]
		s.again = s.again[1:]
		return n
	}
	n := s.next
	s.next++
	if s.r.IntN(100) < 4 {
		s.again = append(s.again, n)
	}
	return n
}
