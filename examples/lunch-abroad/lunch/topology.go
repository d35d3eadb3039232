package lunch

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// Payment is what a customer paid, somewhere.
type Payment struct {
	ID       string  `json:"id"`
	Phone    string  `json:"phone"`
	Currency string  `json:"currency"`
	Amount   float64 `json:"amount"`
}

// Rate is how many pounds one unit of a currency was worth on a day.
type Rate struct {
	Pounds float64 `json:"pounds"`
}

// Text is what the customer is told.
type Text struct {
	ID      string  `json:"id"`
	Phone   string  `json:"phone"`
	Pounds  float64 `json:"pounds"`
	Message string  `json:"message"`
}

// Order is an order of a share.
type Order struct {
	Currency string  `json:"currency"`
	Price    float64 `json:"price"`
}

// Topics and stores are declared once, and named wherever they are used.
var (
	Payments           = topology.Topic[string, Payment]{Name: "payments", Key: serde.String, Value: serde.JSON[Payment]()}
	Rates              = topology.Topic[string, Rate]{Name: "exchange-rates", Key: serde.String, Value: serde.JSON[Rate]()}
	PaymentsByCurrency = topology.Topic[string, Payment]{Name: "payments-by-currency", Key: serde.String, Value: serde.JSON[Payment]()}
	Texts              = topology.Topic[string, Text]{Name: "texts", Key: serde.String, Value: serde.JSON[Text]()}

	Paid        = dedup.Seen[string]{Name: "paid", Key: serde.String, Within: 24 * time.Hour}
	RateHistory = state.Store[string, Rate]{Name: "rate-history", Key: serde.String, Value: serde.JSON[Rate](), History: 3 * 365 * 24 * time.Hour}

	Day              = window.Tumbling{Size: 24 * time.Hour, Grace: 24 * time.Hour, Emit: window.Every(time.Second)}
	Orders           = topology.Topic[string, Order]{Name: "orders", Key: serde.String, Value: serde.JSON[Order]()}
	OrdersByCurrency = topology.Topic[string, Order]{Name: "orders-by-currency", Key: serde.String, Value: serde.JSON[Order]()}
	HighestPrice     = state.Store[window.Key[string], float64]{Name: "highest-price", Key: window.Keys(serde.String, Day), Value: serde.Float64}
	HighestPrices    = topology.Topic[window.Key[string], float64]{Name: "highest-prices", Key: window.Keys(serde.String, Day), Value: serde.Float64}
)

// LunchAbroad texts a customer who paid in another currency what it was in pounds, at the
// rate of the day, once.
func LunchAbroad(b *topology.Builder) {
	payments := kstream.From(b, Payments)
	rates := ktable.Materialize(ktable.From(b, Rates), RateHistory)

	once := dedup.By(payments, func(_ string, p Payment) string { return p.ID }, Paid)
	abroad := kstream.Filter(once, func(_ string, p Payment) bool { return p.Currency != "GBP" })
	byCurrency := kstream.KeyBy(abroad, func(_ string, p Payment) string { return p.Currency }, PaymentsByCurrency)
	texts := kstream.Join(byCurrency, rates, text)
	kstream.To(kstream.SelectKey(texts, func(_ string, t Text) string { return t.Phone }), Texts)
}

func text(p Payment, r Rate) Text {
	pounds := p.Amount * r.Pounds
	return Text{
		ID: p.ID, Phone: p.Phone, Pounds: pounds,
		Message: fmt.Sprintf("You paid %.2f %s, which is £%.2f.", p.Amount, p.Currency, pounds),
	}
}

// Highest is: max(price) from orders where ccy = 'GBP' over a 1 day window, emitting
// every second.
func Highest(b *topology.Builder) {
	orders := kstream.From(b, Orders)

	inPounds := kstream.Filter(orders, func(_ string, o Order) bool { return o.Currency == "GBP" })
	byCurrency := kstream.GroupBy(inPounds, func(_ string, o Order) string { return o.Currency }, OrdersByCurrency)
	perDay := kstream.WindowedBy(byCurrency, Day)
	highest := kstream.Aggregate(perDay, aggregate.Max(func(o Order) float64 { return o.Price }), HighestPrice)
	ktable.To(highest, HighestPrices)
}
