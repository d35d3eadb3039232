package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/verify"
)

func newVerify(t *tool) *cobra.Command {
	var stateDir string
	var sample int64
	var all bool
	cmd := &cobra.Command{
		Use:   "verify APP",
		Short: "Look for what is wrong with an application",
		Long: `Look for what is wrong with an application in Kafka, while it may run: topics that are missing or
are kept in the wrong way, inputs of joins whose keys do not meet, records that were deleted before
they were processed, changelog records in the partition of another task; and with --state-dir,
stores of an instance that does not run which differ from their changelogs.

It reads the changelogs, and the newest records of the inputs of joins. It changes nothing. Exits
with 1 if it finds a fault; a warning is none.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if sample < 1 {
				return usage("--sample %d: it must be above zero", sample)
			}
			ctx := cmd.Context()
			c, err := t.dial(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			says, err := contents(ctx, c, args[0])
			if err != nil {
				return err
			}
			if says.Application == nil {
				return fmt.Errorf("application %s: %w", args[0], registry.ErrNone)
			}
			bar := bars{t: t}
			o := verify.Options{Sample: sample, Now: time.Now(), Progress: bar.set}
			if stateDir != "" {
				o.StateDir = filepath.Join(stateDir, args[0])
			}
			found, err := verify.Run(ctx, c, says, o)
			bar.end()
			if err != nil {
				return err
			}
			return t.showFindings(found, all)
		},
	}
	cmd.Flags().StringVar(&stateDir, "state-dir", "", "also compare the stores in the state `DIR` of an instance, as Config.StateDir has it")
	cmd.Flags().Int64Var(&sample, "sample", 10_000, "how many of the newest `OFFSETS` of each partition of a join's inputs to read")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "show also what is in order (JSON always does)")
	return cmd
}

// bars shows one piece of work after the other.
type bars struct {
	t    *tool
	what string
	bar  *progress
}

func (b *bars) set(what string, done, total int64) {
	if what != b.what {
		b.end()
		b.what, b.bar = what, b.t.progress(what, "offsets", total)
	}
	b.bar.set(done)
}

func (b *bars) end() { b.bar.end() }

func (t *tool) showFindings(found []verify.Finding, all bool) error {
	n := map[verify.Status]int{}
	for _, f := range found {
		n[f.Status]++
	}
	err := t.print(found, func(w io.Writer) {
		for _, f := range found {
			if f.Status != verify.OK || all {
				fmt.Fprintf(w, "%-8s %s: %s: %s\n", f.Status, f.Check, f.About, f.Text)
			}
		}
		fmt.Fprintf(w, "%d faults, %d warnings, %d in order, %d skipped\n", n[verify.Fault], n[verify.Warning], n[verify.OK], n[verify.Skipped])
	})
	if err == nil && n[verify.Fault] > 0 {
		return no("")
	}
	return err
}
