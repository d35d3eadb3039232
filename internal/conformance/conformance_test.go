package conformance

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// TestMain lets garbage wait: each of thousands of runs leaves all that it had.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// spec is a topology of the vectors, in this module's API.
type spec struct {
	build  func(*topology.Builder)
	stores map[string]rows // what the vectors say of stores, by the names that they have there

	// Its processors remember something outside their stores: variables, which no failure
	// takes back, or schedules, which begin anew after a restart.
	remembers bool
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
				if again := corrected[f.Spec]; again != nil {
					c = again(c, false)
				}
				r := runOf{f, i, c, s}
				t.Run(fmt.Sprint("case-", i), func(t *testing.T) { r.run(t, straight) })
				if !s.remembers {
					t.Run(fmt.Sprint("case-", i, "-with-restarts"), func(t *testing.T) { r.run(t, restarting) })
					t.Run(fmt.Sprint("case-", i, "-with-failures"), func(t *testing.T) { r.run(t, failing) })
				}
			}
		})
	}
}

// A topology that nothing is compared with proves nothing.
func TestEveryTopologyHasVectors(t *testing.T) {
	with := map[string]bool{}
	for _, f := range read(t, "testdata") {
		with[f.Spec] = true
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if !with[name] {
			t.Errorf("testdata has no %s.json", name)
		}
	}
}

// runOf is a case to be run.
type runOf struct {
	file
	number int
	testCase
	spec
}

// manner is how a case runs: it takes its steps, whose answers are the same in all manners.
type manner func(*testing.T, *topology.Topology) (*streamstest.Driver, func(step))

// straight takes one step after the other.
func straight(t *testing.T, topo *topology.Topology) (*streamstest.Driver, func(step)) {
	d := streamstest.New(t, topo)
	return d, func(s step) { s.do(d) }
}

// restarting ends every task after each step and starts it again.
func restarting(t *testing.T, topo *topology.Topology) (*streamstest.Driver, func(step)) {
	d := streamstest.New(t, topo)
	return d, func(s step) { s.do(d); d.Restart() }
}

// run runs the case, up to the first answer that differs.
func (r runOf) run(t *testing.T, how manner) {
	t.Helper()
	b := topology.NewBuilder()
	r.build(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatalf("topology: %s\nBuild: %v", r.Topology, err)
	}
	topics := r.outputs(topo)
	d, do := how(t, topo)
	for i, step := range r.Steps {
		do(step)
		for _, topic := range topics {
			want, got := step.answers(topic), written(d, topic)
			if !slices.Equal(want, got) {
				t.Errorf("topology: %s\ncase %d, step %d: %s\ntopic %s\nwanted %v\ngot    %v", r.Topology, r.number, i, step, topic, want, got)
				return
			}
		}
	}
	r.compareStores(t, d, func(rows []row) []row { return rows })
}

// compareStores compares what stores hold at the end, as far as seen goes.
func (r runOf) compareStores(t *testing.T, d *streamstest.Driver, seen func([]row) []row) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(r.Stores)) {
		if r.stores[name] == nil {
			t.Errorf("store %s of %s: the topology has nothing to read it with", name, r.Spec)
			return
		}
		got, err := r.stores[name](d)
		if err != nil {
			t.Errorf("topology: %s\ncase %d, store %s: %v", r.Topology, r.number, name, err)
			return
		}
		if want, got := texts(seen(r.Stores[name])), texts(seen(got)); !slices.Equal(want, got) {
			t.Errorf("topology: %s\ncase %d, store %s after all %d steps\nwanted %v\ngot    %v", r.Topology, r.number, name, len(r.Steps), want, got)
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

// written is what came out, as text.
func written(d *streamstest.Driver, topic string) (out []string) {
	for _, r := range streamstest.Read(d, nullable(topic)) {
		a := answer{Topic: topic, Key: r.Key, Value: r.Value, Time: r.Time.UnixMilli()}
		for _, h := range r.Headers {
			a.Headers = append(a.Headers, [2]string{h.Key, string(h.Value)})
		}
		out = append(out, a.String())
	}
	return out
}
