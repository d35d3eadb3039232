package topology

import (
	"fmt"
	"html"
	"strings"
)

// SVG draws the graph as a picture that stands alone, on a light background: it names
// usual fonts and loads nothing. Shapes and colours are those of Mermaid. The picture is
// the same for every build of the same program, on every machine.
func (t *Topology) SVG() string {
	p := newPicture(draw(t))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="%d">`+"\n", p.w, p.h, p.w, p.h, fontSize)
	b.WriteString("<title>Topology</title>\n")
	fmt.Fprintf(&b, `<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="%s"/></marker></defs>`+"\n", looks[aStep].line)
	b.WriteString("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n")
	p.writeGroups(&b)
	p.writeLines(&b, false, `marker-end="url(#arrow)"`)
	p.writeLines(&b, true, `stroke-dasharray="3 3"`)
	p.writeBoxes(&b)
	b.WriteString("</svg>\n")
	return b.String()
}

func (p *picture) writeGroups(b *strings.Builder) {
	fmt.Fprintf(b, `<g fill="%s" stroke="%s">`+"\n", groupColour, groupLine)
	for _, f := range p.frames {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="6"/>`+"\n", f.x, f.y, f.w, f.h)
	}
	fmt.Fprintf(b, "</g>\n"+`<g fill="%s">`+"\n", looks[aStep].line)
	for g, f := range p.frames {
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", f.x+p.inner[g].title, f.y+titleHeight-5, p.groups[g])
	}
	b.WriteString("</g>\n")
}

func (p *picture) writeLines(b *strings.Builder, uses bool, attributes string) {
	fmt.Fprintf(b, `<g fill="none" stroke="%s" %s>`+"\n", looks[aStep].line, attributes)
	for i, l := range p.lines {
		if l.uses == uses {
			fmt.Fprintf(b, `<path d="%s"/>`+"\n", path(p.routes[i]))
		}
	}
	b.WriteString("</g>\n")
}

// path is a route as SVG has it: straight where points lie above each other, in a bend
// from one row to the next, and in an arch where it turns back.
func path(r route) string {
	var b strings.Builder
	fmt.Fprintf(&b, "M%d %d", r.at[0].x, r.at[0].y)
	if len(r.at) == 2 {
		fmt.Fprintf(&b, "L%d %d", r.at[1].x, r.at[1].y)
		return b.String()
	}
	down := true
	for i, p := range r.at[1:] {
		from := r.at[i]
		switch {
		case i == 0 && r.sideways:
			fmt.Fprintf(&b, "H%dQ%d %d %d %d", p.x-laneGap, p.x, from.y, p.x, from.y+laneGap)
			fmt.Fprintf(&b, "V%d", p.y)
		case p == from:
			continue
		case p.x == from.x:
			fmt.Fprintf(&b, "V%d", p.y)
		case p.y == from.y:
			arch := p.y + archHeight
			if !down {
				arch = p.y - archHeight
			}
			fmt.Fprintf(&b, "C%d %d %d %d %d %d", from.x, arch, p.x, arch, p.x, p.y)
		default:
			middle := (from.y + p.y) / 2
			fmt.Fprintf(&b, "C%d %d %d %d %d %d", from.x, middle, p.x, middle, p.x, p.y)
		}
		down = p.y > from.y || p.y == from.y && !down
	}
	return b.String()
}

func (p *picture) writeBoxes(b *strings.Builder) {
	for s, look := range looks {
		if !p.has(shape(s)) {
			continue
		}
		fmt.Fprintf(b, `<g fill="%s" stroke="%s"`, look.fill, look.line)
		if look.dashed {
			b.WriteString(` stroke-dasharray="4 3"`)
		}
		b.WriteString(">\n")
		for i, x := range p.boxes {
			if x.shape == shape(s) {
				b.WriteString(outline(x.shape, p.at[i]) + "\n")
			}
		}
		b.WriteString("</g>\n")
	}
	fmt.Fprintf(b, `<g fill="%s" text-anchor="middle">`+"\n", textColour)
	for i, x := range p.boxes {
		r := p.at[i]
		y := r.y + r.h/2 + 4
		if x.shape.cylinder() {
			y += lid / 2
		}
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", r.x+r.w/2, y, html.EscapeString(x.label))
	}
	b.WriteString("</g>\n")
}

// outline is a shape as an element.
func outline(s shape, r rect) string {
	switch {
	case s.cylinder():
		rx := r.w / 2
		return fmt.Sprintf(`<path d="M%d %da%d %d 0 0 1 %d 0v%da%d %d 0 0 1 %d 0zm0 0a%d %d 0 0 0 %d 0"/>`,
			r.x, r.y+lid, rx, lid, r.w, r.h-2*lid, rx, lid, -r.w, rx, lid, r.w)
	case s == aStep:
		return fmt.Sprintf(`<rect x="%d" y="%d" width="%d" height="%d" rx="5"/>`, r.x, r.y, r.w, r.h)
	}
	return fmt.Sprintf(`<path d="M%d %dh%dl%d %dh%dz"/>`, r.x+slant, r.y, r.w-slant, -slant, r.h, slant-r.w)
}
