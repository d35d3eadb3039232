package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// tailing is what tail is to show.
type tailing struct {
	codecFlags
	from        string
	last        int
	follow      bool
	key         string
	keyed       bool
	partition   int32
	uncommitted bool
	headers     bool
}

func newTail(t *tool) *cobra.Command {
	var o tailing
	cmd := &cobra.Command{
		Use:   "tail TOPIC",
		Short: "Show records of a topic",
		Long: `Show records of a topic: the last ones, or all from a place on. Keys and values are decoded as the
application says that reads or writes the topic, or as the flags say.

--from takes earliest, latest, an offset, a time (2026-11-28T09:30:00Z, or 2026-11-28), or how long
ago (-2h).`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.keyed = cmd.Flags().Changed("key")
			if err := o.check(); err != nil {
				return err
			}
			from, err := parseFrom(o.from, time.Now())
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			c, ps, err := t.partitions(ctx, args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			if o.partition >= 0 {
				if int(o.partition) >= len(ps) {
					return no("topic %s has no partition %d, but %d partitions", args[0], o.partition, len(ps))
				}
				ps = ps[o.partition : o.partition+1]
			}
			return t.tail(ctx, c, ps, o, from)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`WHERE` to begin, instead of with the last records")
	f.IntVarP(&o.last, "lines", "n", 10, "show the last `N` records")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what comes, until Ctrl-C")
	f.StringVarP(&o.key, "key", "k", "", "only records with this `KEY`, as it is shown; of windows, with this key inside")
	f.Int32VarP(&o.partition, "partition", "p", -1, "only this `PARTITION`")
	f.BoolVar(&o.uncommitted, "uncommitted", false, "also records of transactions that are open or were aborted")
	f.BoolVar(&o.headers, "headers", false, "show headers (JSON has them always)")
	o.add(f)
	serdeNames(cmd)
	cmd.MarkFlagsMutuallyExclusive("from", "lines")
	return cmd
}

func (o tailing) check() error {
	if o.last < 0 || o.partition < -1 {
		return usage("--lines and --partition cannot be negative")
	}
	return o.codecFlags.check()
}

// from is where to begin: an offset, or what ListOffsets takes.
type from struct {
	offset int64 // -1: use at
	at     int64
}

// parseFrom reads a place to begin; nil: none is given.
func parseFrom(s string, now time.Time) (*from, error) {
	switch s {
	case "":
		return nil, nil
	case "earliest":
		return &from{-1, broker.Earliest}, nil
	case "latest":
		return &from{-1, broker.Latest}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return &from{n, 0}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d < 0 {
		return &from{-1, max(now.Add(d).UnixMilli(), 0)}, nil
	}
	if at, ok := parseTime(s); ok {
		return &from{-1, max(at.UnixMilli(), 0)}, nil
	}
	return nil, usage("%q is no place to begin: it is earliest, latest, an offset, a time such as 2026-11-28T09:30:00Z, or how long ago, such as -2h", s)
}

// tailed is a record as tail shows it.
type tailed struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time"`
	Key       any       `json:"key"`
	Value     any       `json:"value"`
	Headers   []header  `json:"headers,omitempty"`
	Problem   string    `json:"problem,omitempty"`
}

func (t *tool) tail(ctx context.Context, c *broker.Client, ps []kafka.Partition, o tailing, start *from) error {
	k := t.lookup(ctx, c, o.codecFlags).of(ps[0].Topic)
	whole, err := inspect.Whole(ctx, c, ps)
	if err != nil {
		return err
	}
	if o.uncommitted {
		if whole.To, err = c.ListOffsets(ctx, ps, broker.Latest, false); err != nil {
			return err
		}
	}
	whole.Uncommitted = o.uncommitted
	w := bufio.NewWriter(t.out)
	defer w.Flush()
	show := func(r tailed) error { return t.showRecord(w, r, o) }
	wanted := func(p kafka.Partition, r kafka.Record) (tailed, bool) {
		out := tailed{Topic: p.Topic, Partition: p.Index, Offset: r.Offset, Time: instant(r.Time), Headers: headers(r.Headers)}
		out.Key, out.Value, out.Problem = k.show(r)
		return out, !o.keyed || hasKey(out.Key, o.key)
	}
	if start == nil {
		last, err := lastRecords(ctx, c, whole, o.last, wanted)
		if err != nil {
			return err
		}
		for _, r := range last {
			if err := show(r); err != nil {
				return err
			}
		}
		whole.From = whole.To
	} else if whole.From, err = begin(ctx, c, ps, *start, whole); err != nil {
		return err
	}
	if o.follow {
		whole.To = nil
		if err := w.Flush(); err != nil { // what there is shows before more comes
			return err
		}
	}
	err = inspect.Read(ctx, c, whole, func(p kafka.Partition, r kafka.Record) error {
		out, ok := wanted(p, r)
		if !ok {
			return nil
		}
		if err := show(out); err != nil || !o.follow {
			return err
		}
		return w.Flush()
	})
	if o.follow && ctx.Err() != nil {
		return nil
	}
	return err
}

// hasKey says whether a key is what was typed, or a window of it.
func hasKey(shown any, typed string) bool {
	if w, ok := shown.(inspect.Windowed); ok {
		shown = w.Key
	}
	return shown != nil && display(shown) == typed
}

// begin are the offsets of a place, within what there is.
func begin(ctx context.Context, c *broker.Client, ps []kafka.Partition, f from, whole inspect.Reading) (map[kafka.Partition]int64, error) {
	offsets := map[kafka.Partition]int64{}
	var err error
	if f.offset < 0 {
		if offsets, err = c.ListOffsets(ctx, ps, f.at, !whole.Uncommitted); err != nil {
			return nil, err
		}
	}
	for _, p := range ps {
		if f.offset >= 0 {
			offsets[p] = f.offset
		}
		offsets[p] = min(max(offsets[p], whole.From[p]), whole.To[p])
	}
	return offsets, nil
}

// lastRecords are the n last records by their times. Where many offsets are no records, or
// none that are wanted, it looks further back.
func lastRecords(ctx context.Context, c *broker.Client, whole inspect.Reading, n int, wanted func(kafka.Partition, kafka.Record) (tailed, bool)) (last []tailed, err error) {
	if n == 0 {
		return nil, nil
	}
	for back := int64(n)*2 + 10; ; back *= 8 {
		part := inspect.Reading{From: map[kafka.Partition]int64{}, To: whole.To, Uncommitted: whole.Uncommitted}
		all := true
		for p, to := range whole.To {
			part.From[p] = max(to-back, whole.From[p])
			all = all && part.From[p] == whole.From[p]
		}
		byPartition := map[kafka.Partition][]tailed{}
		err := inspect.Read(ctx, c, part, func(p kafka.Partition, r kafka.Record) error {
			if out, ok := wanted(p, r); ok {
				kept := append(byPartition[p], out)
				byPartition[p] = kept[max(0, len(kept)-n):]
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		last = last[:0]
		enough := true
		for p := range whole.To {
			last = append(last, byPartition[p]...)
			enough = enough && (len(byPartition[p]) == n || part.From[p] == whole.From[p])
		}
		if all || enough {
			break
		}
	}
	slices.SortFunc(last, func(a, b tailed) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return last[max(0, len(last)-n):], nil
}

func (t *tool) showRecord(w io.Writer, r tailed, o tailing) error {
	if t.json {
		return line(w, r)
	}
	fmt.Fprintf(w, "%d/%d\t%s\t%s\t%s", r.Partition, r.Offset, r.Time.Format("2006-01-02T15:04:05.000Z07:00"), display(r.Key), display(r.Value))
	if o.headers {
		for _, h := range r.Headers {
			fmt.Fprintf(w, "\t%s=%s", h.Key, display(h.Value))
		}
	}
	if r.Problem != "" {
		fmt.Fprintf(w, "\t(%s)", r.Problem)
	}
	_, err := fmt.Fprintln(w)
	return err
}
