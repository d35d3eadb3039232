package conformance

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// finals send a result once, when its window closes.
//
// Kafka Streams loses a window that its store has forgotten before it is sent, when time
// jumps over it and the store keeps no more than it must. Here no window is lost, and so
// some of them differ: see testdata/README.md.
var finals = theme{
	"tumbling-final": {build: func(b *topology.Builder) {
		catsAtClose(b, tensAtClose, forever)
	}},
	"tumbling-final-default-retention": {build: func(b *topology.Builder) {
		catsAtClose(b, tensAtClose, 0)
	}, stores: map[string]rows{"a": ofWindows(windowed("a", tensAtClose, serde.String))}},
	"tumbling-final-jumps":          {build: func(b *topology.Builder) { countAtClose(b, tensOnce, 0) }, stores: map[string]rows{"c": ofWindows(windowed("c", tensOnce, serde.Int64))}},
	"tumbling-final-jumps-retained": {build: func(b *topology.Builder) { countAtClose(b, tensOnce, forever) }, stores: map[string]rows{"c": ofWindows(windowed("c", tensOnce, serde.Int64))}},
	"hopping-final": {build: func(b *topology.Builder) {
		catsAtClose(b, window.Hopping{Size: 10 * ms, Every: 4 * ms, Grace: 3 * ms, Emit: window.OnClose()}, forever)
	}},
	"sliding-final": {build: func(b *topology.Builder) {
		catsAtClose(b, window.Sliding{Size: 8 * ms, Grace: 5 * ms, Emit: window.OnClose()}, forever)
	}},
	"sliding-final-jumps": {build: func(b *topology.Builder) {
		countAtClose(b, window.Sliding{Size: 8 * ms, Grace: 2 * ms, Emit: window.OnClose()}, 0)
	}},
	"session-final": {build: func(b *topology.Builder) {
		catsAtClose(b, window.Session{Gap: 6 * ms, Grace: 5 * ms, Emit: window.OnClose()}, 0)
	}},
	"session-final-jumps": {build: func(b *topology.Builder) { countAtClose(b, window.Session{Gap: 6 * ms, Emit: window.OnClose()}, 0) }},
	"session-final-to-null": {build: func(b *topology.Builder) {
		catsToNull(b, window.Session{Gap: 6 * ms, Grace: 10 * ms, Emit: window.OnClose()})
	}},
	"final-then-table": {build: func(b *topology.Builder) {
		kept := windowed("c", tensAtClose, serde.Int64)
		kept.Retention = forever
		many := ktable.Filter(kstream.Count(perKey(b, tensAtClose), kept), func(_ window.Key[string], n int64) bool { return n >= 2 })
		byKey := ktable.GroupBy(many, func(k window.Key[string], n int64) (string, string) { return k.Key, fmt.Sprint(n) }, plain("by-key"))
		ktable.To(ktable.Reduce(byKey, plusMinus.Add, plusMinus.Remove, kv("r")), plain("out"))
	}},
}

// forever is how long a store keeps its windows that shall keep all.
const forever = 100 * time.Second

var (
	tensAtClose = window.Tumbling{Size: 10 * ms, Grace: 5 * ms, Emit: window.OnClose()}
	tensOnce    = window.Tumbling{Size: 10 * ms, Emit: window.OnClose()}
)

func catsAtClose(b *topology.Builder, w window.Windows, retention time.Duration) {
	kept := windowed("a", w, serde.String)
	kept.Retention = retention
	toWindows(kstream.Aggregate(perKey(b, w), cat, kept))
}

func countAtClose(b *topology.Builder, w window.Windows, retention time.Duration) {
	kept := windowed("c", w, serde.Int64)
	kept.Retention = retention
	toWindows(kstream.Count(perKey(b, w), kept))
}
