package kstream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

func TestWordCount(t *testing.T) {
	lines := topology.Topic[string, string]{Name: "lines", Key: serde.String, Value: serde.String}
	words := topology.Topic[string, string]{Name: "words", Key: serde.String, Value: serde.String}
	counts := state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}
	totals := topology.Topic[string, int64]{Name: "totals", Key: serde.String, Value: serde.Int64}
	b := topology.NewBuilder()
	split := kstream.FlatMapValues(kstream.From(b, lines), strings.Fields)
	byWord := kstream.GroupBy(split, func(_, word string) string { return word }, words)
	ktable.To(kstream.Count(byWord, counts), totals)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	d := streamstest.New(t, topo)
	streamstest.Send(d, lines, topology.Record[string, string]{Value: "to be or not to be", Time: time.UnixMilli(5)})
	for _, r := range streamstest.Read(d, totals) {
		fmt.Println(r.Key, r.Value)
	}
}
