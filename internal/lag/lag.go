// Package lag measures how far an application is behind: in records, and in time; and says
// whose it is to catch up.
package lag

import (
	"context"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
)

// Lag is how far a task is behind in one partition.
type Lag struct {
	Task      string `json:"task"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Committed is where the task goes on; nil where nothing is committed yet.
	Committed *int64 `json:"committed"`
	End       int64  `json:"end"`
	// Records are the offsets from Committed, or from where the task would begin, to End.
	// Markers of transactions and what compaction left out are among them, but where there is
	// nothing else it is 0. Nil: where the task would begin is not known.
	Records *int64 `json:"records"`
	// Seconds are how old the first record is that is not processed, by its own time; nil
	// where there is none.
	Seconds *float64 `json:"seconds"`
	// Instance is the one that the task is assigned to; nil where none is, or it is not known.
	Instance *Instance `json:"instance"`
}

// Measure measures all partitions that an application reads, by task. The application is what
// its registry says, which has to have a description.
func Measure(ctx context.Context, c *broker.Client, says registry.Contents, now time.Time) ([]Lag, error) {
	a := says.Application
	all, starts, ps, err := inputs(ctx, c, a)
	if err != nil {
		return nil, err
	}
	of, err := owners(ctx, c, says)
	if err != nil {
		return nil, err
	}
	committed, err := c.Committed(ctx, a.ID, ps)
	if err != nil {
		return nil, err
	}
	// What is committed may be ahead of an end that was asked for before.
	ends, err := c.ListOffsets(ctx, ps, broker.Latest, a.Guarantee == "exactly-once")
	if err != nil {
		return nil, err
	}
	begins, err := c.ListOffsets(ctx, ps, broker.Earliest, false)
	if err != nil {
		return nil, err
	}
	from := map[kafka.Partition]int64{}
	for i, p := range ps {
		l := &all[i]
		l.End, l.Instance = ends[p], of[l.Task]
		at, known := begins[p], starts[i] == plan.StartEarliest
		if o, ok := committed[p]; ok {
			l.Committed, at, known = new(o.At), max(o.At, begins[p]), true
		}
		if known {
			l.Records = new(max(l.End-at, 0))
			from[p] = at
		}
	}
	return all, ages(ctx, c, all, ps, from, ends, now)
}

// inputs are the partitions that the tasks read, and where each source begins.
func inputs(ctx context.Context, c *broker.Client, a *registry.Application) (all []Lag, starts []int64, ps []kafka.Partition, err error) {
	var names []string
	for _, s := range a.Plan.Subtopologies {
		for _, src := range s.Sources {
			names = append(names, src.In(a.ID))
		}
	}
	found, err := c.Topics(ctx, names...)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, s := range a.Plan.Subtopologies {
		width := int32(0)
		for _, src := range s.Sources {
			width = max(width, found[src.In(a.ID)].Partitions)
		}
		for i := range width {
			for _, src := range s.Sources {
				name := src.In(a.ID)
				if i >= found[name].Partitions {
					continue
				}
				id := plan.TaskID{Subtopology: s.ID, Partition: i}
				all = append(all, Lag{Task: id.String(), Topic: name, Partition: i})
				starts = append(starts, src.StartAt)
				ps = append(ps, kafka.Partition{Topic: name, Index: i})
			}
		}
	}
	return all, starts, ps, nil
}

// ages reads the first record of each partition that is not processed.
func ages(ctx context.Context, c *broker.Client, all []Lag, ps []kafka.Partition, from, ends map[kafka.Partition]int64, now time.Time) error {
	first := map[kafka.Partition]int64{}
	err := inspect.Read(ctx, c, inspect.Reading{From: from, To: ends, Bytes: 64 << 10}, func(p kafka.Partition, r kafka.Record) error {
		first[p] = r.Time
		return inspect.ErrEnough
	})
	if err != nil {
		return err
	}
	for i, p := range ps {
		if all[i].Records == nil {
			continue
		}
		if ms, ok := first[p]; ok {
			all[i].Seconds = new(max(now.Sub(time.UnixMilli(ms)), 0).Seconds())
		} else {
			all[i].Records = new(int64(0)) // markers alone
		}
	}
	return nil
}
