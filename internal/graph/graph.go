// Package graph is the graph that a program describes, while it is being described, and
// its compilation to a plan. Packages topology, kstream and ktable are its faces: their
// streams and tables are handles on its steps.
//
// Types are erased here, once: each step knows how to wire itself into a task, as a
// closure over typed functions that call each other.
package graph

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/serde"
)

// Node is a handle on a step that produces records of K and V.
type Node[K, V any] struct{ Step *Step }

// Table is a handle on a step that sends Changes of V.
type Table[K, V any] struct{ Step *Step }

// Handler receives the records of a step, one at a time.
type Handler[K, V any] func(k K, v V, m *plan.Meta) error

// Change is what a table sends: the new value of a row and, where somebody behind it
// needs it, the old one.
type Change[V any] struct {
	New, Old       V
	HasNew, HasOld bool // without a new value the row is deleted
	Stale          bool // an old version was written: the row's latest value is another
}

// Topic is a topic, as its source and its sinks see it.
type Topic[K, V any] struct {
	Name        string
	Key         serde.Serde[K]
	Value       serde.Serde[V]
	TimeOf      func(k K, v V, m *plan.Meta, partition int64) (ms int64, ok bool) // nil: the record's own
	StartAt     int64
	Partitions  int32
	PartitionOf func(k K, v V, partitions int32) int32 // nil: Kafka's murmur2 of the key
}

// Builder collects steps. Mistakes are kept with the line of the program that made them.
type Builder struct {
	steps   []*Step
	sources map[string]*Step  // by topic
	stores  map[string]*Store // by name
	globals []plan.Global
	through map[string]*Step // repartition topics by name: the step behind
	errs    []error
	built   bool
}

// New returns an empty builder.
func New() *Builder {
	return &Builder{sources: map[string]*Step{}, stores: map[string]*Store{}, through: map[string]*Step{}}
}

// Step is one step of the graph.
type Step struct {
	b        *Builder
	id       int
	kind     string // "filter"
	at       string // the line of the program that made it
	parents  []*Step
	children []*Step
	stores   []*Store
	rekeyed  *Step // the step that changed the key since the last repartition; nil: none
	wire     func(*Wiring) (handler any)

	topic    *plan.Topic // of a source or a sink
	isSource bool
	each     bool // a sink whose records name their topics
	startAt  int64
	feeds    *Step // of a repartition sink: the source behind the topic
	meets    bool  // records of one key must meet here: what it reads must be co-partitioned

	keepsNull bool // it has a use for records with a null key

	types string     // of a source: its keys' and values'
	data  plan.Types // of a source or a sink
	table *table     // of a step that sends Changes
	looks []*Step    // tables whose rows it looks up
}

// Store is a store that steps use.
type Store struct {
	plan.Store
	describe string // all that must agree where it is described twice
	at       string
	windows  string
	owner    *Step // the table that writes it; nil: processors do
	source   *Step // whose topic is its changelog; nil: it has its own
	global   int   // of a global table: its number; else -1
}

// Kind is the kind of operation, as drawings and errors name it.
func (s *Step) Kind() string { return s.kind }

// Builder is the builder the step belongs to.
func (s *Step) Builder() *Builder { return s.b }

func (s *Step) name() string { return fmt.Sprintf("%s-%d", s.kind, s.id) }

// Add adds a step behind parents. Wire makes the step's handler for one task; it is
// called after those of the steps behind it.
func (b *Builder) Add(kind string, parents []*Step, wire func(*Wiring, *Step) any) *Step {
	s := &Step{b: b, id: len(b.steps), kind: kind, at: caller(), parents: parents}
	s.wire = func(w *Wiring) any { return wire(w, s) }
	for _, p := range parents {
		if p.b != b {
			b.fail(s.at, "%s joins steps of two builders: make them of one", kind)
			continue
		}
		p.children = append(p.children, s)
		if p.rekeyed != nil {
			s.rekeyed = p.rekeyed
		}
	}
	b.steps = append(b.steps, s)
	return s
}

// Rekey says that the step may change keys.
func (s *Step) Rekey() *Step { s.rekeyed = s; return s }

// Meet says that records of one key have to meet in the step: it groups, joins or keeps
// them. Call names the function for the error that follows a changed key.
func (s *Step) Meet(call string) *Step {
	s.meets = true
	if r := s.rekeyed; r != nil {
		s.b.Fail("%s of a stream whose key was changed by %s at %s: records of one key may be in different tasks; send it through kstream.Repartition first, or change the key with kstream.KeyBy or kstream.GroupBy", call, r.kind, r.at)
	}
	return s
}

// Fail keeps a mistake, with the line of the program that is being executed.
func (b *Builder) Fail(format string, args ...any) { b.fail(caller(), format, args...) }

func (b *Builder) fail(at, format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf("%s: %w", at, fmt.Errorf(format, args...)))
}

// Check fails with what is missing of a topic.
func (t Topic[K, V]) check(b *Builder) {
	switch {
	case t.Name == "":
		b.Fail("a topic without a Name")
	case !validName(t.Name):
		b.Fail("topic %q: a name has 1 to 249 letters, digits, '.', '_' and '-'", t.Name)
	case t.Key == nil:
		b.Fail("topic %q: no Key serde", t.Name)
	case t.Value == nil:
		b.Fail("topic %q: no Value serde", t.Name)
	}
}

func (t Topic[K, V]) types() plan.Types { return plan.TypesOf(t.Key, t.Value) }

func validName(s string) bool {
	if len(s) == 0 || len(s) > 249 || s == "." || s == ".." {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

const module = "github.com/seed-df18afd4/streams/"

// caller is the line of the user's program that called into this module.
func caller() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !ours(f.Function) {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

func ours(function string) bool {
	rest, ok := strings.CutPrefix(function, module)
	if !ok {
		return false
	}
	for _, p := range []string{"internal/graph.", "kstream.", "ktable.", "topology.", "dedup."} {
		if strings.HasPrefix(rest, p) {
			return true
		}
	}
	return false
}

// Store finds the store that is described so, or makes it.
func (b *Builder) Store(d plan.StoreSpec) *Store {
	if d.Err != nil {
		b.Fail("store %q: %w", d.Name, d.Err)
	} else if !validName(d.Name) {
		b.Fail("store %q: a name has 1 to 249 letters, digits, '.', '_' and '-'", d.Name)
	}
	if s := b.stores[d.Name]; s != nil {
		if s.describe != d.Describe {
			b.Fail("store %q is described in two ways: here as %s, at %s as %s", d.Name, d.Describe, s.at, s.describe)
		}
		return s
	}
	s := &Store{
		Store:    plan.Store{Spec: d.Spec, Types: d.Types, NoChangelog: d.NoChangelog, NoCache: d.NoCache, Source: -1},
		global:   -1,
		describe: d.Describe, windows: d.Windows, at: caller(),
	}
	b.stores[d.Name] = s
	return s
}

// Find is the store of a name that the step was given.
func (s *Step) Find(name string) *Store {
	for _, st := range s.stores {
		if st.Name == name {
			return st
		}
	}
	return nil
}

// Own makes the step the one that writes the store. A store has one owner.
func (s *Step) Own(st *Store) *Step {
	if err := st.Writable(); err != nil {
		s.b.fail(s.at, "store %q is kept twice: %w; give this one another name", st.Name, err)
		return s
	}
	st.owner = s
	return s.Use(st)
}

// Use gives the step stores.
func (s *Step) Use(stores ...*Store) *Step {
	s.stores = append(s.stores, stores...)
	return s
}
