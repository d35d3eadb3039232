package topology

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/stretchr/testify/require"
)

// randomTopology has sub-topologies of random graphs, which share topics in any direction.
func randomTopology(r *rand.Rand) *Topology {
	t := &Topology{}
	for i := range r.IntN(3) {
		t.Globals = append(t.Globals, plan.Global{Topic: fmt.Sprintf("global-topic-%d", i), Spec: store.Spec{Name: fmt.Sprintf("global-%d", i)}})
	}
	topic := func() plan.Topic {
		return plan.Topic{Name: fmt.Sprintf("topic-%d", r.IntN(6)), Repartition: r.IntN(2) == 0}
	}
	for id := range 1 + r.IntN(4) {
		s := &plan.Subtopology{ID: id}
		for i := range r.IntN(5) {
			s.Stores = append(s.Stores, plan.Store{Spec: store.Spec{Name: fmt.Sprintf("store-%d", i)}, Source: -1 + r.IntN(2), NoChangelog: r.IntN(3) == 0})
		}
		var open []int // nodes that may have children
		for i := range 2 + r.IntN(20) {
			n := plan.Node{Name: fmt.Sprintf("step-%d", i), Source: -1, Sink: -1}
			switch {
			case i == 0 || r.IntN(6) == 0:
				n.Source = len(s.Sources)
				s.Sources = append(s.Sources, plan.Source{Topic: topic()})
			case r.IntN(5) == 0:
				n.Sink = len(s.Sinks)
				s.Sinks = append(s.Sinks, plan.Sink{Topic: topic(), Each: r.IntN(5) == 0})
			}
			if n.Source < 0 {
				for range 1 + r.IntN(3)*r.IntN(2) {
					n.Parents = append(n.Parents, open[r.IntN(len(open))])
				}
			}
			if n.Sink < 0 {
				open = append(open, i)
				for range r.IntN(3) * r.IntN(2) {
					if len(s.Stores) > 0 {
						n.Stores = append(n.Stores, r.IntN(len(s.Stores)))
					}
				}
				if len(t.Globals) > 0 && n.Source < 0 && r.IntN(5) == 0 {
					n.Globals = []int{r.IntN(len(t.Globals))}
				}
			}
			s.Nodes = append(s.Nodes, n)
		}
		for slot := range s.Stores { // every store is some step's
			s.Nodes[0].Stores = append(s.Nodes[0].Stores, slot)
		}
		t.Subtopologies = append(t.Subtopologies, s)
	}
	return t
}

func eachPicture(check func(seed uint64, p *picture)) {
	for seed := range uint64(300) {
		check(seed, newPicture(draw(randomTopology(rand.New(rand.NewPCG(seed, 0))))))
	}
}

// Whatever the graph, boxes lie apart from each other and inside their groups.
func TestBoxesLieApart(t *testing.T) {
	eachPicture(func(seed uint64, p *picture) {
		whole := rect{0, 0, p.w, p.h}
		for g, f := range p.frames {
			require.True(t, whole.holds(f), "seed %d: group %d is outside", seed, g)
			for other := range g {
				require.False(t, f.meets(p.frames[other]), "seed %d: groups %d and %d", seed, g, other)
			}
		}
		for i, x := range p.boxes {
			require.True(t, whole.holds(p.at[i]), "seed %d: %s is outside", seed, x.label)
			for other := range i {
				require.False(t, p.at[i].meets(p.at[other]), "seed %d: %s and %s", seed, x.label, p.boxes[other].label)
			}
			for g, f := range p.frames {
				if x.group == g {
					require.True(t, f.holds(p.at[i]), "seed %d: %s in group %d", seed, x.label, g)
				} else {
					require.False(t, f.meets(p.at[i]), "seed %d: %s outside group %d", seed, x.label, g)
				}
			}
		}
	})
}

// Whatever the graph, lines begin and end at what they join. Those that are not short run
// between all other boxes and groups.
func TestLinesRunBetween(t *testing.T) {
	eachPicture(func(seed uint64, p *picture) {
		whole := rect{0, 0, p.w, p.h}
		for i, l := range p.lines {
			r, from, to := p.routes[i], p.at[l.from], p.at[l.to]
			if r.sideways {
				from, to = to, from
			}
			end := r.at[len(r.at)-1]
			require.True(t, from.holds(rect{r.at[0].x, r.at[0].y, 0, 0}), "seed %d: line %d leaves %s", seed, i, p.boxes[l.from].label)
			require.True(t, to.holds(rect{end.x, end.y, 0, 0}), "seed %d: line %d enters %s", seed, i, p.boxes[l.to].label)
			for k, x := range r.at[1:] {
				require.True(t, whole.holds(rect{x.x, x.y, 0, 0}), "seed %d: line %d is outside", seed, i)
				if last := r.at[k]; x.x == last.x && len(r.at) > 2 {
					straight := rect{x.x, min(last.y, x.y), 0, max(last.y-x.y, x.y-last.y)}
					for j, at := range p.at {
						require.False(t, j != l.from && j != l.to && straight.meets(at), "seed %d: line %d runs through %s", seed, i, p.boxes[j].label)
					}
					for g, f := range p.frames {
						ends := p.boxes[l.from].group == g || p.boxes[l.to].group == g
						require.False(t, !ends && straight.meets(f), "seed %d: line %d runs through group %d", seed, i, g)
					}
				}
			}
		}
	})
}

func (r rect) holds(o rect) bool {
	return r.x <= o.x && o.x+o.w <= r.x+r.w && r.y <= o.y && o.y+o.h <= r.y+r.h
}

func (r rect) meets(o rect) bool {
	return r.x < o.x+o.w && o.x < r.x+r.w && r.y < o.y+o.h && o.y < r.y+r.h
}

// placed is layers of small items with links between them.
func placed(items int, pairs ...[2]int) *layers {
	l := &layers{items: make([]item, items), gapX: 10, gapY: 10}
	for i := range l.items {
		l.items[i].w, l.items[i].down = 20, 10
	}
	for _, p := range pairs {
		l.links = append(l.links, link{from: p[0], to: p[1], out: 10, in: 10})
	}
	l.rank()
	l.place()
	return l
}

func TestLayersUncross(t *testing.T) {
	l := placed(6, [2]int{0, 5}, [2]int{1, 4}, [2]int{2, 3})
	require.Zero(t, l.crossings())
	for _, k := range l.links {
		require.Equal(t, l.items[k.from].x, l.items[k.to].x, "a line that could be straight")
	}
}

func TestLayersFollowTheLongestPath(t *testing.T) {
	l := placed(4, [2]int{0, 3}, [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 3})
	require.Equal(t, []int{0, 1, 2, 3}, []int{l.items[0].row, l.items[1].row, l.items[2].row, l.items[3].row})
	require.Len(t, l.links[0].via, 2)
	for _, v := range l.links[0].via {
		other := l.items[l.items[v].row] // in the same row
		require.False(t, other.x < l.items[v].x && l.items[v].x < other.x+other.w, "a line runs through an item")
	}
}

// A circle has one line that runs up, beside the items and around them.
func TestLayersTurnCirclesUp(t *testing.T) {
	l := placed(3, [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 0})
	require.Equal(t, []bool{false, false, true}, []bool{l.links[0].up, l.links[1].up, l.links[2].up})
	lane := l.items[0].x + 20 + l.gapX
	require.Equal(t, []point{{10, 50}, {lane, 50}, {lane, 40}, {lane, 30}, {lane, 20}, {lane, 10}, {lane, 0}, {10, 0}}, l.points(l.links[2]))
}

// Items that want one place stand side by side around it; others stand where they want to.
func TestLayersFit(t *testing.T) {
	l := &layers{items: []item{{w: 10}, {w: 20}, {w: 10}, {w: 10}}, rows: [][]int{{0, 1, 2, 3}}, gapX: 5}
	l.fit(0, map[int]int{0: 100, 1: 100, 2: 100, 3: 500})
	require.Equal(t, []int{81, 96, 121, 500}, []int{l.items[0].x, l.items[1].x, l.items[2].x, l.items[3].x})
}

// Texts have room in Helvetica, whose widths these are, in thousandths of its size.
func TestTextsHaveRoom(t *testing.T) {
	helvetica := map[int]string{
		191: "'", 222: "ijl", 260: "|", 278: " !,./:;I[\\]ft", 333: "()-`r", 334: "{}", 355: "\"", 389: "*", 469: "^",
		500: "Jcksvxyz", 556: "#$0123456789?L_abdeghnopqu", 584: "+<=>~", 611: "FTZ", 667: "&ABEKPSVXY",
		722: "CDHNRUw", 778: "GOQ", 833: "Mm", 889: "%", 944: "W", 1015: "@",
	}
	n := 0
	for width, letters := range helvetica {
		for _, r := range letters {
			n++
			require.GreaterOrEqual(t, textWidth(strings.Repeat(string(r), 100)), 100*fontSize*width/1000, "%q", r)
		}
	}
	require.Equal(t, 95, n, "all printable letters of ASCII")
	require.Equal(t, 10*fontSize, textWidth("東京東京東京東京東京"))
}
