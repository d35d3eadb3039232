package reset

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
)

// Target is where the inputs are to begin again.
type Target struct {
	// Say is how the target was asked for: "--to-earliest".
	Say string
	at  func(ctx context.Context, l logs) (map[kafka.Partition]int64, map[kafka.Partition]string, error)

	partitions map[kafka.Partition]int64 // of a file: all it names
}

// logs are the partitions to move, as they are.
type logs struct {
	client    *broker.Client
	of        []kafka.Partition
	starts    map[kafka.Partition]int64
	ends      map[kafka.Partition]int64
	committed map[kafka.Partition]kafka.Offset
}

// ToEarliest is the first record that the log still has.
func ToEarliest() Target {
	return Target{Say: "--to-earliest", at: func(_ context.Context, l logs) (map[kafka.Partition]int64, map[kafka.Partition]string, error) {
		return maps.Clone(l.starts), nil, nil
	}}
}

// ToStart is where an application without positions begins: each topic's StartAt.
func ToStart(p *plan.Plan, now time.Time) Target {
	return Target{Say: "StartAt", at: func(ctx context.Context, l logs) (map[kafka.Partition]int64, map[kafka.Partition]string, error) {
		to := map[kafka.Partition]int64{}
		for _, at := range l.of {
			part := l
			part.of = []kafka.Partition{at}
			switch s := startOf(p, at.Topic); {
			case s == plan.StartNone:
				return nil, nil, fmt.Errorf("%s: its StartAt is None: say where to begin with streams reset", at)
			case s == plan.StartLatest:
				to[at] = l.ends[at]
			case s < 0:
				found, _, err := part.at(ctx, now.Add(time.Duration(s)*time.Millisecond))
				if err != nil {
					return nil, nil, err
				}
				to[at] = found[at]
			default:
				to[at] = l.starts[at]
			}
		}
		return to, nil, nil
	}}
}

// startOf is the StartAt of an input topic.
func startOf(p *plan.Plan, topic string) int64 {
	for _, s := range p.Subtopologies {
		for _, src := range s.Sources {
			if !src.Repartition && src.Name == topic {
				return src.StartAt
			}
		}
	}
	return plan.StartEarliest
}

// ToLatest is the end of the log.
func ToLatest() Target {
	return Target{Say: "--to-latest", at: func(_ context.Context, l logs) (map[kafka.Partition]int64, map[kafka.Partition]string, error) {
		return maps.Clone(l.ends), nil, nil
	}}
}

// ToTime is the first record whose time is t or later.
func ToTime(t time.Time) Target {
	return Target{Say: "--to-time " + t.UTC().Format(time.RFC3339), at: func(ctx context.Context, l logs) (map[kafka.Partition]int64, map[kafka.Partition]string, error) {
		return l.at(ctx, t)
	}}
}

// By is so much time before now.
func By(d time.Duration, now time.Time) Target {
	t := ToTime(now.Add(d))
	t.Say = "--by " + d.String()
	return t
}

// ByRecords is so many offsets away from where the group is.
func ByRecords(n int64) Target {
	return Target{Say: fmt.Sprintf("--by %d", n), at: func(_ context.Context, l logs) (map[kafka.Partition]int64, map[kafka.Partition]string, error) {
		to, notes := map[kafka.Partition]int64{}, map[kafka.Partition]string{}
		for _, p := range l.of {
			from, ok := l.committed[p]
			if !ok {
				from.At = l.starts[p]
				notes[p] = "nothing is committed, counted from the start"
			}
			to[p] = from.At + n
		}
		return to, notes, nil
	}}
}

// ToOffset is the same offset in every partition.
func ToOffset(n int64) Target {
	return Target{Say: fmt.Sprintf("--to-offset %d", n), at: func(_ context.Context, l logs) (map[kafka.Partition]int64, map[kafka.Partition]string, error) {
		to := map[kafka.Partition]int64{}
		for _, p := range l.of {
			to[p] = n
		}
		return to, nil, nil
	}}
}

// FromFile reads the target of each partition from lines of topic, partition and offset,
// divided by commas, as Kafka's own tools write them.
func FromFile(name string, r io.Reader) (Target, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.TrimLeadingSpace, c.Comment = 3, true, '#'
	to := map[kafka.Partition]int64{}
	for {
		fields, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Target{}, fmt.Errorf("%s: %w: each line is a topic, a partition and an offset", name, err)
		}
		line, _ := c.FieldPos(0)
		index, err := strconv.ParseInt(strings.TrimSpace(fields[1]), 10, 32)
		offset, err2 := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err := errors.Join(err, err2); err != nil {
			return Target{}, fmt.Errorf("%s, line %d: %w", name, line, err)
		}
		p := kafka.Partition{Topic: strings.TrimSpace(fields[0]), Index: int32(index)}
		if _, twice := to[p]; twice {
			return Target{}, fmt.Errorf("%s, line %d: %s is there twice", name, line, p)
		}
		to[p] = offset
	}
	if len(to) == 0 {
		return Target{}, fmt.Errorf("%s: it names no partition", name)
	}
	return Target{Say: "--from-file " + name, partitions: to, at: func(context.Context, logs) (map[kafka.Partition]int64, map[kafka.Partition]string, error) {
		return maps.Clone(to), nil, nil
	}}, nil
}

// topics are the topics that a file names.
func (t Target) topics() []string {
	names := map[string]bool{}
	for p := range t.partitions {
		names[p.Topic] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (l logs) at(ctx context.Context, t time.Time) (map[kafka.Partition]int64, map[kafka.Partition]string, error) {
	to, err := l.client.ListOffsets(ctx, l.of, max(t.UnixMilli(), 0), false)
	if err != nil {
		return nil, nil, err
	}
	notes := map[kafka.Partition]string{}
	for p, at := range to {
		if at >= l.ends[p] && l.ends[p] > l.starts[p] {
			notes[p] = "no record from that time on, so the end"
		}
	}
	return to, notes, nil
}

// clamp keeps a position inside of the log.
func (l logs) clamp(p kafka.Partition, to int64) (int64, string) {
	switch start, end := l.starts[p], l.ends[p]; {
	case to < start:
		return start, fmt.Sprintf("the log begins at %d", start)
	case to > end:
		return end, fmt.Sprintf("the log ends at %d", end)
	}
	return to, ""
}

// look reads where logs begin and end, and where the group is.
func look(ctx context.Context, c *broker.Client, group string, ps []kafka.Partition, readCommitted bool) (l logs, err error) {
	l = logs{client: c, of: ps}
	if l.starts, err = c.ListOffsets(ctx, ps, broker.Earliest, false); err != nil {
		return l, err
	}
	if l.ends, err = c.ListOffsets(ctx, ps, broker.Latest, readCommitted); err != nil {
		return l, err
	}
	l.committed, err = c.Committed(ctx, group, ps)
	return l, err
}
