package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/deadletter"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/resend"
)

func newDLQ(t *tool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "List, show, retry and drop dead letters",
		Long: `List, show, retry and drop dead letters: the records in the topic that is named by
Config.DeadLetterTopic, or by errors.deadletterqueue.topic.name of Kafka Streams. A letter is
named by its partition and offset in that topic, as 0/17.`,
	}
	cmd.AddCommand(newDLQList(t), newDLQShow(t), newDLQRetry(t), newDLQDrop(t))
	return cmd
}

// letter is a dead letter as it is shown.
type letter struct {
	Letter    string    `json:"letter"`
	Time      time.Time `json:"time"`
	Topic     string    `json:"topic"` // where the record was read
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Resent    bool      `json:"resent"`
	Exception string    `json:"exception"`
	Message   string    `json:"message"`
	Stack     string    `json:"stack,omitempty"`
	Key       any       `json:"key"`
	Value     any       `json:"value"`
	Headers   []header  `json:"headers,omitempty"`
	Problem   string    `json:"problem,omitempty"`
}

// show makes a letter fit to be shown. One that is none has its reason in Problem.
func (k codecs) letter(l resend.Letter, bad error, resent bool) letter {
	out := letter{
		Letter: fmt.Sprintf("%d/%d", l.At.Index, l.Record.Offset), Time: instant(l.Record.Time),
		Topic: l.Reason.Topic, Partition: l.Reason.Partition, Offset: l.Reason.Offset, Resent: resent,
		Exception: l.Reason.Exception, Message: l.Reason.Message, Stack: l.Reason.Stack,
		Headers: headers(deadletter.Own(l.Record.Headers)),
	}
	out.Key, out.Value, out.Problem = k.show(l.Record)
	if bad != nil {
		out.Problem = bad.Error()
	}
	return out
}

// letters gives f the letters of partitions, partition by partition. One that is none comes
// with an error. Progress, if not nil, is told how many offsets are done.
func (t *tool) letters(ctx context.Context, c *broker.Client, ps []kafka.Partition, progress func(done, total int64), f func(l resend.Letter, bad error) error) error {
	whole, err := inspect.Whole(ctx, c, ps)
	if err != nil {
		return err
	}
	stopped := false
	var before, total int64
	for _, p := range ps {
		total += whole.To[p] - whole.From[p]
	}
	for _, p := range ps {
		part := inspect.Reading{From: map[kafka.Partition]int64{p: whole.From[p]}, To: map[kafka.Partition]int64{p: whole.To[p]}}
		if progress != nil {
			part.Progress = func(done, _ int64) { progress(before+done, total) }
		}
		err := inspect.Read(ctx, c, part, func(p kafka.Partition, r kafka.Record) error {
			reason, bad := deadletter.Read(r.Headers)
			err := f(resend.Letter{At: p, Record: r, Reason: reason}, bad)
			stopped = err == inspect.ErrStop
			return err
		})
		if err != nil || stopped {
			return err
		}
		before += whole.To[p] - whole.From[p]
	}
	return nil
}

func newDLQList(t *tool) *cobra.Command {
	var limit int
	var waiting bool
	var k codecFlags
	cmd := &cobra.Command{
		Use:   "list TOPIC",
		Short: "List the dead letters of a topic",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usage("--limit %d: it cannot be negative", limit)
			}
			if err := k.check(); err != nil {
				return err
			}
			ctx := cmd.Context()
			c, ps, err := t.partitions(ctx, args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			ledger, err := resend.ReadLedger(ctx, c, ps)
			if err != nil {
				return err
			}
			types := t.lookup(ctx, c, k)
			rows := [][]string{{"LETTER", "TIME", "FROM", "RESENT", "MESSAGE"}}
			w := bufio.NewWriter(t.out)
			defer w.Flush()
			n := 0
			err = t.letters(ctx, c, ps, nil, func(l resend.Letter, bad error) error {
				resent := ledger.Sent(l.At, l.Record.Offset)
				if waiting && resent {
					return nil
				}
				if n++; limit > 0 && n > limit {
					return inspect.ErrStop
				}
				out := types.of(l.Reason.Topic).letter(l, bad, resent)
				if t.json {
					return line(w, out)
				}
				from := fmt.Sprintf("%s/%d@%d", out.Topic, out.Partition, out.Offset)
				if bad != nil {
					from = "-"
				}
				rows = append(rows, []string{out.Letter, out.Time.Format(time.RFC3339), from, yesNo(resent), short(cmp.Or(out.Problem, out.Message), 80)})
				return nil
			})
			if err != nil || t.json {
				return err
			}
			table(w, rows)
			if limit > 0 && n > limit {
				fmt.Fprintf(w, "... and more: --limit 0 shows all\n")
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "show `N` at most; 0: all")
	cmd.Flags().BoolVar(&waiting, "waiting", false, "only those that were not sent again")
	k.add(cmd.Flags())
	serdeNames(cmd)
	return cmd
}

// short is a text on one line, of so many letters at most.
func short(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// place is a letter's name: its partition and offset.
type place struct {
	partition int32
	offset    int64
}

func (p place) String() string { return fmt.Sprintf("%d/%d", p.partition, p.offset) }

// parsePlaces reads letters' names.
func parsePlaces(texts []string) (places []place, err error) {
	for _, s := range texts {
		partition, offset, ok := strings.Cut(s, "/")
		p, err1 := strconv.ParseInt(partition, 10, 32)
		o, err2 := strconv.ParseInt(offset, 10, 64)
		if !ok || err1 != nil || err2 != nil || p < 0 || o < 0 {
			return nil, usage("%q names no letter: it is PARTITION/OFFSET, such as 0/17", s)
		}
		places = append(places, place{int32(p), o})
	}
	return places, nil
}

// chosen gives f the letters that are named.
func (t *tool) chosen(ctx context.Context, c *broker.Client, ps []kafka.Partition, places []place, f func(resend.Letter, error) error) error {
	whole, err := inspect.Whole(ctx, c, ps)
	if err != nil {
		return err
	}
	for _, at := range places {
		i := slices.IndexFunc(ps, func(p kafka.Partition) bool { return p.Index == at.partition })
		if i < 0 {
			return no("there is no letter %s: topic %s has %d partitions", at, ps[0].Topic, len(ps))
		}
		p, found := ps[i], false
		if at.offset >= whole.From[p] && at.offset < whole.To[p] {
			one := inspect.Reading{From: map[kafka.Partition]int64{p: at.offset}, To: map[kafka.Partition]int64{p: at.offset + 1}}
			err := inspect.Read(ctx, c, one, func(p kafka.Partition, r kafka.Record) error {
				if found = r.Offset == at.offset; !found {
					return nil
				}
				reason, bad := deadletter.Read(r.Headers)
				return f(resend.Letter{At: p, Record: r, Reason: reason}, bad)
			})
			if err != nil {
				return err
			}
		}
		if !found {
			return no("there is no letter %s: %s has %d to %d, and at some offsets there is none", at, p, whole.From[p], whole.To[p]-1)
		}
	}
	return nil
}

func newDLQShow(t *tool) *cobra.Command {
	var k codecFlags
	cmd := &cobra.Command{
		Use:   "show TOPIC LETTER...",
		Short: "Show all of some dead letters",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			places, err := parsePlaces(args[1:])
			if err := cmp.Or(err, k.check()); err != nil {
				return err
			}
			c, ps, err := t.partitions(ctx, args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			ledger, err := resend.ReadLedger(ctx, c, ps)
			if err != nil {
				return err
			}
			types := t.lookup(ctx, c, k)
			return t.chosen(ctx, c, ps, places, func(l resend.Letter, bad error) error {
				out := types.of(l.Reason.Topic).letter(l, bad, ledger.Sent(l.At, l.Record.Offset))
				if t.json && len(places) > 1 {
					return line(t.out, out)
				}
				return t.print(out, out.write)
			})
		},
	}
	k.add(cmd.Flags())
	serdeNames(cmd)
	return cmd
}

func (l letter) write(w io.Writer) {
	fmt.Fprintf(w, "letter %s, %s\n", l.Letter, l.Time.Format(time.RFC3339Nano))
	if l.Topic != "" {
		fmt.Fprintf(w, "  from       %s/%d, offset %d\n", l.Topic, l.Partition, l.Offset)
		fmt.Fprintf(w, "  resent     %s\n", yesNo(l.Resent))
		fmt.Fprintf(w, "  exception  %s\n", indent(l.Exception))
		fmt.Fprintf(w, "  message    %s\n", indent(l.Message))
	}
	fmt.Fprintf(w, "  key        %s\n", display(l.Key))
	fmt.Fprintf(w, "  value      %s\n", display(l.Value))
	for _, h := range l.Headers {
		fmt.Fprintf(w, "  header     %s: %s\n", h.Key, display(h.Value))
	}
	if l.Problem != "" {
		fmt.Fprintf(w, "  problem    %s\n", l.Problem)
	}
	if l.Stack != "" {
		fmt.Fprintf(w, "  stack      %s\n", indent(l.Stack))
	}
}

// indent puts the lines of a text under each other.
func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n             ")
}
