package topology_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// Programs that are one graph here and in Kafka Streams have one description, but for the
// names of their steps and the order in which these are listed. Other programs are other
// graphs on purpose, and are not here:
//   - Split is two filters; there a step branches.
//   - Repartition and KeyBy have no step that drops null keys, and the groups of a table
//     have one; there it is the other way around.
//   - Windows are a step of their own, as are tables that are computed and then kept.
//   - Joins of two streams and foreign-key joins have fewer steps.
func TestDescribeAsKafkaStreams(t *testing.T) {
	for _, c := range []struct {
		file    string
		build   func(*topology.Builder)
		renamed []string // in the file: from, to, ...
	}{
		{"filter", filterTo, nil},
		{"merge-three", mergeThree, nil},
		{"table", tableTo, nil},
		{"count", countTo("c"), nil},
		{"named-store-only", countTo("counts"), nil},
		{"group-by-count", groupByCount("c", "c", false), nil},
		{"named-group-count", groupByCount("by-letter", "letter-counts", true), nil},
		{"cogroup-three", cogroupThree, nil},
		{"named-cogroup", cogroupTwo, nil},
		{"process-children", processChildren, nil},
		{"named-processor", processorTo, nil},
		{"processor-api", processors, nil},
		{"optimised-two-aggregates", twoAggregates, []string{
			"KSTREAM-AGGREGATE-STATE-STORE-0000000002", "counts", "KSTREAM-REDUCE-STATE-STORE-0000000010", "last",
		}},
		{"stream-table-rekeyed", joinTable, []string{
			"KSTREAM-KEY-SELECT-0000000002-repartition", "rekeyed-repartition", "right-STATE-STORE-0000000003", "right",
		}},
		{"table-table-outer", outerJoin, []string{
			"left-STATE-STORE-0000000000", "left", "right-STATE-STORE-0000000003", "right",
		}},
		{"stream-global-inner", joinGlobal, []string{
			"right-STATE-STORE-0000000001", "right",
			// There the step is not said to use the table.
			"KSTREAM-LEFTJOIN-0000000004 (stores: [])", "KSTREAM-LEFTJOIN-0000000004 (stores: [right])",
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			b := topology.NewBuilder()
			c.build(b)
			topo, err := b.Build()
			require.NoError(t, err)
			want, err := os.ReadFile(filepath.Join("testdata", "kafka-streams", c.file+".txt"))
			require.NoError(t, err)
			require.Equal(t, anonymous(t, strings.NewReplacer(c.renamed...).Replace(string(want))), anonymous(t, topo.Describe()))
		})
	}
}

// What a step reads twice, or is given twice, is named once.
func TestDescribeOnce(t *testing.T) {
	topo := built(t, func(b *topology.Builder) {
		in := kstream.From(b, text("in"))
		kstream.Process(kstream.Merge(in, in), "look", never, rows("seen"), rows("seen"))
	})
	require.Equal(t, `Topologies:
   Sub-topology: 0
    Source: source-0 (topics: [in])
      --> merge-1
    Processor: merge-1 (stores: [])
      --> look-2
      <-- source-0
    Processor: look-2 (stores: [seen])
      --> none
      <-- merge-1

`, topo.Describe())
}

var (
	nodeLine  = regexp.MustCompile(`^    (Source|Processor|Sink): (\S+) \((.+)\)$`)
	arrowLine = regexp.MustCompile(`^      (-->|<--) (\S.*)$`)
)

// anonymous is a description with numbers instead of names, and with nodes in the order of
// the numbers: those of sources by their topics, and from there depth first.
func anonymous(t *testing.T, text string) string {
	var out []string
	var nodes []*describedNode
	flush := func() {
		out = append(out, anonymousNodes(nodes)...)
		nodes = nil
	}
	for _, l := range strings.Split(text, "\n") {
		if m := nodeLine.FindStringSubmatch(l); m != nil {
			nodes = append(nodes, &describedNode{kind: m[1], name: m[2], with: m[3]})
		} else if m := arrowLine.FindStringSubmatch(l); m != nil {
			n := nodes[len(nodes)-1]
			n.arrows = append(n.arrows, m[1])
			n.names = append(n.names, strings.Split(m[2], ", "))
		} else {
			require.NotRegexp(t, "-->|<--|Source|Processor|Sink", l, "the layout of a line")
			flush()
			out = append(out, l)
		}
	}
	flush()
	return strings.Join(out, "\n")
}

type describedNode struct {
	kind, name, with string
	arrows           []string
	names            [][]string // behind each arrow
}

func anonymousNodes(nodes []*describedNode) (lines []string) {
	named, numbers := map[string]*describedNode{}, map[string]string{"none": "none"}
	var order, sources []*describedNode
	for _, n := range nodes {
		named[n.name] = n
		if n.kind == "Source" {
			sources = append(sources, n)
		}
	}
	slices.SortFunc(sources, func(a, b *describedNode) int { return strings.Compare(a.with, b.with) })
	var visit func(n *describedNode)
	visit = func(n *describedNode) {
		if numbers[n.name] != "" {
			return
		}
		numbers[n.name] = fmt.Sprintf("n%d", len(order))
		order = append(order, n)
		if n.arrows[0] == "-->" {
			for _, c := range n.names[0] {
				if c != "none" {
					visit(named[c])
				}
			}
		}
	}
	for _, n := range sources {
		visit(n)
	}
	for _, n := range order {
		lines = append(lines, fmt.Sprintf("%s: %s (%s)", n.kind, numbers[n.name], n.with))
		for i, arrow := range n.arrows {
			line := arrow
			for _, name := range n.names[i] {
				line += " " + numbers[name]
			}
			lines = append(lines, line)
		}
	}
	return append(lines, fmt.Sprintf("%d nodes", len(nodes)))
}

func early(_, v string) bool { return v < "r" }

func digits(n int64) string { return fmt.Sprint(n) }

func number[V any]() aggregate.Aggregator[V, int64] {
	return aggregate.Sum(func(V) int64 { return 1 })
}

// never starts a processor; the topologies here are described and do not run.
func never(*topology.Context[string, string]) (topology.Processor[string, string], error) {
	return nil, nil
}

func filterTo(b *topology.Builder) {
	kstream.To(kstream.Filter(kstream.From(b, text("in")), early), text("out"))
}

func mergeThree(b *topology.Builder) {
	one := kstream.MapValues(kstream.From(b, text("in1")), func(v string) string { return v + "1" })
	two := kstream.Filter(kstream.From(b, text("in2")), early)
	kstream.To(kstream.Merge(kstream.Merge(one, two), kstream.From(b, text("in3"))), text("out"))
}

func tableTo(b *topology.Builder) {
	table := ktable.Materialize(ktable.From(b, text("in")), rows("t"))
	kstream.To(kstream.Updates(table), text("out"))
}

func countTo(store string) func(*topology.Builder) {
	return func(b *topology.Builder) {
		table := kstream.Count(kstream.GroupByKey(kstream.From(b, text("in"))), counts(store))
		kstream.To(kstream.MapValues(kstream.Updates(table), digits), text("out"))
	}
}

func groupByCount(through, store string, filtered bool) func(*topology.Builder) {
	return func(b *topology.Builder) {
		in := kstream.From(b, text("in"))
		if filtered {
			in = kstream.Filter(in, early)
		}
		table := kstream.Count(kstream.GroupBy(in, first, text(through)), counts(store))
		kstream.To(kstream.MapValues(kstream.Updates(table), digits), text("out"))
	}
}

func cogroupThree(b *topology.Builder) {
	one, two, three := kstream.From(b, text("in1")), kstream.From(b, text("in2")), kstream.From(b, text("in3"))
	table := kstream.Cogroup(counts("c"),
		kstream.Folding(kstream.GroupByKey(one), number[string]()),
		kstream.Folding(kstream.GroupByKey(two), number[string]()),
		kstream.Folding(kstream.GroupBy(three, first, text("c")), number[string]()))
	kstream.To(kstream.Updates(table), numbers("out"))
}

func cogroupTwo(b *topology.Builder) {
	one, two := kstream.From(b, text("in1")), kstream.From(b, text("in2"))
	table := kstream.Cogroup(counts("both"),
		kstream.Folding(kstream.GroupByKey(one), number[string]()),
		kstream.Folding(kstream.GroupBy(two, first, text("g2")), number[string]()))
	kstream.To(kstream.Updates(table), numbers("out"))
}

func processChildren(b *topology.Builder) {
	in := kstream.Filter(kstream.From(b, text("in")), early)
	p := kstream.Process(in, "p", never, counts("n"))
	for _, name := range []string{"one", "two"} {
		child := kstream.MapValues(p, func(v string) string { return name + v })
		kstream.To(child, text("out-"+name))
		kstream.To(child, text("out-all"))
	}
	kstream.To(kstream.Filter(p, early), text("out-three"))
}

func processorTo(b *topology.Builder) {
	p := kstream.Process(kstream.From(b, text("in")), "remember", never, rows("last"))
	kstream.To(kstream.Filter(p, early), text("out-some"))
	kstream.To(p, text("out"))
}

func processors(b *topology.Builder) {
	split := topology.Process(topology.Source(b, text("in")), "split", never)
	topology.Sink(topology.Process(split, "count", never, counts("n")), text("out-b"))
	topology.Sink(split, text("out-a"))
}

func twoAggregates(b *topology.Builder) {
	grouped := kstream.GroupBy(kstream.From(b, text("in")), first, text("counts"))
	count := kstream.Count(grouped, counts("counts"))
	last := kstream.Reduce(grouped, func(_, v string) string { return v }, rows("last"))
	kstream.To(kstream.MapValues(kstream.Updates(count), digits), text("out-count"))
	kstream.To(kstream.Updates(last), text("out-reduce"))
}

func joinGlobal(b *topology.Builder) {
	left, right := kstream.From(b, text("left")), ktable.GlobalFrom(b, text("right"))
	joined := kstream.JoinGlobal(left, right, func(k, v string) (string, bool) { return v, v != "" }, first)
	kstream.To(joined, text("out"))
}

// numbers describes a topic of numbers.
func numbers(name string) topology.Topic[string, int64] {
	return topology.Topic[string, int64]{Name: name, Key: serde.String, Value: serde.Int64}
}

func joinTable(b *topology.Builder) {
	rekeyed := kstream.SelectKey(kstream.Filter(kstream.From(b, text("left")), early), first)
	left, right := kstream.Repartition(rekeyed, text("rekeyed")), ktable.From(b, text("right"))
	kstream.To(kstream.Join(left, right, first), text("out"))
}

func outerJoin(b *topology.Builder) {
	left, right := ktable.From(b, text("left")), ktable.From(b, text("right"))
	joined := ktable.OuterJoin(left, right, func(v string, _ bool, w string, _ bool) string { return v + w })
	kstream.To(kstream.Updates(joined), text("out"))
}
