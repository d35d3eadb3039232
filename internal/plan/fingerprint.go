package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Fingerprint is the same for plans that may run side by side in one group: with the same
// sub-topologies, topics and stores, whatever their functions do and whatever line they
// are written on.
func (p *Plan) Fingerprint() string {
	h := sha256.New()
	for _, g := range p.Globals {
		fmt.Fprintf(h, "global %s %+v\n", g.Topic, g.Spec)
	}
	for _, s := range p.Subtopologies {
		fmt.Fprintf(h, "sub-topology %d %v\n", s.ID, s.Copartitioned)
		for _, src := range s.Sources {
			fmt.Fprintf(h, "source %+v\n", src.Topic)
		}
		for _, sink := range s.Sinks {
			fmt.Fprintf(h, "sink %+v\n", sink.Topic)
		}
		for _, st := range s.Stores {
			fmt.Fprintf(h, "store %+v %v %d\n", st.Spec, st.NoChangelog, st.Source)
		}
		for _, n := range s.Nodes {
			fmt.Fprintf(h, "node %s %v %v %v\n", n.Name, n.Parents, n.Stores, n.Globals)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
