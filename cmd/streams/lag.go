package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seed-df18afd4/streams/internal/lag"
)

func newLag(t *tool) *cobra.Command {
	var watch bool
	var every, maxAge time.Duration
	var maxRecords int64
	cmd := &cobra.Command{
		Use:   "lag APP",
		Short: "Show how far an application is behind",
		Long: `Show how far an application is behind: for each task and partition the records that it has not
processed, how old the first of them is by its own time, and the instance that the task is assigned
to, by its host and process number. A minus stands for what is not known.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if every <= 0 {
				return usage("--interval %v: it must be above zero", every)
			}
			if maxRecords < -1 || maxAge < 0 {
				return usage("--max-records and --max-age cannot be negative")
			}
			ctx := cmd.Context()
			c, err := t.dial(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			app, err := follow(ctx, c, args[0])
			if err != nil {
				return err
			}
			defer app.Close()
			for {
				says, err := latest(ctx, app, args[0])
				var all []lag.Lag
				if err == nil {
					all, err = lag.Measure(ctx, c, says, time.Now())
				}
				if err == nil {
					err = t.showLag(all, watch)
				}
				if !watch {
					return cmp.Or(err, tooFar(all, maxRecords, maxAge))
				}
				if err == nil {
					pause(ctx, every)
				}
				if ctx.Err() != nil { // Ctrl-C, wherever it was
					return nil
				}
				if err != nil {
					return err
				}
			}
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "again and again, until Ctrl-C")
	cmd.Flags().DurationVar(&every, "interval", 2*time.Second, "`TIME` between two looks")
	cmd.Flags().Int64Var(&maxRecords, "max-records", -1, "exit with 1 where a partition is behind by more than `N` records")
	cmd.Flags().DurationVar(&maxAge, "max-age", 0, "exit with 1 where a record that is not processed is older than `TIME`")
	cmd.MarkFlagsMutuallyExclusive("watch", "max-records")
	cmd.MarkFlagsMutuallyExclusive("watch", "max-age")
	return cmd
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// tooFar is an answer of no where a partition is behind by more than is allowed.
func tooFar(all []lag.Lag, records int64, age time.Duration) error {
	for _, l := range all {
		if records >= 0 && l.Records != nil && *l.Records > records {
			return no("task %s is %d records behind in %s/%d", l.Task, *l.Records, l.Topic, l.Partition)
		}
		if age > 0 && l.Seconds != nil && *l.Seconds > age.Seconds() {
			return no("task %s has not processed a record of %s/%d that is %s old", l.Task, l.Topic, l.Partition, seconds(l.Seconds))
		}
	}
	return nil
}

// showLag prints one look. While it watches, JSON is a line a look, and a terminal is cleared.
func (t *tool) showLag(all []lag.Lag, watch bool) error {
	if t.json && watch {
		return line(t.out, all)
	}
	if f, ok := t.out.(*os.File); ok && watch && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(f, "\x1b[H\x1b[2J")
	}
	return t.print(all, func(w io.Writer) { writeLag(w, all, watch) })
}

func writeLag(w io.Writer, all []lag.Lag, watch bool) {
	rows := [][]string{{"TASK", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "AGE", "INSTANCE"}}
	total, oldest := int64(0), (*float64)(nil)
	for _, l := range all {
		rows = append(rows, []string{l.Task, l.Topic, strconv.Itoa(int(l.Partition)), count(l.Committed), strconv.FormatInt(l.End, 10), count(l.Records), seconds(l.Seconds), owner(l.Instance)})
		if l.Records != nil {
			total += *l.Records
		}
		if l.Seconds != nil && (oldest == nil || *l.Seconds > *oldest) {
			oldest = l.Seconds
		}
	}
	table(w, rows)
	fmt.Fprintf(w, "\n%d records behind", total)
	if oldest != nil {
		fmt.Fprintf(w, ", the oldest is %s old", seconds(oldest))
	}
	fmt.Fprintln(w)
	if watch {
		fmt.Fprintln(w, time.Now().Format(time.DateTime))
	}
}

// owner is an instance's host and process number, or its own id.
func owner(i *lag.Instance) string {
	switch {
	case i == nil:
		return "-"
	case i.Host == "":
		return i.Process
	}
	return i.Host + "/" + strconv.Itoa(i.PID)
}

func count(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

// seconds is a time in the units that fit it.
func seconds(s *float64) string {
	if s == nil {
		return "-"
	}
	d := time.Duration(*s * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
