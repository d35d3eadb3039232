package topology_test

import (
	"os"
	"testing"
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

func TestTry(t *testing.T) {
	b := topology.NewBuilder()
	payments := kstream.From(b, text("payments"))
	rates := ktable.Materialize(ktable.From(b, text("exchange-rates")), state.Store[string, string]{Name: "rate-history", Key: serde.String, Value: serde.String, History: time.Hour})
	once := dedup.By(payments, id, dedup.Seen[string]{Name: "paid", Key: serde.String, Within: time.Hour})
	abroad := kstream.Filter(once, func(_, v string) bool { return true })
	byc := kstream.KeyBy(abroad, first, text("payments-by-currency"))
	texts := kstream.Join(byc, rates, func(v, r string) string { return v })
	kstream.To(kstream.SelectKey(texts, id), text("texts"))

	w := window.Tumbling{Size: time.Hour, Grace: time.Hour, Emit: window.Every(time.Second)}
	orders := kstream.From(b, text("orders"))
	in := kstream.Filter(orders, func(_, v string) bool { return true })
	by := kstream.WindowedBy(kstream.GroupBy(in, first, text("orders-by-currency")), w)
	highest := kstream.Aggregate(by, aggregate.Max(func(o string) float64 { return 1 }), state.Store[window.Key[string], float64]{Name: "highest-price", Key: window.Keys(serde.String, w), Value: serde.Float64})
	ktable.To(highest, topology.Topic[window.Key[string], float64]{Name: "highest-prices", Key: window.Keys(serde.String, w), Value: serde.Float64})
	tp, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile("/tmp/l.svg", []byte(tp.SVG()), 0o666)
	os.WriteFile("/tmp/l.dot", []byte(tp.DOT()), 0o666)
	os.WriteFile("/tmp/l.mmd", []byte(tp.Mermaid()), 0o666)
	os.WriteFile("/tmp/l.txt", []byte(tp.Describe()), 0o666)
}
