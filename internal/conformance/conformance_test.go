// Package conformance holds the topologies that Apache Kafka Streams was asked about, and
// compares what they answer here with what it answered.
//
// The answers, testdata/<spec>.json, were recorded from Kafka Streams 4.3.1; README.md in
// testdata describes them. To run other files of the same kind:
//
//	CONFORMANCE_VECTORS=DIR go test ./internal/conformance
package conformance

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// spec is a topology of the vectors, in this module's API.
type spec struct {
	build  func(*topology.Builder)
	stores map[string]rows // what the vectors say of stores, by the names that they have there

	// Restarts show: its processors have variables or schedules, which begin anew.
	restartsShow bool
}

// theme is specs by the names that the vectors give them.
type theme map[string]spec

var themes = []theme{
	stateless, tables, tableGroups, tableJoins, foreignKeys, suppressed,
	aggregates, windows, sessions, finals, streamJoins, streamTableJoins,
	processors, schedules, times, stores, headers,
}

// specs are those of all themes.
var specs = func() theme {
	all := theme{}
	for _, t := range themes {
		for name, s := range t {
			if _, twice := all[name]; twice {
				panic("conformance: two topologies for " + name)
			}
			all[name] = s
		}
	}
	return all
}()

func TestConformance(t *testing.T) {
	for _, f := range vectors(t) {
		t.Run(f.Spec, func(t *testing.T) {
			s, ok := specs[f.Spec]
			if !ok {
				t.Fatalf("no topology for %s: add one to a theme of this package", f.Spec)
			}
			for i, c := range f.Cases {
				t.Run(fmt.Sprint("case-", i), func(t *testing.T) { run(t, f, i, c, s, false) })
				if !s.restartsShow {
					t.Run(fmt.Sprint("case-", i, "-with-restarts"), func(t *testing.T) { run(t, f, i, c, s, true) })
				}
			}
		})
	}
}

// run runs one case, up to the first answer that differs. A task that is ended and started
// again after each step has to answer the same.
func run(t *testing.T, f file, number int, c testCase, s spec, restarts bool) {
	t.Helper()
	b := topology.NewBuilder()
	s.build(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatalf("topology: %s\nBuild: %v", f.Topology, err)
	}
	d := streamstest.New(t, topo)
	topics := f.outputs(topo)
	for i, step := range c.Steps {
		step.do(d)
		if restarts {
			d.Restart()
		}
		for _, topic := range topics {
			want, got := step.answers(topic), read(d, topic)
			if !slices.Equal(want, got) {
				t.Errorf("topology: %s\ncase %d, step %d: %s\ntopic %s\nwanted %v\ngot    %v", f.Topology, number, i, step, topic, want, got)
				return
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Stores)) {
		if s.stores[name] == nil {
			t.Errorf("store %s of %s: the topology has nothing to read it with", name, f.Spec)
			return
		}
		got, err := s.stores[name](d)
		if err != nil {
			t.Errorf("topology: %s\ncase %d, store %s: %v", f.Topology, number, name, err)
			return
		}
		if want := texts(c.Stores[name]); !slices.Equal(want, texts(got)) {
			t.Errorf("topology: %s\ncase %d, store %s after all %d steps\nwanted %v\ngot    %v", f.Topology, number, name, len(c.Steps), want, texts(got))
			return
		}
	}
}

// nullable is a topic as the vectors see all of them: text, and nulls.
func nullable(name string) topology.Topic[*string, *string] {
	return topology.Topic[*string, *string]{Name: name, Key: serde.Nullable(serde.String), Value: serde.Nullable(serde.String)}
}

// do takes a step.
func (s step) do(d *streamstest.Driver) {
	if s.Advance > 0 {
		d.Advance(time.Duration(s.Advance) * time.Millisecond)
		return
	}
	r := topology.Record[*string, *string]{Key: s.Key, Value: s.Value, Time: time.UnixMilli(s.Time)}
	for _, h := range s.Headers {
		r.Headers = append(r.Headers, topology.Header{Key: h[0], Value: []byte(h[1])})
	}
	streamstest.Send(d, nullable(s.Topic), r)
}

// read is what came out, as text.
func read(d *streamstest.Driver, topic string) (out []string) {
	for _, r := range streamstest.Read(d, nullable(topic)) {
		a := answer{Topic: topic, Key: r.Key, Value: r.Value, Time: r.Time.UnixMilli()}
		for _, h := range r.Headers {
			a.Headers = append(a.Headers, [2]string{h.Key, string(h.Value)})
		}
		out = append(out, a.String())
	}
	return out
}
