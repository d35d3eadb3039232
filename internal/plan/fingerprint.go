package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Fingerprint is the same for plans that may run side by side in one group: with the same
// sub-topologies, topics and stores, whatever their functions do and whatever line they
// are written on.
func (p *Plan) Fingerprint() string {
	h := sha256.Sum256([]byte(strings.Join(p.Shape(), "\n")))
	return hex.EncodeToString(h[:8])
}

// Shape is what the fingerprint is made of, a line for each thing.
func (p *Plan) Shape() (lines []string) {
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, g := range p.Globals {
		line("global table %s of topic %s", g.Spec, g.Topic)
	}
	for _, s := range p.Subtopologies {
		where := fmt.Sprintf("sub-topology %d:", s.ID)
		for _, src := range s.Sources {
			line("%s reads %s", where, src.Topic)
		}
		if len(s.Copartitioned) > 0 {
			line("%s co-partitions its inputs %v", where, s.Copartitioned)
		}
		for _, sink := range s.Sinks {
			line("%s writes %s", where, sink.Topic)
		}
		for _, st := range s.Stores {
			line("%s store %s", where, st)
		}
		for _, n := range s.Nodes {
			line("%s step %s after %v, stores %v, global tables %v", where, n.Name, n.Parents, n.Stores, n.Globals)
		}
	}
	return lines
}

func (t Topic) String() string {
	switch {
	case !t.Repartition:
		return "topic " + t.Name
	case t.Partitions > 0:
		return fmt.Sprintf("repartition topic %s, %d partitions", t.Name, t.Partitions)
	}
	return "repartition topic " + t.Name
}

func (s Store) String() string {
	switch {
	case s.NoChangelog:
		return s.Spec.String() + ", without changelog"
	case s.Source >= 0:
		return fmt.Sprintf("%s, read from input %d", s.Spec, s.Source)
	}
	return s.Spec.String()
}
