package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/resend"
)

func newDLQRetry(t *tool) *cobra.Command {
	var all, again, yes bool
	cmd := &cobra.Command{
		Use:   "retry TOPIC (LETTER... | --all)",
		Short: "Send dead letters to the topics they came from",
		Long: `Send dead letters to the topics and partitions they came from: with the key, value, time and
headers they had, without the reason. The letters stay where they are: dlq drop deletes them.

A letter is sent once: what was sent is remembered in the offsets of the group TOPIC-resent, in
the transaction that sends it. Kafka forgets them after offsets.retention.minutes, a week by
default, so drop what was sent.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 1) {
				return usage("name letters, or say --all")
			}
			places, err := parsePlaces(args[1:])
			if err != nil {
				return err
			}
			c, ps, err := t.partitions(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			return t.retry(cmd.Context(), c, ps, places, again, yes)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that were not sent again")
	cmd.Flags().BoolVar(&again, "again", false, "also those that were sent again before")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// retried is what retry did.
type retried struct {
	Sent    int64 `json:"sent"`
	Before  int64 `json:"sent_before"`
	Strange int64 `json:"no_letters"`
}

// retry sends letters again: those that are named, or all.
func (t *tool) retry(ctx context.Context, c *broker.Client, ps []kafka.Partition, places []place, again, yes bool) error {
	what := "all dead letters"
	if len(places) > 0 {
		what = fmt.Sprintf("%d dead letters", len(places))
	}
	if err := t.confirm(yes, "Send %s of %s to the topics they came from?", what, ps[0].Topic); err != nil {
		return err
	}
	s, err := resend.NewSender(ctx, c, ps)
	if err != nil {
		return err
	}
	defer s.Close()
	var out retried
	after := map[kafka.Partition]int64{} // from where on all is sent, or is no record
	send := func(l resend.Letter, bad error) error {
		switch {
		case bad != nil && len(places) > 0:
			return fmt.Errorf("%s@%d: %w", l.At, l.Record.Offset, bad)
		case bad != nil:
			out.Strange++
			after[l.At] = l.Record.Offset + 1
			return nil
		case !again && s.Ledger.Sent(l.At, l.Record.Offset):
			out.Before++
			return nil
		}
		if l.After = l.Record.Offset; len(places) == 0 {
			l.After, after[l.At] = after[l.At], l.Record.Offset+1
		}
		return s.Add(ctx, l)
	}
	if len(places) > 0 {
		err = t.chosen(ctx, c, ps, places, send)
	} else {
		bar := bars{t: t}
		err = t.letters(ctx, c, ps, func(done, total int64) { bar.set("sending "+ps[0].Topic, done, total) }, send)
		bar.end()
	}
	if err == nil {
		err = s.Flush()
	}
	out.Sent = s.Sent()
	if err != nil {
		return fmt.Errorf("%w (%d letters were sent before that)", err, out.Sent)
	}
	return t.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "%d sent again; %d were sent before", out.Sent, out.Before)
		if out.Strange > 0 {
			fmt.Fprintf(w, "; %d records are no dead letters and were left out", out.Strange)
		}
		fmt.Fprintln(w)
	})
}

func newDLQDrop(t *tool) *cobra.Command {
	var all, resent, yes bool
	cmd := &cobra.Command{
		Use:   "drop TOPIC (LETTER... | --resent | --all)",
		Short: "Delete dead letters up to some",
		Long: `Delete dead letters. Kafka can only delete the beginning of a partition: LETTER 0/17 stands for
it and everything before it in partition 0. --resent deletes from the beginning of each partition
what was sent again, up to the first letter that was not.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ways := 0
			for _, way := range []bool{all, resent, len(args) > 1} {
				if way {
					ways++
				}
			}
			if ways != 1 {
				return usage("name letters, or say --resent, or --all")
			}
			places, err := parsePlaces(args[1:])
			if err != nil {
				return err
			}
			c, ps, err := t.partitions(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer c.Close()
			return t.drop(cmd.Context(), c, ps, yes, func(whole inspect.Reading) (map[kafka.Partition]int64, error) {
				switch {
				case all:
					return whole.To, nil
				case resent:
					return resentBefore(cmd.Context(), c, ps)
				}
				return before(ps, places, whole)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all")
	cmd.Flags().BoolVar(&resent, "resent", false, "those that were sent again")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func resentBefore(ctx context.Context, c *broker.Client, ps []kafka.Partition) (map[kafka.Partition]int64, error) {
	ledger, err := resend.ReadLedger(ctx, c, ps)
	if err != nil {
		return nil, err
	}
	found := map[kafka.Partition]int64{}
	for _, p := range ps {
		found[p] = ledger.Before(p)
	}
	return found, nil
}

// before are the offsets behind the letters that are named. One that is behind the end is a
// slip, and no wish to delete everything.
func before(ps []kafka.Partition, places []place, whole inspect.Reading) (map[kafka.Partition]int64, error) {
	found := map[kafka.Partition]int64{}
	for _, at := range places {
		i := slices.IndexFunc(ps, func(p kafka.Partition) bool { return p.Index == at.partition })
		if i < 0 {
			return nil, no("there is no letter %s: topic %s has %d partitions", at, ps[0].Topic, len(ps))
		}
		if at.offset >= whole.To[ps[i]] {
			return nil, no("there is no letter %s: %s ends at %d", at, ps[i], whole.To[ps[i]])
		}
		found[ps[i]] = max(found[ps[i]], at.offset+1)
	}
	return found, nil
}

// drop deletes what lies before the offsets that choose gives.
func (t *tool) drop(ctx context.Context, c *broker.Client, ps []kafka.Partition, yes bool, choose func(whole inspect.Reading) (map[kafka.Partition]int64, error)) error {
	whole, err := inspect.Whole(ctx, c, ps)
	if err != nil {
		return err
	}
	ends, err := choose(whole)
	if err != nil {
		return err
	}
	cuts := map[kafka.Partition]int64{}
	rows := [][]string{{"PARTITION", "FIRST", "LAST"}}
	for _, p := range ps {
		if end := min(ends[p], whole.To[p]); end > whole.From[p] {
			cuts[p] = end
			rows = append(rows, []string{strconv.Itoa(int(p.Index)), strconv.FormatInt(whole.From[p], 10), strconv.FormatInt(end-1, 10)})
		}
	}
	if len(cuts) == 0 {
		return t.print(dropped{Partitions: []string{}}, func(w io.Writer) { fmt.Fprintln(w, "there is nothing to delete") })
	}
	table(t.messages, rows)
	if err := t.confirm(yes, "Delete these dead letters of %s for ever?", ps[0].Topic); err != nil {
		return err
	}
	if err := c.DeleteRecords(ctx, cuts); err != nil {
		return err
	}
	out := dropped{}
	for _, row := range rows[1:] {
		out.Partitions = append(out.Partitions, fmt.Sprintf("%s/%s", row[0], row[2]))
	}
	return t.print(out, func(w io.Writer) { fmt.Fprintf(w, "deleted up to %s\n", strings.Join(out.Partitions, ", ")) })
}

// dropped is what drop did: the last letter of each partition that is deleted.
type dropped struct {
	Partitions []string `json:"deleted_up_to"`
}
