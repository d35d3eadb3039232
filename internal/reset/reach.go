package reset

import (
	"maps"
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// reach is what the records of some input topics get to in an application.
type reach struct {
	stores      []string      // that they are written into
	repartition []string      // topics of the application that they pass, in Kafka
	outputs     []string      // topics that they, or what is made of them, are written to
	named       bool          // some are written to topics that records name
	mixed       []mixture     // stores and topics that other inputs get to as well
	steps       map[int][]int // sub-topologies with such stores: their slots
}

// mixture is a store or topic that records of other inputs are in as well.
type mixture struct {
	name   string
	others []string
}

// reachOf follows the records of some input topics through the whole graph. A step that only
// looks into a store does not write there.
func reachOf(app string, p *plan.Plan, topics []string) reach {
	f := newFlow(app, p)
	r := reach{steps: map[int][]int{}}
	hit := func(from set) bool { return slices.ContainsFunc(topics, func(t string) bool { return from[t] }) }
	note := func(name string, from set, to *[]string) bool {
		if !hit(from) || slices.Contains(*to, name) {
			return false
		}
		*to = append(*to, name)
		m := mixture{name: name}
		for _, t := range slices.Sorted(maps.Keys(from)) {
			if !slices.Contains(topics, t) {
				m.others = append(m.others, t)
			}
		}
		if len(m.others) > 0 {
			r.mixed = append(r.mixed, m)
		}
		return true
	}
	for i, s := range p.Subtopologies {
		for slot, st := range s.Stores {
			if note(st.Name, f.intoStore(i, slot), &r.stores) {
				r.steps[i] = append(r.steps[i], slot)
			}
		}
		for n, node := range s.Nodes {
			switch from := f.nodes[i][n]; {
			case node.Sink < 0:
			case s.Sinks[node.Sink].Each:
				r.named = r.named || hit(from)
			case s.Sinks[node.Sink].Repartition:
				name := s.Sinks[node.Sink].In(app)
				note(name, f.topics[name], &r.repartition)
			case hit(from) && !slices.Contains(r.outputs, s.Sinks[node.Sink].Name):
				r.outputs = append(r.outputs, s.Sinks[node.Sink].Name)
			}
		}
	}
	slices.Sort(r.outputs)
	return r
}

// set is a set of input topics.
type set map[string]bool

// flow is, for each step and each repartition topic, which input topics its records come from.
type flow struct {
	app    string
	plan   *plan.Plan
	nodes  [][]set // by sub-topology and node
	topics map[string]set
}

func newFlow(app string, p *plan.Plan) *flow {
	f := &flow{app: app, plan: p, topics: map[string]set{}}
	for _, s := range p.Subtopologies {
		nodes := make([]set, len(s.Nodes))
		for n := range nodes {
			nodes[n] = set{}
		}
		f.nodes = append(f.nodes, nodes)
	}
	for f.pass() {
	}
	return f
}

// pass hands everything on by one step, and says whether that was news.
func (f *flow) pass() (news bool) {
	add := func(to, from set) {
		for t := range from {
			news = news || !to[t]
			to[t] = true
		}
	}
	for i, s := range f.plan.Subtopologies {
		for n, node := range s.Nodes {
			to := f.nodes[i][n]
			for _, parent := range node.Parents {
				add(to, f.nodes[i][parent])
			}
			if node.Source >= 0 {
				src := s.Sources[node.Source]
				if src.Repartition {
					add(to, f.topics[src.In(f.app)])
				} else {
					add(to, set{src.Name: true})
				}
			}
			if node.Sink >= 0 && s.Sinks[node.Sink].Repartition {
				name := s.Sinks[node.Sink].In(f.app)
				if f.topics[name] == nil {
					f.topics[name] = set{}
				}
				add(f.topics[name], to)
			}
		}
	}
	return news
}

// intoStore are the inputs whose records are written into a store.
func (f *flow) intoStore(subtopology, slot int) set {
	from := set{}
	for n, node := range f.plan.Subtopologies[subtopology].Nodes {
		if slices.Contains(node.Stores, slot) && !slices.Contains(node.Looks, slot) {
			maps.Copy(from, f.nodes[subtopology][n])
		}
	}
	return from
}
