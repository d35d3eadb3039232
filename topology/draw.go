package topology

import (
	"fmt"
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// drawing is a topology as boxes and lines, for whatever draws them.
type drawing struct {
	groups []string // titles of the sub-topologies
	boxes  []box
	lines  []line
}

// box is one thing with a name.
type box struct {
	id     string // letters and digits
	label  string // one line
	shape  shape
	group  int // -1: none
	beside int // of a store: the box of the step that was first given it; of its changelog: the store's; else -1
}

// line joins two boxes, given by their places among the boxes.
type line struct {
	from, to int
	uses     bool // it joins a step with a store; else records flow along it
}

// shape is what a box stands for.
type shape int

const (
	aStep shape = iota
	aTopic
	aRepartition
	aChangelog
	aStore
	aGlobal
)

// looks are the colours of the shapes, which every drawing shares. Topics that belong to
// the application are dashed.
var looks = [...]struct {
	name       string
	fill, line string
	dashed     bool
}{
	aStep:        {"step", "#ffffff", "#57606a", false},
	aTopic:       {"topic", "#ddf4ff", "#0969da", false},
	aRepartition: {"repartition", "#fff8c5", "#9a6700", true},
	aChangelog:   {"changelog", "#f3f0fa", "#8250df", true},
	aStore:       {"store", "#dafbe1", "#1a7f37", false},
	aGlobal:      {"global", "#d3f5f0", "#0f766e", false},
}

// cylinder says whether it is a topic.
func (s shape) cylinder() bool { return s == aTopic || s == aRepartition || s == aChangelog }

const (
	textColour  = "#1f2328"
	groupColour = "#f6f8fa"
	groupLine   = "#d0d7de"
)

// draw makes the drawing of a topology.
func draw(t *Topology) *drawing {
	d := &drawing{}
	topics := map[plan.Topic]int{}
	topic := func(of plan.Topic) int {
		i, ok := topics[of]
		if !ok {
			shape := aTopic
			if of.Repartition {
				shape = aRepartition
			}
			i = d.add(box{id: fmt.Sprintf("t%d", len(topics)), label: topicName(of), shape: shape, group: -1, beside: -1})
			topics[of] = i
		}
		return i
	}
	var globals []int
	for i, g := range t.Globals {
		from := topic(plan.Topic{Name: g.Topic})
		globals = append(globals, d.add(box{id: fmt.Sprintf("g%d", i), label: g.Name, shape: aGlobal, group: -1, beside: -1}))
		d.line(from, globals[i], false)
	}
	for _, s := range t.Subtopologies {
		d.groups = append(d.groups, fmt.Sprintf("sub-topology %d", s.ID))
		d.subtopology(s, topic, globals)
	}
	return d
}

// subtopology adds a sub-topology, and the topics that it is the first to name.
func (d *drawing) subtopology(s *plan.Subtopology, topic func(plan.Topic) int, globals []int) {
	group := len(d.groups) - 1
	id := func(what string, i int) string { return fmt.Sprintf("s%d%s%d", s.ID, what, i) }
	steps, stores := make([]int, len(s.Nodes)), make([]int, len(s.Stores))
	for i, n := range s.Nodes {
		steps[i] = d.add(box{id: id("n", i), label: oneLine(n.Name), group: group, beside: -1})
	}
	for i, st := range s.Stores {
		stores[i] = d.add(box{id: id("k", i), label: st.Name, shape: aStore, group: group, beside: -1})
		if st.Source < 0 && !st.NoChangelog {
			log := box{id: id("c", i), label: st.Name + "-changelog", shape: aChangelog, group: group, beside: stores[i]}
			d.line(stores[i], d.add(log), true)
		}
	}
	for i, n := range s.Nodes {
		for _, p := range n.Parents {
			d.line(steps[p], steps[i], false)
		}
		for _, slot := range n.Stores {
			d.use(steps[i], stores[slot])
		}
		for _, g := range n.Globals {
			d.line(globals[g], steps[i], true)
		}
		switch {
		case n.Source >= 0:
			d.line(topic(s.Sources[n.Source].Topic), steps[i], false)
		case n.Sink >= 0 && s.Sinks[n.Sink].Each:
			d.line(steps[i], d.add(box{id: id("e", i), label: "topics that records name", shape: aTopic, group: -1, beside: -1}), false)
		case n.Sink >= 0:
			d.line(steps[i], topic(s.Sinks[n.Sink].Topic), false)
		}
	}
}

func (d *drawing) add(b box) int {
	d.boxes = append(d.boxes, b)
	return len(d.boxes) - 1
}

func (d *drawing) line(from, to int, uses bool) {
	d.lines = append(d.lines, line{from, to, uses})
}

// use joins a step with a store.
func (d *drawing) use(step, store int) {
	if d.boxes[store].beside < 0 {
		d.boxes[store].beside = step
	}
	d.line(step, store, true)
}

// has says whether there is a box of a shape.
func (d *drawing) has(s shape) bool {
	return slices.ContainsFunc(d.boxes, func(b box) bool { return b.shape == s })
}
