package topology

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// Describe prints the graph in the format of Kafka Streams' Topology#describe, which its
// visualisers read. In each sub-topology the sources come first and then the steps, depth
// first, each behind everything that it reads from. The text is the same for every build
// of the same program. It leaves out the id of the application, which topics of its own
// begin with in Kafka.
//
// A table that keeps the rows of its topic is printed as two nodes, as there: a source,
// and a processor with the store.
func (t *Topology) Describe() string {
	var b strings.Builder
	b.WriteString("Topologies:\n ")
	for _, s := range t.Subtopologies {
		fmt.Fprintf(&b, "  Sub-topology: %d\n", s.ID)
		newDescription(&b, t, s).write()
		b.WriteString("\n")
	}
	for i, g := range t.Globals {
		source, table := g.Name+"-global-source", g.Name+"-global-table"
		fmt.Fprintf(&b, "  Sub-topology: %d for global store (will not generate tasks)\n", len(t.Subtopologies)+i)
		entry{"Source", source, "topics: [" + g.Topic + "]", []string{table}, nil}.write(&b)
		entry{"Processor", table, "stores: [" + g.Name + "]", nil, []string{source}}.write(&b)
	}
	return b.String()
}

// description is a sub-topology that is being described.
type description struct {
	b        *strings.Builder
	t        *Topology
	s        *plan.Subtopology
	children [][]int
}

func newDescription(b *strings.Builder, t *Topology, s *plan.Subtopology) *description {
	d := &description{b, t, s, make([][]int, len(s.Nodes))}
	for i, n := range s.Nodes {
		for _, p := range n.Parents {
			d.children[p] = append(d.children[p], i)
		}
	}
	return d
}

func (d *description) write() {
	missing := make([]int, len(d.s.Nodes)) // parents that were not printed yet
	for i, n := range d.s.Nodes {
		missing[i] = len(n.Parents)
		if n.Source >= 0 {
			d.source(i)
		}
	}
	var visit func(int)
	visit = func(i int) {
		d.step(i)
		for _, c := range d.children[i] {
			if missing[c]--; missing[c] == 0 {
				visit(c)
			}
		}
	}
	for i, n := range d.s.Nodes {
		if n.Source >= 0 {
			visit(i)
		}
	}
}

// source prints a source, or the first of the two nodes that a table is.
func (d *description) source(i int) {
	n := d.s.Nodes[i]
	e := entry{"Source", oneLine(n.Name), "topics: [" + topicName(d.s.Sources[n.Source].Topic) + "]", d.names(d.children[i]), nil}
	if len(n.Stores) > 0 {
		e.name, e.children = sourceOf(n), []string{oneLine(n.Name)}
	}
	e.write(d.b)
}

// sourceOf names the source of a table. Names of steps end in a number, so it is no other's.
func sourceOf(n plan.Node) string { return oneLine(n.Name) + "-source" }

// step prints what is no source: sinks, processors, and the second node of a table.
func (d *description) step(i int) {
	n := d.s.Nodes[i]
	e := entry{name: oneLine(n.Name), children: d.names(d.children[i]), parents: d.names(n.Parents)}
	switch {
	case n.Sink >= 0 && d.s.Sinks[n.Sink].Each:
		e.kind, e.with = "Sink", "extractor class: each record names its topic"
	case n.Sink >= 0:
		e.kind, e.with = "Sink", "topic: "+topicName(d.s.Sinks[n.Sink].Topic)
	case n.Source >= 0 && len(n.Stores) == 0:
		return
	case n.Source >= 0:
		e.parents = []string{sourceOf(n)}
		fallthrough
	default:
		e.kind, e.with = "Processor", "stores: ["+strings.Join(d.stores(n), ", ")+"]"
	}
	e.write(d.b)
}

// stores are the names of the stores and global tables that a node uses.
func (d *description) stores(n plan.Node) (names []string) {
	for _, slot := range n.Stores {
		names = append(names, d.s.Stores[slot].Name)
	}
	for _, g := range n.Globals {
		names = append(names, d.t.Globals[g].Name)
	}
	return unique(names)
}

func (d *description) names(nodes []int) (names []string) {
	for _, i := range nodes {
		names = append(names, oneLine(d.s.Nodes[i].Name))
	}
	return unique(names)
}

// unique drops names that were there before.
func unique(names []string) (out []string) {
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// entry is a node as it is printed.
type entry struct {
	kind, name, with  string
	children, parents []string
}

func (e entry) write(b *strings.Builder) {
	fmt.Fprintf(b, "    %s: %s (%s)\n", e.kind, e.name, e.with)
	list := func(arrow string, names []string) {
		if len(names) == 0 {
			names = []string{"none"}
		}
		fmt.Fprintf(b, "      %s %s\n", arrow, strings.Join(names, ", "))
	}
	if e.kind != "Sink" {
		list("-->", e.children)
	}
	if e.kind != "Source" {
		list("<--", e.parents)
	}
}

// topicName is a topic's name without the application's id.
func topicName(t plan.Topic) string {
	if t.Repartition {
		return t.Name + "-repartition"
	}
	return t.Name
}

// oneLine is a name that stays on its line: a user may name a step anything.
func oneLine(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, name)
}
