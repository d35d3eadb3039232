package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// After more than a day the changelogs do not have the deletes any more that a disk has
// missed. The rows do not come back.
func TestDeletesThatAreGone(t *testing.T) {
	gone := 0
	for seed := uint64(0); gone < 1000; seed++ {
		w := newWorld(seed)
		if w.topology.deletes == nil {
			continue
		}
		for range 3 {
			w.until("everything is processed", w.processed)
			for _, m := range w.machines {
				if m.process != nil && w.rng.IntN(2) == 0 {
					require.NoError(t, m.process.res.Flush())
				}
			}
			w.inputs = append(w.inputs, w.more()...)
		}
		w.until("everything is processed", w.processed)
		w.killAll()
		w.shutdown() // no batch is under way any more
		w.pass(w.now.Add(30 * time.Hour))
		for _, p := range w.kafka.order {
			if p.compacted || p.at.Topic == "left" || p.at.Topic == "right" {
				p.compact(0, false)
				n := len(p.entries)
				p.compact(0, true)
				gone += n - len(p.entries)
			}
		}
		for _, m := range w.machines {
			m.off, m.start = false, w.now
		}
		w.inputs = append(w.inputs, w.more()...)
		w.finish(t)
		w.clear()
	}
}
