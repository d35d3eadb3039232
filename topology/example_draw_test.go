package topology_test

import (
	"fmt"
	"strings"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/topology"
)

func ExampleTopology_Describe() {
	b := topology.NewBuilder()
	large := kstream.Filter(kstream.From(b, payments), func(_ string, pounds int64) bool { return pounds >= 100 })
	sums := kstream.Reduce(kstream.GroupByKey(large), func(a, pounds int64) int64 { return a + pounds }, spent)
	ktable.To(sums, totals)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}

	fmt.Print(topo.Describe())
	// Output:
	// Topologies:
	//    Sub-topology: 0
	//     Source: source-0 (topics: [payments])
	//       --> filter-1
	//     Processor: filter-1 (stores: [])
	//       --> reduce-2
	//       <-- source-0
	//     Processor: reduce-2 (stores: [spent])
	//       --> sink-3
	//       <-- filter-1
	//     Sink: sink-3 (topic: totals)
	//       <-- reduce-2
}

func ExampleTopology_Mermaid() {
	b := topology.NewBuilder()
	large := kstream.Filter(kstream.From(b, payments), func(_ string, pounds int64) bool { return pounds >= 100 })
	sums := kstream.Reduce(kstream.GroupByKey(large), func(a, pounds int64) int64 { return a + pounds }, spent)
	ktable.To(sums, totals)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}

	fmt.Print(topo.Mermaid())
	// Output:
	// flowchart TD
	//   t0[("payments")]:::topic
	//   t1[("totals")]:::topic
	//   subgraph group0["sub-topology 0"]
	//     s0n0("source-0"):::step
	//     s0n1("filter-1"):::step
	//     s0n2("reduce-2"):::step
	//     s0n3("sink-3"):::step
	//     s0k0[/"spent"/]:::store
	//     s0c0[("spent-changelog")]:::changelog
	//   end
	//   s0k0 -.- s0c0
	//   t0 --> s0n0
	//   s0n0 --> s0n1
	//   s0n1 --> s0n2
	//   s0n2 -.- s0k0
	//   s0n2 --> s0n3
	//   s0n3 --> t1
	//   classDef step fill:#ffffff,stroke:#57606a,color:#1f2328
	//   classDef topic fill:#ddf4ff,stroke:#0969da,color:#1f2328
	//   classDef changelog fill:#f3f0fa,stroke:#8250df,color:#1f2328,stroke-dasharray:4 3
	//   classDef store fill:#dafbe1,stroke:#1a7f37,color:#1f2328
	//   classDef group fill:#f6f8fa,stroke:#d0d7de,color:#1f2328
	//   class group0 group
}

func ExampleTopology_DOT() {
	b := topology.NewBuilder()
	kstream.To(kstream.Filter(kstream.From(b, payments), func(_ string, pounds int64) bool { return pounds >= 100 }), totals)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}

	fmt.Print(topo.DOT())
	// Output:
	// digraph topology {
	//   node [fontname="Helvetica" fontsize=11 fontcolor="#1f2328" style=filled]
	//   edge [color="#57606a" arrowsize=0.7]
	//   t0 [label="payments" shape=cylinder style="filled" fillcolor="#ddf4ff" color="#0969da"]
	//   t1 [label="totals" shape=cylinder style="filled" fillcolor="#ddf4ff" color="#0969da"]
	//   subgraph cluster0 {
	//     label="sub-topology 0" labeljust=l fontname="Helvetica" fontsize=11 style=filled fillcolor="#f6f8fa" color="#d0d7de"
	//     s0n0 [label="source-0" shape=box style="filled,rounded" fillcolor="#ffffff" color="#57606a"]
	//     s0n1 [label="filter-1" shape=box style="filled,rounded" fillcolor="#ffffff" color="#57606a"]
	//     s0n2 [label="sink-2" shape=box style="filled,rounded" fillcolor="#ffffff" color="#57606a"]
	//   }
	//   t0 -> s0n0
	//   s0n0 -> s0n1
	//   s0n1 -> s0n2
	//   s0n2 -> t1
	// }
}

// A browser shows the picture as it is; these are the texts in it.
func ExampleTopology_SVG() {
	b := topology.NewBuilder()
	kstream.To(kstream.Filter(kstream.From(b, payments), func(_ string, pounds int64) bool { return pounds >= 100 }), totals)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}

	for line := range strings.Lines(topo.SVG()) {
		if strings.Contains(line, "<text") {
			fmt.Print(line)
		}
	}
	// Output:
	// <text x="72" y="99">sub-topology 0</text>
	// <text x="64" y="136">source-0</text>
	// <text x="64" y="190">filter-1</text>
	// <text x="64" y="244">sink-2</text>
	// <text x="64" y="36">payments</text>
	// <text x="64" y="328">totals</text>
}
