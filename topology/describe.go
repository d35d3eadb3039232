package topology

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// Describe prints the graph in the format of Kafka Streams' Topology#describe, which its
// visualisers read. The application's id is not part of it.
func (t *Topology) Describe() string {
	var b strings.Builder
	b.WriteString("Topologies:\n")
	for i, s := range t.Subtopologies {
		if i == 0 {
			b.WriteString(" ")
		}
		fmt.Fprintf(&b, "  Sub-topology: %d\n", s.ID)
		d := description{t, s, childrenOf(s)}
		for _, n := range d.order() {
			d.node(&b, n)
		}
		b.WriteString("\n")
	}
	for i, g := range t.Globals {
		id := len(t.Subtopologies) + i
		fmt.Fprintf(&b, "  Sub-topology: %d for global store (will not generate tasks)\n", id)
		source, table := fmt.Sprintf("global-source-%d", i), fmt.Sprintf("global-table-%d", i)
		fmt.Fprintf(&b, "    Source: %s (topics: [%s])\n      --> %s\n", source, g.Topic, table)
		fmt.Fprintf(&b, "    Processor: %s (stores: [%s])\n      --> none\n      <-- %s\n\n", table, g.Name, source)
	}
	return b.String()
}

// description is a sub-topology that is being described.
type description struct {
	t        *Topology
	s        *plan.Subtopology
	children [][]int
}

func childrenOf(s *plan.Subtopology) [][]int {
	children := make([][]int, len(s.Nodes))
	for i, n := range s.Nodes {
		for _, p := range n.Parents {
			children[p] = append(children[p], i)
		}
	}
	return children
}

// order is that in which nodes are printed: each source, and behind it, depth first, what
// has no parent left that was not printed.
func (d description) order() (nodes []int) {
	missing := make([]int, len(d.s.Nodes))
	for i, n := range d.s.Nodes {
		missing[i] = len(n.Parents)
	}
	var visit func(int)
	visit = func(i int) {
		nodes = append(nodes, i)
		for _, c := range d.children[i] {
			if missing[c]--; missing[c] == 0 {
				visit(c)
			}
		}
	}
	for i, n := range d.s.Nodes {
		if len(n.Parents) == 0 {
			visit(i)
		}
	}
	return nodes
}

func (d description) node(b *strings.Builder, i int) {
	n := d.s.Nodes[i]
	switch {
	case n.Source >= 0:
		fmt.Fprintf(b, "    Source: %s (topics: [%s])\n", n.Name, topicName(d.s.Sources[n.Source].Topic))
	case n.Sink >= 0 && d.s.Sinks[n.Sink].Each:
		fmt.Fprintf(b, "    Sink: %s (extractor class: each record names its topic)\n", n.Name)
	case n.Sink >= 0:
		fmt.Fprintf(b, "    Sink: %s (topic: %s)\n", n.Name, topicName(d.s.Sinks[n.Sink].Topic))
	default:
		fmt.Fprintf(b, "    Processor: %s (stores: [%s])\n", n.Name, strings.Join(d.stores(n), ", "))
	}
	if n.Sink < 0 {
		fmt.Fprintf(b, "      --> %s\n", d.names(d.children[i]))
	}
	if len(n.Parents) > 0 {
		fmt.Fprintf(b, "      <-- %s\n", d.names(n.Parents))
	}
}

// stores are the names of the stores that a node uses.
func (d description) stores(n plan.Node) (names []string) {
	for _, slot := range n.Stores {
		names = append(names, d.s.Stores[slot].Name)
	}
	for _, g := range n.Globals {
		names = append(names, d.t.Globals[g].Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (d description) names(nodes []int) string {
	if len(nodes) == 0 {
		return "none"
	}
	var names []string
	for _, i := range nodes {
		names = append(names, d.s.Nodes[i].Name)
	}
	return strings.Join(names, ", ")
}

// topicName is a topic's name without the application's id.
func topicName(t plan.Topic) string {
	if t.Repartition {
		return t.Name + "-repartition"
	}
	return t.Name
}

// Mermaid draws the graph as a Mermaid flowchart, which Markdown viewers render: topics as
// cylinders, stores beside the steps that use them, sub-topologies as boxes.
func (t *Topology) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	topics := map[string]string{}
	topic := func(name string) string {
		if topics[name] == "" {
			topics[name] = fmt.Sprintf("t%d", len(topics))
			fmt.Fprintf(&b, "  %s[(%s)]\n", topics[name], mermaidText(name))
		}
		return topics[name]
	}
	var links []string
	link := func(format string, args ...any) { links = append(links, fmt.Sprintf(format, args...)) }
	for _, g := range t.Globals {
		link("%s --> g%s", topic(g.Topic), mermaidID(g.Name))
		fmt.Fprintf(&b, "  g%s[/%s/]\n", mermaidID(g.Name), mermaidText(g.Name))
	}
	for _, s := range t.Subtopologies {
		id := func(i int) string { return fmt.Sprintf("s%dn%d", s.ID, i) }
		for _, n := range s.Nodes {
			if n.Source >= 0 {
				topic(topicName(s.Sources[n.Source].Topic))
			} else if n.Sink >= 0 && !s.Sinks[n.Sink].Each {
				topic(topicName(s.Sinks[n.Sink].Topic))
			}
		}
		fmt.Fprintf(&b, "  subgraph sub%d[sub-topology %d]\n", s.ID, s.ID)
		for i, n := range s.Nodes {
			fmt.Fprintf(&b, "    %s(%s)\n", id(i), mermaidText(n.Name))
		}
		for i, st := range s.Stores {
			fmt.Fprintf(&b, "    s%dk%d[/%s/]\n", s.ID, i, mermaidText(st.Name))
		}
		b.WriteString("  end\n")
		for i, n := range s.Nodes {
			for _, p := range n.Parents {
				link("%s --> %s", id(p), id(i))
			}
			for _, k := range n.Stores {
				link("%s -.- s%dk%d", id(i), s.ID, k)
			}
			for _, g := range n.Globals {
				link("%s -.- g%s", id(i), mermaidID(t.Globals[g].Name))
			}
			if n.Source >= 0 {
				link("%s --> %s", topic(topicName(s.Sources[n.Source].Topic)), id(i))
			} else if n.Sink >= 0 && !s.Sinks[n.Sink].Each {
				link("%s --> %s", id(i), topic(topicName(s.Sinks[n.Sink].Topic)))
			}
		}
	}
	for _, l := range links {
		b.WriteString("  " + l + "\n")
	}
	return b.String()
}

// mermaidText quotes a label.
func mermaidText(s string) string { return `"` + strings.ReplaceAll(s, `"`, "#quot;") + `"` }

// mermaidID makes a name that Mermaid takes as an identifier.
func mermaidID(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, s)
}
