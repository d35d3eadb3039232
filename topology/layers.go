package topology

import (
	"cmp"
	"math"
	"slices"
)

// layers places items in rows so that lines run down and few of them cross, as Sugiyama,
// Tagawa and Toda do: each item is in the row after the last it depends on; what passes a
// row has a place in it; rows are put in order by barycenters; and lines are made straight
// as far as the order allows.
//
// All coordinates are whole numbers, so that a drawing is the same on every machine.
type layers struct {
	items         []item // given, and then what passes rows
	links         []link
	gapX, gapY    int
	rows          [][]int // of items, from the left
	segments      [][]segment
	tops, bottoms []int // of the rows
	arch          int   // how far a line that runs up reaches below the row it leaves, and above the one it enters
}

// item is a rectangle. Those of a row have their levels at one height.
type item struct {
	w, up, down int  // its width, and how far it reaches above its level and below
	x, y        int  // its left edge and its level
	row         int  // from the top
	last        bool // it belongs in the last row
}

// link is a line from an item to one in a lower row, or to any other if up is set.
type link struct {
	from, to int // from is -1 for a line that comes from above the first row
	out, in  int // where it leaves and enters, from the items' left edges
	up       bool
	via      []int // the items with which it passes rows
}

// segment is a part of a line between a row and the next. Its weight is how much it
// matters that it is straight: most where it is a part of a long line.
type segment struct{ above, out, below, in, weight int }

// place gives every item its place. The left edge of everything is 0, and so is the top.
func (l *layers) place() {
	l.pass()
	l.divide()
	l.order()
	l.straighten()
	l.tighten()
	top := l.overhang()
	for _, row := range l.rows {
		up, down := 0, 0
		for _, i := range row {
			up, down = max(up, l.items[i].up), max(down, l.items[i].down)
		}
		for _, i := range row {
			l.items[i].y = top + up
		}
		l.tops, l.bottoms = append(l.tops, top), append(l.bottoms, top+up+down)
		top += up + down + l.gapY
	}
}

// size is that of the whole.
func (l *layers) size() (w, h int) {
	for _, x := range l.items {
		w = max(w, x.x+x.w)
	}
	for _, bottom := range l.bottoms {
		h = bottom + l.overhang()
	}
	return w, h
}

// overhang is how far lines may reach above the first row and below the last.
func (l *layers) overhang() int {
	if slices.ContainsFunc(l.links, func(x link) bool { return x.up }) {
		return l.arch
	}
	return 0
}

// rank gives items their rows. Links that would make a circle are turned up.
func (l *layers) rank() {
	outs := make([][]int, len(l.items)) // links
	for k, x := range l.links {
		if x.from >= 0 {
			outs[x.from] = append(outs[x.from], k)
		}
	}
	// Depth first: an item is done when everything below it is, so the opposite of that
	// order puts items before those below them.
	const doing, done = 1, 2
	state, order := make([]int, len(l.items)), []int(nil)
	var visit func(int)
	visit = func(i int) {
		state[i] = doing
		for _, k := range outs[i] {
			switch to := l.links[k].to; state[to] {
			case 0:
				visit(to)
			case doing:
				l.links[k].up = true
			}
		}
		state[i] = done
		order = append(order, i)
	}
	for i := range l.items {
		if state[i] == 0 {
			visit(i)
		}
	}
	lowest := 0
	for _, i := range slices.Backward(order) {
		for _, k := range outs[i] {
			if x := l.links[k]; !x.up {
				l.items[x.to].row = max(l.items[x.to].row, l.items[i].row+1)
			}
		}
		lowest = max(lowest, l.items[i].row)
	}
	for i := range l.items {
		if l.items[i].last {
			l.items[i].row = lowest
		}
	}
}

// lower moves items that nothing is above down to what is below them.
func (l *layers) lower() {
	above, below := make([]bool, len(l.items)), make([]int, len(l.items))
	for _, x := range l.links {
		if x.up {
			continue
		}
		above[x.to] = true
		if row := l.items[x.to].row; below[x.from] == 0 || row < below[x.from] {
			below[x.from] = row
		}
	}
	for i := range l.items {
		if !above[i] && below[i] > 0 {
			l.items[i].row = below[i] - 1
		}
	}
}

// pass adds items where links pass rows.
func (l *layers) pass() {
	for k := range l.links {
		x := &l.links[k]
		from, to := -1, l.items[x.to].row
		if x.from >= 0 {
			from = l.items[x.from].row
		}
		if x.up { // it passes both ends too: it leaves from below, and enters from above
			for row := from; row >= to; row-- {
				x.via = append(x.via, l.add(row))
			}
			continue
		}
		for row := from + 1; row < to; row++ {
			x.via = append(x.via, l.add(row))
		}
	}
}

func (l *layers) add(row int) int {
	l.items = append(l.items, item{row: row})
	return len(l.items) - 1
}

// divide makes the rows, and the segments between them.
func (l *layers) divide() {
	for i, x := range l.items {
		for len(l.rows) <= x.row {
			l.rows = append(l.rows, nil)
		}
		l.rows[x.row] = append(l.rows[x.row], i)
	}
	l.segments = make([][]segment, len(l.rows))
	join := func(above, out, below, in int) {
		row, weight := l.items[above].row, 1
		for _, i := range []int{above, below} {
			if l.items[i].w == 0 {
				weight *= 3
			}
		}
		l.segments[row] = append(l.segments[row], segment{above, out, below, in, weight})
	}
	for _, x := range l.links {
		if x.up {
			for i, v := range x.via[1:] {
				join(v, 0, x.via[i], 0)
			}
			continue
		}
		at, out := x.from, x.out
		for _, v := range x.via {
			if at >= 0 {
				join(at, out, v, 0)
			}
			at, out = v, 0
		}
		if at >= 0 {
			join(at, out, x.to, x.in)
		}
	}
}

// order puts the rows in the order with the fewest crossings that a few sweeps find.
func (l *layers) order() {
	const sweeps = 12
	for row := range l.rows {
		l.pack(row)
	}
	best, fewest := l.copyRows(), l.crossings()
	for n := 0; n < sweeps && fewest > 0; n++ {
		for i := range l.rows {
			row := i
			if n%2 == 1 {
				row = len(l.rows) - 1 - i
			}
			l.sort(row, n%2 == 0)
		}
		if c := l.crossings(); c < fewest {
			best, fewest = l.copyRows(), c
		}
	}
	l.rows = best
	for row := range l.rows {
		l.pack(row)
	}
}

func (l *layers) copyRows() (rows [][]int) {
	for _, row := range l.rows {
		rows = append(rows, slices.Clone(row))
	}
	return rows
}

// pack puts the items of a row side by side.
func (l *layers) pack(row int) {
	x := 0
	for _, i := range l.rows[row] {
		l.items[i].x = x
		x += l.items[i].w + l.gapX
	}
}

// sort orders a row by the barycenters of its items in the row above, or below.
func (l *layers) sort(row int, above bool) {
	want := l.wanted(row, above, !above)
	slices.SortStableFunc(l.rows[row], func(a, b int) int { return cmp.Compare(want[a], want[b]) })
	l.pack(row)
}

// wanted says where the items of a row would have their left edges if their lines decided
// it alone: at the mean of what they are joined with. Those without lines stay.
func (l *layers) wanted(row int, above, below bool) map[int]int {
	sum, n := map[int]int{}, map[int]int{}
	if above && row > 0 {
		for _, s := range l.segments[row-1] {
			sum[s.below] += s.weight * (l.items[s.above].x + s.out - s.in)
			n[s.below] += s.weight
		}
	}
	if below {
		for _, s := range l.segments[row] {
			sum[s.above] += s.weight * (l.items[s.below].x + s.in - s.out)
			n[s.above] += s.weight
		}
	}
	want := make(map[int]int, len(l.rows[row]))
	for _, i := range l.rows[row] {
		want[i] = l.items[i].x
		if n[i] > 0 {
			want[i] = sum[i] / n[i]
		}
	}
	return want
}

// crossings counts the pairs of segments that cross.
func (l *layers) crossings() (n int) {
	for _, segments := range l.segments {
		for i, a := range segments {
			for _, b := range segments[:i] {
				above := cmp.Compare(l.items[a.above].x+a.out, l.items[b.above].x+b.out)
				below := cmp.Compare(l.items[a.below].x+a.in, l.items[b.below].x+b.in)
				if above*below < 0 {
					n++
				}
			}
		}
	}
	return n
}

// straighten moves items within their order to where their lines want them: in turn by
// the lines from above and those from below, and at last by both.
func (l *layers) straighten() {
	const sweeps = 8
	for n := range sweeps {
		for i := range l.rows {
			l.fit(i, l.wanted(i, true, false))
		}
		if n == sweeps-1 {
			break
		}
		for i := range l.rows {
			row := len(l.rows) - 1 - i
			l.fit(row, l.wanted(row, false, true))
		}
	}
	for row := range l.rows {
		l.fit(row, l.wanted(row, true, true))
	}
	left := math.MaxInt
	for _, x := range l.items {
		left = min(left, x.x)
	}
	for i := range l.items {
		l.items[i].x -= left
	}
}

// tighten moves lines that run up to the left, as far as there is room in all rows: nothing
// else draws them there.
func (l *layers) tighten() {
	for _, x := range l.links {
		if !x.up {
			continue
		}
		lane := 0
		for _, v := range x.via {
			row := l.rows[l.items[v].row]
			if at := slices.Index(row, v); at > 0 {
				left := l.items[row[at-1]]
				lane = max(lane, left.x+left.w+l.gapX)
			}
		}
		for _, v := range x.via {
			l.items[v].x = min(l.items[v].x, lane)
		}
	}
}

// fit puts the items of a row as near to where they want to be as they can come, by least
// squares, without changing their order: those that want the same place become a block
// that stands at their mean (Pool Adjacent Violators).
func (l *layers) fit(row int, want map[int]int) {
	type block struct{ sum, n int } // of the places that they want, less their offsets
	var blocks []block
	offset := 0 // of an item from the left edge of the row, were it packed
	for _, i := range l.rows[row] {
		b := block{want[i] - offset, 1}
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			if last.sum*b.n < b.sum*last.n {
				break
			}
			b, blocks = block{last.sum + b.sum, last.n + b.n}, blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
		offset += l.items[i].w + l.gapX
	}
	i := 0
	offset = 0
	for _, b := range blocks {
		for range b.n {
			x := &l.items[l.rows[row][i]]
			x.x = b.sum/b.n + offset
			offset += x.w + l.gapX
			i++
		}
	}
}

// points are where a link turns, in the gaps between rows: it goes straight up or down from
// one to the next that is at the same x, and bends to one that is not.
func (l *layers) points(x link) (at []point) {
	if x.from >= 0 {
		at = append(at, point{l.items[x.from].x + x.out, l.bottoms[l.items[x.from].row]})
	}
	for _, v := range x.via {
		p := l.items[v]
		first, second := l.tops[p.row], l.bottoms[p.row]
		if x.up {
			first, second = second, first
		}
		at = append(at, point{p.x, first}, point{p.x, second})
	}
	to := l.items[x.to]
	return append(at, point{to.x + x.in, l.tops[to.row]})
}

// point is a place in a drawing.
type point struct{ x, y int }
