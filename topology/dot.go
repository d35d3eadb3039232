package topology

import (
	"fmt"
	"strings"
)

// DOT draws the graph in the language of Graphviz: dot -Tsvg renders it. Shapes and
// colours are those of Mermaid.
func (t *Topology) DOT() string {
	d := draw(t)
	var b strings.Builder
	b.WriteString("digraph topology {\n")
	fmt.Fprintf(&b, "  node [fontname=\"Helvetica\" fontsize=11 fontcolor=%q style=filled]\n", textColour)
	fmt.Fprintf(&b, "  edge [color=%q arrowsize=0.7]\n", looks[aStep].line)
	dotBoxes(&b, d, -1, "  ")
	for g, title := range d.groups {
		fmt.Fprintf(&b, "  subgraph cluster%d {\n", g)
		fmt.Fprintf(&b, "    label=\"%s\" labeljust=l fontname=\"Helvetica\" fontsize=11 style=filled fillcolor=%q color=%q\n", title, groupColour, groupLine)
		dotBoxes(&b, d, g, "    ")
		b.WriteString("  }\n")
	}
	for _, l := range d.lines {
		fmt.Fprintf(&b, "  %s -> %s", d.boxes[l.from].id, d.boxes[l.to].id)
		if l.uses {
			b.WriteString(" [style=dashed dir=none]")
		}
		b.WriteString("\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// dotBoxes writes the boxes of one group.
func dotBoxes(b *strings.Builder, d *drawing, group int, indent string) {
	for _, x := range d.boxes {
		if x.group != group {
			continue
		}
		shape, style, look := "cylinder", "filled", looks[x.shape]
		switch x.shape {
		case aStep:
			shape, style = "box", "filled,rounded"
		case aStore, aGlobal:
			shape = "parallelogram"
		}
		if look.dashed {
			style += ",dashed"
		}
		fmt.Fprintf(b, "%s%s [label=\"%s\" shape=%s style=%q fillcolor=%q color=%q]\n", indent, x.id, dotText.Replace(x.label), shape, style, look.fill, look.line)
	}
}

// dotText escapes a quoted string of DOT, in which Graphviz also reads entities of HTML.
var dotText = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "&", "&amp;")
