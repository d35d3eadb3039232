package main

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// What examples/lunch-abroad works with, but over topics that a run names.

type payment struct {
	ID       string  `json:"id"`
	Phone    string  `json:"phone"`
	Currency string  `json:"currency"`
	Amount   float64 `json:"amount"`
}

type rate struct {
	Pounds float64 `json:"pounds"`
}

type text struct {
	ID      string  `json:"id"`
	Phone   string  `json:"phone"`
	Pounds  float64 `json:"pounds"`
	Message string  `json:"message"`
}

var (
	paymentsByCurrency = jsonTopic[payment]("payments-by-currency")
	paid               = dedup.Seen[string]{Name: "paid", Key: serde.String, Within: 24 * time.Hour}
	rateHistory        = state.Store[string, rate]{Name: "rate-history", Key: serde.String, Value: serde.JSON[rate](), History: 10 * 365 * 24 * time.Hour}
)

func jsonTopic[V any](name string) topology.Topic[string, V] {
	return topology.Topic[string, V]{Name: name, Key: serde.String, Value: serde.JSON[V]()}
}

// lunch texts a customer who paid in another currency what it was in pounds, at the rate
// of the day, once.
func lunch(b *topology.Builder, t topics) {
	payments := kstream.From(b, read(t, jsonTopic[payment](t.in[0])))
	rates := ktable.Materialize(ktable.From(b, read(t, jsonTopic[rate](t.in[1]))), rateHistory)

	once := dedup.By(payments, func(_ string, p payment) string { return p.ID }, paid)
	abroad := kstream.Filter(once, func(_ string, p payment) bool { return p.Currency != "GBP" })
	byCurrency := kstream.KeyBy(abroad, func(_ string, p payment) string { return p.Currency }, paymentsByCurrency)
	texts := kstream.Join(byCurrency, rates, func(p payment, r rate) text {
		pounds := p.Amount * r.Pounds
		return text{p.ID, p.Phone, pounds, fmt.Sprintf("You paid %.2f %s, which is £%.2f.", p.Amount, p.Currency, pounds)}
	})
	kstream.To(kstream.SelectKey(texts, func(_ string, m text) string { return m.Phone }), jsonTopic[text](t.out))
}
