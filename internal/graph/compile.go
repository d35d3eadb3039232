package graph

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// Compile checks the graph and cuts it into sub-topologies, or returns every mistake.
func (b *Builder) Compile() (*plan.Plan, error) {
	if b.built {
		b.Fail("Build is called twice: a builder makes one topology")
	}
	b.built = true
	if len(b.steps) == 0 {
		b.Fail("an empty topology: read a topic with kstream.From or ktable.From")
	}
	for _, s := range b.steps {
		if t := s.table; t != nil && t.late != nil && t.kept == nil && (t.needed || b.stores[t.name] != nil) {
			t.late()
		}
	}
	if len(b.errs) > 0 {
		return nil, fmt.Errorf("topology: %w", errors.Join(b.errs...))
	}
	p := &plan.Plan{Globals: b.globals}
	for i, steps := range b.components() {
		p.Subtopologies = append(p.Subtopologies, compile(i, steps))
	}
	return p, nil
}

// components are the sets of steps that share records or stores, in the order of their
// first steps.
func (b *Builder) components() [][]*Step {
	group := make([]int, len(b.steps))
	for i := range group {
		group[i] = i
	}
	var root func(int) int
	root = func(i int) int {
		if group[i] != i {
			group[i] = root(group[i])
		}
		return group[i]
	}
	join := func(a, b *Step) {
		x, y := root(a.id), root(b.id)
		group[max(x, y)] = min(x, y)
	}
	user := map[*Store]*Step{}
	for _, s := range b.steps {
		for _, o := range append(slices.Clone(s.parents), s.looks...) {
			join(s, o)
		}
		for _, st := range s.stores {
			if st.global >= 0 {
				continue
			}
			if o := user[st]; o != nil {
				join(s, o)
			}
			user[st] = s
		}
	}
	var parts [][]*Step
	index := map[int]int{}
	for i, s := range b.steps {
		r := root(i)
		if _, ok := index[r]; !ok {
			index[r] = len(parts)
			parts = append(parts, nil)
		}
		parts[index[r]] = append(parts[index[r]], s)
	}
	return parts
}

// compile numbers what a sub-topology consists of.
func compile(id int, steps []*Step) *plan.Subtopology {
	t := &plan.Subtopology{ID: id}
	w := Wiring{slots: map[*Store]int{}, nodes: map[*Step]int{}, sinks: map[*Step]int{}, inputs: map[*Step]int{}}
	for i, s := range steps {
		w.nodes[s] = i
		if s.isSource {
			w.inputs[s] = len(t.Sources)
			t.Sources = append(t.Sources, plan.Source{Topic: *s.topic, Types: s.data, StartAt: s.startAt})
		} else if s.topic != nil {
			w.sinks[s] = len(t.Sinks)
			t.Sinks = append(t.Sinks, plan.Sink{Topic: *s.topic, Types: s.data, Each: s.each})
		}
	}
	for _, s := range steps {
		for _, st := range s.stores {
			if _, ok := w.slots[st]; ok || st.global >= 0 {
				continue
			}
			w.slots[st] = len(t.Stores)
			slot := st.Store
			slot.Node = w.nodes[s]
			if st.source != nil {
				slot.Source = w.inputs[st.source]
			}
			t.Stores = append(t.Stores, slot)
		}
	}
	for _, s := range steps {
		t.Nodes = append(t.Nodes, w.node(s))
		if s.meets {
			t.Copartitioned = append(t.Copartitioned, w.reads(s))
		}
	}
	t.Wire = func(c *plan.Context) error { return w.wire(c, steps) }
	return t
}

func (w Wiring) node(s *Step) plan.Node {
	n := plan.Node{Name: s.name(), At: s.at, Source: -1, Sink: -1}
	for _, p := range s.parents {
		n.Parents = append(n.Parents, w.nodes[p])
	}
	for _, st := range s.stores {
		if st.global >= 0 {
			n.Globals = append(n.Globals, st.global)
			continue
		}
		n.Stores = append(n.Stores, w.slots[st])
	}
	for _, l := range s.looks {
		for _, slot := range w.kept(l) {
			if !slices.Contains(n.Stores, slot) {
				n.Stores, n.Looks = append(n.Stores, slot), append(n.Looks, slot)
			}
		}
	}
	if i, ok := w.inputs[s]; ok {
		n.Source = i
	}
	if i, ok := w.sinks[s]; ok {
		n.Sink = i
	}
	return n
}

// kept are the slots of the stores that a table's rows are in, or are computed from.
func (w Wiring) kept(s *Step) (slots []int) {
	if s.table.kept != nil {
		return []int{w.slots[s.table.kept]}
	}
	for _, from := range s.table.from {
		slots = append(slots, w.kept(from)...)
	}
	return slots
}

// reads are the inputs whose records can reach the step, or the tables it looks into.
func (w Wiring) reads(s *Step) []int {
	seen := map[*Step]bool{}
	var inputs []int
	var visit func(*Step)
	visit = func(s *Step) {
		if seen[s] {
			return
		}
		seen[s] = true
		if i, ok := w.inputs[s]; ok {
			inputs = append(inputs, i)
		}
		for _, p := range s.parents {
			visit(p)
		}
		for _, l := range s.looks {
			visit(l)
		}
	}
	visit(s)
	slices.SortFunc(inputs, cmp.Compare[int])
	return inputs
}

// wire wires one task: the last steps first, since a step is always added after those it
// reads from.
func (w Wiring) wire(c *plan.Context, steps []*Step) error {
	w.Context, w.handlers = c, make(map[*Step]any, len(steps))
	c.Inputs = make([]plan.Input, len(w.inputs))
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		c.Node, w.step = i, s
		h := s.wire(&w)
		if w.err != nil {
			return fmt.Errorf("%s: %w", w.node(s), w.err)
		}
		if s.isSource {
			c.Inputs[w.inputs[s]] = h.(plan.Input)
		} else {
			w.handlers[s] = h
		}
	}
	return nil
}
