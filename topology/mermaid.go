package topology

import (
	"fmt"
	"strings"
)

// Mermaid draws the graph as a Mermaid flowchart, which GitHub and many other viewers of
// Markdown render in a block marked mermaid. Topics are cylinders, with a dashed border
// if they are the application's own; stores are joined to the steps that use them, and
// sub-topologies are boxes around their steps.
func (t *Topology) Mermaid() string {
	d := draw(t)
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	mermaidBoxes(&b, d, -1, "  ")
	for g, title := range d.groups {
		fmt.Fprintf(&b, "  subgraph group%d[\"%s\"]\n", g, title)
		mermaidBoxes(&b, d, g, "    ")
		b.WriteString("  end\n")
	}
	for _, l := range d.lines {
		arrow := "-->"
		if l.uses {
			arrow = "-.-"
		}
		fmt.Fprintf(&b, "  %s %s %s\n", d.boxes[l.from].id, arrow, d.boxes[l.to].id)
	}
	for i, l := range looks {
		if d.has(shape(i)) {
			mermaidClass(&b, l.name, l.fill, l.line, l.dashed)
		}
	}
	if len(d.groups) > 0 {
		mermaidClass(&b, "group", groupColour, groupLine, false)
		for g := range d.groups {
			fmt.Fprintf(&b, "  class group%d group\n", g)
		}
	}
	return b.String()
}

func mermaidClass(b *strings.Builder, name, fill, line string, dashed bool) {
	fmt.Fprintf(b, "  classDef %s fill:%s,stroke:%s,color:%s", name, fill, line, textColour)
	if dashed {
		b.WriteString(",stroke-dasharray:4 3")
	}
	b.WriteString("\n")
}

// mermaidBoxes writes the boxes of one group.
func mermaidBoxes(b *strings.Builder, d *drawing, group int, indent string) {
	for _, x := range d.boxes {
		if x.group != group {
			continue
		}
		left, right := "[(", ")]"
		switch x.shape {
		case aStep:
			left, right = "(", ")"
		case aStore, aGlobal:
			left, right = "[/", "/]"
		}
		fmt.Fprintf(b, "%s%s%s\"%s\"%s:::%s\n", indent, x.id, left, mermaidText.Replace(x.label), right, looks[x.shape].name)
	}
}

// mermaidText writes as entities what would end a label, begin another entity, or be read
// as HTML or Markdown.
var mermaidText = strings.NewReplacer(
	`"`, "#quot;", "#", "#35;", "&", "#amp;", "<", "#lt;", ">", "#gt;",
	"`", "#96;", "*", "#42;", `\`, "#92;",
)
