package registry

import (
	"cmp"
	"runtime/debug"
	"slices"
	"time"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// Application is what an application consists of, as the last instance that started knew.
type Application struct {
	Format      int
	ID          string
	Version     string // of this module
	Fingerprint string // of the topology
	Guarantee   string // exactly-once or at-least-once
	Published   time.Time
	Plan        *plan.Plan       // without its functions: to be drawn and looked at, not to be run
	Partitions  map[string]int32 // by topic in Kafka: of all topics that the plan names
}

// Role is what an application's topic is for.
type Role string

// The roles of topics.
const (
	Input       Role = "input"  // read, and written by somebody else
	Output      Role = "output" // written
	Global      Role = "global" // read by every instance as a global table
	Repartition Role = "repartition"
	Changelog   Role = "changelog"
)

// Own says whether the application creates such topics, and alone uses them.
func (r Role) Own() bool { return r == Repartition || r == Changelog }

// Topic is a topic of an application.
type Topic struct {
	Name       string // in Kafka
	Role       Role
	Partitions int32
	Store      string // of a changelog
	plan.Types        // of its keys and values, where the plan says them
}

// Topics are the topics of the application, each role's by name: inputs, outputs, global
// tables' topics, repartition topics, changelogs. A topic that is read and written is an
// input. What records that name their topics are written to is not known.
func (a Application) Topics() []Topic {
	found := map[string]Topic{}
	add := func(name string, role Role, store string, types plan.Types) {
		if old, ok := found[name]; !ok || role == Input && old.Role == Output {
			found[name] = Topic{Name: name, Role: role, Partitions: a.Partitions[name], Store: store, Types: types}
		}
	}
	role := func(t plan.Topic, other Role) Role {
		if t.Repartition {
			return Repartition
		}
		return other
	}
	for _, g := range a.Plan.Globals {
		add(g.Topic, Global, g.Name, g.Types)
	}
	for _, s := range a.Plan.Subtopologies {
		for _, src := range s.Sources {
			add(src.In(a.ID), role(src.Topic, Input), "", src.Types)
		}
		for _, sink := range s.Sinks {
			if !sink.Each {
				add(sink.In(a.ID), role(sink.Topic, Output), "", sink.Types)
			}
		}
		for _, st := range s.Stores {
			if !st.NoChangelog && st.Source < 0 {
				add(st.Changelog(a.ID), Changelog, st.Name, st.Types)
			}
		}
	}
	var all []Topic
	for _, t := range found {
		all = append(all, t)
	}
	order := []Role{Input, Output, Global, Repartition, Changelog}
	slices.SortFunc(all, func(x, y Topic) int {
		return cmp.Or(slices.Index(order, x.Role)-slices.Index(order, y.Role), cmp.Compare(x.Name, y.Name))
	})
	return all
}

// Store is a store of an application.
type Store struct {
	plan.Store
	Subtopology int    // -1: of a global table
	Topic       string // in Kafka, from which it is restored; empty: from none
}

// Stores are the stores of the application, sub-topology by sub-topology, and then its
// global tables.
func (a Application) Stores() (all []Store) {
	for _, s := range a.Plan.Subtopologies {
		for _, st := range s.Stores {
			topic := ""
			switch {
			case st.Source >= 0:
				topic = s.Sources[st.Source].In(a.ID)
			case !st.NoChangelog:
				topic = st.Changelog(a.ID)
			}
			all = append(all, Store{Store: st, Subtopology: s.ID, Topic: topic})
		}
	}
	for _, g := range a.Plan.Globals {
		all = append(all, Store{Store: plan.Store{Spec: g.Spec, Types: g.Types, Source: -1}, Subtopology: -1, Topic: g.Topic})
	}
	return all
}

// Version is that of this module in the program that runs.
func Version() string {
	const module = "github.com/seed-df18afd4/streams"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return cmp.Or(m.Version, "(devel)")
		}
	}
	return "(devel)"
}
