package topology

import (
	"slices"
	"strings"
)

// Sizes in a picture, in pixels.
const (
	fontSize    = 12
	padding     = 14 // between a group and its steps
	margin      = 12 // around everything
	titleHeight = 20
	storeGap    = 22 // between a step and its stores
	stackGap    = 7  // between stores
	laneGap     = 10 // between lines that run down beside stores
	nearby      = 3  // a bend that is smaller is left out
	lid         = 4  // half the height of a cylinder's lid
	slant       = 8  // of a parallelogram
	archHeight  = 18 // of a line that turns back
)

// picture is a drawing with a place for everything: the steps of each group in layers, and
// then the groups and what is outside them in layers.
type picture struct {
	*drawing
	w, h   int
	at     []rect  // of the boxes
	frames []rect  // of the groups
	routes []route // of the lines
	inner  []*inside
}

// rect is a rectangle, by its upper left corner.
type rect struct{ x, y, w, h int }

// route is where a line goes: from point to point.
type route struct {
	at       []point
	sideways bool // it leaves to the side, not downwards
}

func newPicture(d *drawing) *picture {
	p := &picture{drawing: d, at: make([]rect, len(d.boxes)), routes: make([]route, len(d.lines))}
	for i, x := range d.boxes {
		p.at[i].w, p.at[i].h = sizeOf(x)
	}
	for g := range d.groups {
		p.inner = append(p.inner, p.arrange(g))
	}
	outer, itemOf, linkOf := p.outside()
	outer.place()
	for g, in := range p.inner {
		x := outer.items[g]
		p.frames = append(p.frames, rect{margin + x.x, margin + x.y, x.w, x.down})
		p.settle(in, p.frames[g])
	}
	for i, x := range d.boxes {
		if x.group < 0 {
			at := outer.items[itemOf[i]]
			p.at[i].x, p.at[i].y = margin+at.x, margin+at.y
		}
	}
	for i := range d.lines {
		p.route(i, outer, linkOf)
	}
	p.w, p.h = outer.size()
	p.w, p.h = p.w+2*margin, p.h+2*margin
	return p
}

// sizeOf is how much room a box needs: an even number, so that it has a middle.
func sizeOf(x box) (w, h int) {
	w = textWidth(x.label)
	switch x.shape {
	case aStep:
		return w + 20, 28
	case aStore, aGlobal:
		return w + 2*slant + 10, 24
	case aChangelog:
		return w + 16, 30
	}
	return w + 20, 36
}

// textWidth is how wide a text is: no less than in Helvetica, since a viewer may take
// another font. It is an even number.
func textWidth(s string) int {
	hundredths := 0 // of the font's size
	for _, r := range s {
		switch {
		case strings.ContainsRune("mwMW@%", r):
			hundredths += 102
		case strings.ContainsRune("ijlI.,:;'| ", r):
			hundredths += 32
		case strings.ContainsRune("ftr-", r):
			hundredths += 41
		case r >= 'A' && r <= 'Z' || r == '&':
			hundredths += 79
		case r < 0x2E80: // before the scripts of East Asia
			hundredths += 62
		default:
			hundredths += 100
		}
	}
	return (hundredths*fontSize + 199) / 200 * 2
}

// inside is a group with its steps in layers. A step and the stores beside it are one item.
type inside struct {
	*layers
	group  int
	title  int           // where its title begins
	steps  map[int]int   // their items
	stores map[int][]int // of the steps, with their changelogs
	lanes  map[int]int   // of stores that other steps use too
	linkOf map[int]int   // of the lines
}

// arrange puts the steps of a group in layers.
func (p *picture) arrange(group int) *inside {
	in := &inside{
		layers: &layers{gapX: 24, gapY: 26}, group: group,
		steps: map[int]int{}, stores: map[int][]int{}, lanes: map[int]int{}, linkOf: map[int]int{},
	}
	for i, x := range p.boxes {
		if x.group == group && x.shape == aStep {
			in.steps[i] = len(in.items)
			in.items = append(in.items, item{w: p.at[i].w, up: p.at[i].h / 2, down: p.at[i].h / 2})
		}
	}
	p.stack(in)
	for i, l := range p.lines {
		from, inFrom := in.steps[l.from]
		to, inTo := in.steps[l.to]
		switch {
		case inFrom && inTo:
			in.link(i, link{from: from, to: to, out: p.at[l.from].w / 2, in: p.at[l.to].w / 2})
		case inTo:
			in.link(i, link{from: -1, to: to, in: p.at[l.to].w / 2})
		case inFrom && !l.uses: // to a topic
			in.items[from].last = true
		}
	}
	in.rank()
	p.share(in)
	in.place()
	p.entitle(in)
	return in
}

func (in *inside) link(line int, l link) {
	in.linkOf[line] = len(in.links)
	in.links = append(in.links, l)
}

// stack puts stores, and their changelogs, beside the steps that were first given them, and
// lanes beside those for the lines to other steps. The places are relative to the step.
func (p *picture) stack(in *inside) {
	for i, x := range p.boxes { // a changelog follows its store
		switch {
		case x.group != in.group:
		case x.shape == aStore:
			in.stores[x.beside] = append(in.stores[x.beside], i)
		case x.shape == aChangelog:
			step := p.boxes[x.beside].beside
			in.stores[step] = append(in.stores[step], i)
		}
	}
	for step, stores := range in.stores {
		w, y := 0, -p.at[stores[0]].h/2
		for _, i := range stores {
			w = max(w, p.at[i].w)
		}
		for _, i := range stores {
			p.at[i].x, p.at[i].y = p.at[step].w+storeGap+(w-p.at[i].w)/2, y
			y += p.at[i].h + stackGap
		}
		x := &in.items[in.steps[step]]
		x.w, x.down = p.at[step].w+storeGap+w, max(x.down, y-stackGap)
	}
	for _, l := range p.lines {
		if _, ok := in.steps[l.from]; !ok || !p.shares(l) || in.lanes[l.to] > 0 {
			continue
		}
		x := &in.items[in.steps[p.boxes[l.to].beside]]
		x.w += laneGap
		in.lanes[l.to] = x.w
	}
}

// shares says whether a line joins a step with a store that stands beside another.
func (p *picture) shares(l line) bool {
	return p.boxes[l.to].shape == aStore && p.boxes[l.to].beside != l.from
}

// share adds links from stores to the other steps that use them, further down. Those that
// are not further down are joined by a straight line.
func (p *picture) share(in *inside) {
	for i, l := range p.lines {
		step, ok := in.steps[l.from]
		if !ok || !p.shares(l) {
			continue
		}
		owner := in.steps[p.boxes[l.to].beside]
		if in.items[owner].row < in.items[step].row {
			in.link(i, link{from: owner, to: step, out: in.lanes[l.to], in: p.at[l.from].w / 2})
		}
	}
}

// entitle finds a place for the title of a group, between the lines that enter it.
func (p *picture) entitle(in *inside) {
	width, at := textWidth(p.groups[in.group]), []int(nil)
	for _, l := range in.links {
		if l.from < 0 {
			at = append(at, padding+in.points(l)[0].x)
		}
	}
	slices.Sort(at)
	in.title = padding
	for _, x := range at {
		if x > in.title-6 && x < in.title+width+6 {
			in.title = x + 8
		}
	}
}

// frame is how much room a group needs.
func (p *picture) frame(in *inside) (w, h int) {
	w, h = in.size()
	return max(w+2*padding, in.title+textWidth(p.groups[in.group])+padding), h + titleHeight + 2*padding
}

// outside makes layers of the groups and of the boxes that are in none.
func (p *picture) outside() (l *layers, itemOf, linkOf map[int]int) {
	l, itemOf, linkOf = &layers{gapX: 28, gapY: 36, arch: archHeight}, map[int]int{}, map[int]int{}
	for _, in := range p.inner {
		w, h := p.frame(in)
		l.items = append(l.items, item{w: w, down: h})
	}
	for i, x := range p.boxes {
		if x.group < 0 {
			itemOf[i] = len(l.items)
			l.items = append(l.items, item{w: p.at[i].w, down: p.at[i].h})
		}
	}
	for i, x := range p.lines {
		from, to := p.boxes[x.from].group, p.boxes[x.to].group
		if from >= 0 && to >= 0 {
			continue
		}
		k := link{from: itemOf[x.from], to: itemOf[x.to], out: p.at[x.from].w / 2, in: p.at[x.to].w / 2}
		if from >= 0 {
			in := p.inner[from]
			k.from, k.out = from, padding+in.items[in.steps[x.from]].x+p.at[x.from].w/2
		}
		if to >= 0 {
			in := p.inner[to]
			k.to, k.in = to, padding+in.points(in.links[in.linkOf[i]])[0].x
		}
		linkOf[i] = len(l.links)
		l.links = append(l.links, k)
	}
	l.rank()
	l.lower()
	return l, itemOf, linkOf
}

// settle gives the boxes of a group their places in the picture.
func (p *picture) settle(in *inside, frame rect) {
	for step, i := range in.steps {
		x := in.items[i]
		left, middle := frame.x+padding+x.x, frame.y+titleHeight+padding+x.y
		p.at[step].x, p.at[step].y = left, middle-p.at[step].h/2
		for _, s := range in.stores[step] {
			p.at[s].x, p.at[s].y = left+p.at[s].x, middle+p.at[s].y
		}
	}
}

// route gives a line its points: on the layers it passes, and where it leaves and enters.
func (p *picture) route(i int, outer *layers, linkOf map[int]int) {
	l := p.lines[i]
	from, to := p.at[l.from], p.at[l.to]
	var at []point
	if k, ok := linkOf[i]; ok {
		at = append(at, moved(outer.points(outer.links[k]), margin, margin)...)
	}
	if g := p.boxes[l.to].group; g >= 0 {
		at = append(at, p.within(g, i)...)
	} else if g := p.boxes[l.from].group; g >= 0 {
		at = append(at, p.within(g, i)...)
	}
	r := &p.routes[i]
	switch {
	case len(at) == 0:
		r.at = short(from, to)
		return
	case p.boxes[l.to].shape == aStore: // the line runs from the store down to the step
		r.sideways = true
		r.at = slices.Concat([]point{{to.x + to.w, to.y + to.h/2}}, at, []point{{at[len(at)-1].x, from.y}})
	default:
		r.at = slices.Concat([]point{{at[0].x, from.y + from.h}}, at, []point{{at[len(at)-1].x, to.y}})
	}
	for k := range r.at[1:] {
		if d := r.at[k+1].x - r.at[k].x; max(d, -d) <= nearby {
			r.at[k+1].x = r.at[k].x
		}
	}
}

// within is the part of a line inside a group.
func (p *picture) within(group, line int) []point {
	in := p.inner[group]
	k, ok := in.linkOf[line]
	if !ok {
		return nil
	}
	f := p.frames[group]
	return moved(in.points(in.links[k]), f.x+padding, f.y+titleHeight+padding)
}

func moved(at []point, x, y int) []point {
	for i := range at {
		at[i].x, at[i].y = at[i].x+x, at[i].y+y
	}
	return at
}

// short is a straight line between two boxes near each other.
func short(from, to rect) []point {
	middle := func(r rect) point { return point{r.x + r.w/2, r.y + r.h/2} }
	a, b := middle(from), middle(to)
	switch {
	case from.x+from.w < to.x:
		a.x, b.x = from.x+from.w, to.x
	case to.x+to.w < from.x:
		a.x, b.x = from.x, to.x+to.w
	default: // longer lines to stores above are links
		a.y, b.y = from.y+from.h, to.y
	}
	return []point{a, b}
}
