package kstream_test

import (
	"fmt"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// A processor may send any number of records, under any keys.
func ExampleProcess() {
	b := topology.NewBuilder()
	parts := kstream.Process(kstream.From(b, payments), "split-bill", func(c *topology.Context[string, int64]) (topology.Processor[string, int64], error) {
		return func(r topology.Record[string, int64]) error {
			for _, guest := range []string{"alice", "bob"} {
				if err := c.Emit(topology.Record[string, int64]{Key: guest, Value: r.Value / 2}); err != nil {
					return err
				}
			}
			return nil
		}, nil
	})
	kstream.To(parts, totals)

	d := run(b)
	send(d, payments, "restaurant", 60)
	show(d, totals)
	// Output:
	// alice 30
	// bob 30
}

// A processor with a store remembers: a payment is reported if it is larger than all
// before it.
func ExampleProcessValues() {
	largest := state.Store[string, int64]{Name: "largest", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	records := kstream.ProcessValues(kstream.From(b, payments), "record", func(c *topology.Context[string, string]) (topology.Processor[string, int64], error) {
		store, err := topology.Open(c, largest)
		if err != nil {
			return nil, err
		}
		return func(r topology.Record[string, int64]) error {
			before, _, err := store.Get(r.Key)
			if err != nil || r.Value <= before {
				return err
			}
			if err := store.Put(r.Key, r.Value); err != nil {
				return err
			}
			return c.Emit(topology.Record[string, string]{Value: fmt.Sprintf("£%d, after £%d", r.Value, before)})
		}, nil
	}, largest)
	kstream.To(records, notes)

	d := run(b)
	send(d, payments, "alice", 30)
	send(d, payments, "alice", 20)
	send(d, payments, "alice", 40)
	show(d, notes)
	// Output:
	// alice £30, after £0
	// alice £40, after £30
}
