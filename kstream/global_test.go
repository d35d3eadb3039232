package kstream_test

import (
	"fmt"
	"testing"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// A processor reads the rows of a global table, whatever partition they are in.
func TestViewOfAGlobalTable(t *testing.T) {
	b := topology.NewBuilder()
	ktable.GlobalFrom(b, text("rows"))
	out := kstream.ProcessValues(kstream.From(b, text("in")), "view", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
		rows, err := topology.View(c, text("rows").Store())
		return func(r topology.Record[string, string]) error {
			row, ok, err := rows.Row(r.Value)
			if err != nil {
				return err
			}
			n := 0
			for _, err := range rows.All() {
				if err != nil {
					return err
				}
				n++
			}
			for row, err := range rows.Range(&r.Value, &r.Value) {
				if err != nil || row.Value != "row "+r.Value {
					return fmt.Errorf("a range of one row has %v: %w", row, err)
				}
			}
			return c.Emit(topology.Record[string, string]{Value: fmt.Sprint(row.Value, " ", ok, " of ", n)})
		}, err
	}, text("rows").Store())
	kstream.To(out, text("out"))
	topo, err := b.Build()
	require.NoError(t, err)

	d := streamstest.Options{Partitions: 3}.New(t, topo)
	for _, k := range []string{"a", "b", "c", "d"} {
		streamstest.Send(d, text("rows"), topology.Record[string, string]{Key: k, Value: "row " + k})
	}
	put(t, d, "in", "c@1", "x@1")
	require.Equal(t, []string{"row c true of 4@1", " false of 4@1"}, got(d, "out"))
}
