// Package upgrade compares two versions of an application: what would the new one lose of
// what the old one keeps in Kafka?
package upgrade

import (
	"fmt"
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/store"
)

// Change is one difference.
type Change struct {
	What  string `json:"what"` // "store", "repartition topic", "input", "output", "global table"
	Name  string `json:"name"`
	Old   string `json:"old"` // what it was; empty: it was not there
	New   string `json:"new"` // what it is; empty: it is not there
	Loses bool   `json:"loses"`
	Why   string `json:"why"`
}

// thing is what is compared.
type thing struct {
	what, name string
	kind       string // what must stay the same for the data to stay
	also       string // what may change
	keeps      bool   // it holds data that nobody else has
	place      int    // the sub-topology, where that matters; else -1
	partitions int32  // of a topic of its own; 0: not known
}

// Compare lists the differences: what is lost first, then what changes, then what is new.
func Compare(old, now *registry.Application) (changes []Change) {
	before, after := things(old), things(now)
	find := func(in []thing, t thing) (thing, bool) {
		i := slices.IndexFunc(in, func(o thing) bool { return o.what == t.what && o.name == t.name })
		if i < 0 {
			return thing{}, false
		}
		return in[i], true
	}
	for _, o := range before {
		n, ok := find(after, o)
		if c := compare(o, n, ok); c.What != "" {
			changes = append(changes, c)
		}
	}
	for _, n := range after {
		if _, ok := find(before, n); !ok {
			changes = append(changes, Change{What: n.what, Name: n.name, New: n.kind, Why: "it is new, and empty at first"})
		}
	}
	rank := func(c Change) int {
		switch {
		case c.Loses:
			return 0
		case c.Old != "":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(changes, func(a, b Change) int { return rank(a) - rank(b) })
	return changes
}

// compare is the difference between an old thing and the new one of its name. Without one
// it has no What.
func compare(o, n thing, there bool) Change {
	c := Change{What: o.what, Name: o.name, Old: o.kind, New: n.kind}
	switch {
	case !there && o.keeps:
		c.Loses, c.Why = true, "it is gone; what it holds is not used any more"
	case !there:
		c.Why = "it is gone"
	case o.kind != n.kind && o.keeps:
		c.Loses, c.Why = true, "its type changes; what it holds cannot be read any more, or not be used"
	case o.kind != n.kind:
		c.Why = "its type changes"
	case o.partitions != n.partitions && o.partitions > 0 && n.partitions > 0:
		c.Old, c.New = fmt.Sprintf("%d partitions", o.partitions), fmt.Sprintf("%d partitions", n.partitions)
		c.Loses, c.Why = true, "its topic changes its number of partitions, which Kafka cannot do with what it holds"
	case o.also != n.also:
		c.Old, c.New, c.Why = o.also, n.also, "its settings change; what it holds stays, as far as they allow"
	case o.place != n.place:
		c.Old, c.New = fmt.Sprintf("sub-topology %d", o.place), fmt.Sprintf("sub-topology %d", n.place)
		c.Why = "it moves; it is restored from Kafka"
	default:
		return Change{}
	}
	return c
}

// things are what an application is made of, in the order of its plan.
func things(a *registry.Application) (all []thing) {
	for _, s := range a.Stores() {
		all = append(all, storeThing(a, s))
	}
	seen := map[string]bool{}
	add := func(t thing) {
		if id := t.what + " " + t.name; !seen[id] {
			seen[id] = true
			all = append(all, t)
		}
	}
	for _, s := range a.Plan.Subtopologies {
		for _, sink := range s.Sinks {
			switch {
			case sink.Each:
			case sink.Repartition:
				add(thing{"repartition topic", sink.Name, serdes(sink.Types), goTypes(sink.Types), true, -1, sized(a, sink.Topic)})
			default:
				add(thing{"output", sink.Name, serdes(sink.Types), goTypes(sink.Types), false, -1, 0})
			}
		}
		for _, src := range s.Sources {
			if !src.Repartition {
				add(thing{"input", src.Name, serdes(src.Types), goTypes(src.Types), false, -1, 0})
			}
		}
	}
	return all
}

func storeThing(a *registry.Application, s registry.Store) thing {
	t := thing{what: "store", name: s.Name, kind: s.Kind.String() + " of " + serdes(s.Types), also: goTypes(s.Types), keeps: true, place: s.Subtopology}
	switch {
	case s.Subtopology < 0:
		t.what, t.keeps = "global table", false // its topic has the rows
		t.kind += " from " + s.Topic
	case s.NoChangelog:
		t.kind += ", without changelog"
	case s.Source >= 0:
		t.kind += ", from topic " + s.Topic
	default:
		t.kind += ", with changelog"
		t.partitions = a.Partitions[s.Topic]
	}
	switch {
	case s.Kind.Windowed():
		t.also += fmt.Sprintf(", retention %d ms", s.Retention)
	case s.Kind == store.Versioned:
		t.also += fmt.Sprintf(", history %d ms", s.History)
	}
	if s.InMemory {
		t.also += ", in memory"
	}
	return t
}

func serdes(t plan.Types) string  { return t.Key.Serde + " to " + t.Value.Serde }
func goTypes(t plan.Types) string { return t.Key.Go + " to " + t.Value.Go }

// sized says how many partitions a repartition topic has, as far as that is known.
func sized(a *registry.Application, t plan.Topic) int32 {
	if n := a.Partitions[t.In(a.ID)]; n > 0 {
		return n
	}
	return t.Partitions
}
