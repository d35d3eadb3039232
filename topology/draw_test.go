package topology_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/dedup"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the drawings in testdata anew")

// drawings are all drawings of a topology, by the extension of their files.
var drawings = map[string]func(*topology.Topology) string{
	"txt": (*topology.Topology).Describe,
	"mmd": (*topology.Topology).Mermaid,
	"dot": (*topology.Topology).DOT,
	"svg": (*topology.Topology).SVG,
}

func built(t *testing.T, build func(*topology.Builder)) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder()
	build(b)
	topo, err := b.Build()
	require.NoError(t, err)
	return topo
}

// The drawings of real programs are in testdata, to be looked at.
func TestDrawings(t *testing.T) {
	for name, build := range map[string]func(*topology.Builder){
		"word-count":   wordCount,
		"lunch-abroad": lunchAbroad,
		"all-shapes":   allShapes,
	} {
		for extension, draw := range drawings {
			t.Run(name+"."+extension, func(t *testing.T) {
				got := draw(built(t, build))
				file := filepath.Join("testdata", name+"."+extension)
				if *update {
					require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, string(want), got, "run go test with -update if it should be so")
				require.Equal(t, got, draw(built(t, build)), "the same program has the same drawing")
			})
		}
	}
}

func wordCount(b *topology.Builder) {
	lines := kstream.From(b, text("lines"))
	words := kstream.FlatMapValues(lines, strings.Fields)
	byWord := kstream.GroupBy(words, func(_, word string) string { return word }, text("words"))
	ktable.To(kstream.Count(byWord, counts("word-counts")), numbers("counts"))
}

// lunchAbroad has the graph of the example of this name.
func lunchAbroad(b *topology.Builder) {
	history := rows("rate-history")
	history.History = 24 * time.Hour
	day := window.Tumbling{Size: 24 * time.Hour, Emit: window.Every(time.Second)}
	keys := window.Keys(serde.String, day)
	highest := state.Store[window.Key[string], float64]{Name: "highest-price", Key: keys, Value: serde.Float64}
	prices := topology.Topic[window.Key[string], float64]{Name: "highest-prices", Key: keys, Value: serde.Float64}

	payments := kstream.From(b, text("payments"))
	rates := ktable.Materialize(ktable.From(b, text("exchange-rates")), history)
	once := dedup.By(payments, id, dedup.Seen[string]{Name: "paid", Key: serde.String, Within: 24 * time.Hour})
	abroad := kstream.Filter(once, early)
	byCurrency := kstream.KeyBy(abroad, first, text("payments-by-currency"))
	kstream.To(kstream.SelectKey(kstream.Join(byCurrency, rates, first), first), text("texts"))

	inPounds := kstream.Filter(kstream.From(b, text("orders")), early)
	perDay := kstream.WindowedBy(kstream.GroupBy(inPounds, first, text("orders-by-currency")), day)
	ktable.To(kstream.Aggregate(perDay, aggregate.Max(func(string) float64 { return 0 }), highest), prices)
}

// allShapes has what the others have not: a global table, a topic that is read and written,
// stores that several steps use, and a sink whose records name their topics.
func allShapes(b *topology.Builder) {
	known := ktable.GlobalFrom(b, text("known"))
	work := kstream.Merge(kstream.From(b, text("work")), kstream.From(b, text("orders")))
	joined := kstream.JoinGlobal(kstream.Peek(work, func(string, string) {}), known, func(k, v string) (string, bool) { return v, true }, first)
	again, done := kstream.Split(joined, early)
	kstream.To(again, text("work"))
	kstream.ToEach(done, func(r topology.Record[string, string]) string { return r.Value }, text(""))
	unlogged := rows("unlogged")
	unlogged.NoChangelog = true
	kstream.Process(done, "watch", never, unlogged, rows("seen"))
	kstream.Process(kstream.Peek(again, func(string, string) {}), "look", never, unlogged)
	kstream.Process(again, "compare", never, rows("seen"))
}

// A step may be named anything, and stays one step in one line of every drawing.
func TestNamesAreEscaped(t *testing.T) {
	const name = "a \"b\" <c> & #d; `e` *f* \\g\nh\x00"
	topo := built(t, func(b *topology.Builder) {
		kstream.Process(kstream.From(b, text("in")), name, never)
	})
	require.Contains(t, topo.Describe(), "    Processor: a \"b\" <c> & #d; `e` *f* \\g h -1 (stores: [])\n")
	require.Contains(t, topo.Mermaid(), `("a #quot;b#quot; #lt;c#gt; #amp; #35;d; #96;e#96; #42;f#42; #92;g h -1"):::step`+"\n")
	require.Contains(t, topo.DOT(), `[label="a \"b\" <c> &amp; #d; `+"`e`"+` *f* \\g h -1" shape=box`)
	require.Contains(t, texts(t, topo.SVG()), "a \"b\" <c> & #d; `e` *f* \\g h -1")
}

// texts are the texts of a picture; it fails if it is no XML.
func texts(t *testing.T, svg string) (out []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	inText := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			inText = token.Name.Local == "text"
		case xml.EndElement:
			inText = false
		case xml.CharData:
			if inText {
				out = append(out, string(token))
			}
		}
	}
}

// Topics of the application can be told from others, and each topic is drawn once.
func TestTopicsInDrawings(t *testing.T) {
	topo := built(t, func(b *topology.Builder) {
		s := kstream.From(b, text("in"))
		kstream.To(s, text("out"))
		kstream.To(s, text("out"))
		kept := kstream.Count(kstream.GroupBy(s, first, text("out")), counts("sums"))
		ktable.To(kept, numbers("in"))
		memory := rows("memory")
		memory.NoChangelog = true
		kstream.Process(s, "remember", never, memory)
	})
	mermaid := topo.Mermaid()
	for label, shape := range map[string]string{
		"in": "topic", "out": "topic", "out-repartition": "repartition", "sums-changelog": "changelog",
	} {
		require.Equal(t, 1, strings.Count(mermaid, `[("`+label+`")]:::`+shape+"\n"), label)
		require.Equal(t, 1, strings.Count(mermaid, `"`+label+`"`), label)
	}
	require.NotContains(t, mermaid, "memory-changelog")
	require.ElementsMatch(t, []string{
		"sub-topology 0", "sub-topology 1", "in", "out", "out-repartition", "sums", "sums-changelog", "memory",
		"source-0", "sink-1", "sink-2", "select-key-3", "drop-null-key-4", "repartition-5",
		"repartition-source-6", "count-7", "sink-8", "remember-9",
	}, texts(t, topo.SVG()))
}

// A table whose topic is its changelog has no other; one with a changelog of its own has.
func TestChangelogsInDrawings(t *testing.T) {
	table := func(history time.Duration) string {
		return built(t, func(b *topology.Builder) {
			kept := rows("in")
			kept.History = history
			ktable.To(ktable.Materialize(ktable.From(b, text("in")), kept), text("out"))
		}).DOT()
	}
	require.NotContains(t, table(0), "in-changelog")
	require.Contains(t, table(time.Hour), `label="in-changelog" shape=cylinder style="filled,dashed"`)
}

// A topology that was not built is drawn as nothing.
func TestDrawNothing(t *testing.T) {
	for extension, draw := range drawings {
		require.NotEmpty(t, draw(&topology.Topology{}), extension)
	}
}
