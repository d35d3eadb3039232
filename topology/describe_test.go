package topology_test

import (
	"fmt"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// pictured counts the values of a topic that a global table knows.
func pictured() *topology.Topology {
	plain := func(name string) topology.Topic[string, string] {
		return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
	}
	counts := state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}
	b := topology.NewBuilder()
	known := ktable.GlobalFrom(b, plain("known"))
	in := kstream.JoinGlobal(kstream.From(b, plain("in")), known, func(_, v string) (string, bool) { return v, true },
		func(v, _ string) string { return v })
	byValue := kstream.GroupBy(in, func(_, v string) string { return v }, plain("by-value"))
	ktable.To(kstream.Count(byValue, counts), topology.Topic[string, int64]{Name: "out", Key: serde.String, Value: serde.Int64})
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}
	return topo
}

func ExampleTopology_Describe() {
	fmt.Print(pictured().Describe())
	// Output:
	// Topologies:
	//    Sub-topology: 0
	//     Source: source-0 (topics: [in])
	//       --> join-global-1
	//     Processor: join-global-1 (stores: [known])
	//       --> select-key-2
	//       <-- source-0
	//     Processor: select-key-2 (stores: [])
	//       --> drop-null-key-3
	//       <-- join-global-1
	//     Processor: drop-null-key-3 (stores: [])
	//       --> repartition-4
	//       <-- select-key-2
	//     Sink: repartition-4 (topic: by-value-repartition)
	//       <-- drop-null-key-3
	//
	//   Sub-topology: 1
	//     Source: repartition-source-5 (topics: [by-value-repartition])
	//       --> count-6
	//     Processor: count-6 (stores: [counts])
	//       --> sink-7
	//       <-- repartition-source-5
	//     Sink: sink-7 (topic: out)
	//       <-- count-6
	//
	//   Sub-topology: 2 for global store (will not generate tasks)
	//     Source: global-source-0 (topics: [known])
	//       --> global-table-0
	//     Processor: global-table-0 (stores: [known])
	//       --> none
	//       <-- global-source-0
}

func ExampleTopology_Mermaid() {
	fmt.Print(pictured().Mermaid())
	// Output:
	// flowchart TD
	//   t0[("known")]
	//   gknown[/"known"/]
	//   t1[("in")]
	//   t2[("by-value-repartition")]
	//   subgraph sub0[sub-topology 0]
	//     s0n0("source-0")
	//     s0n1("join-global-1")
	//     s0n2("select-key-2")
	//     s0n3("drop-null-key-3")
	//     s0n4("repartition-4")
	//   end
	//   t3[("out")]
	//   subgraph sub1[sub-topology 1]
	//     s1n0("repartition-source-5")
	//     s1n1("count-6")
	//     s1n2("sink-7")
	//     s1k0[/"counts"/]
	//   end
	//   t0 --> gknown
	//   t1 --> s0n0
	//   s0n0 --> s0n1
	//   s0n1 -.- gknown
	//   s0n1 --> s0n2
	//   s0n2 --> s0n3
	//   s0n3 --> s0n4
	//   s0n4 --> t2
	//   t2 --> s1n0
	//   s1n0 --> s1n1
	//   s1n1 -.- s1k0
	//   s1n1 --> s1n2
	//   s1n2 --> t3
}
