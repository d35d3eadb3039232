package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/examples/lunch-abroad/lunch"
	"github.com/seed-df18afd4/streams/internal/embedded"
)

func newDemo(t *tool) *cobra.Command {
	o := lunch.Options{Role: "all", Seed: 1}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the example lunch abroad, with a broker in this process",
		Long: `Run the example lunch abroad, with a broker in this process: payments in 28 currencies are
texted in pounds. Ctrl-C ends it. Meanwhile, look at it with this tool in another terminal.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Payments < 0 {
				return usage("--payments %d: it cannot be negative", o.Payments)
			}
			b, err := embedded.Start()
			if err != nil {
				return err
			}
			defer b.Close()
			if o.State, err = os.MkdirTemp("", "streams-demo-"); err != nil {
				return err
			}
			defer os.RemoveAll(o.State)
			o.Brokers = b.Addrs()
			fmt.Fprintf(t.messages, "Its broker listens at %[1]s\nIn another terminal:\n\n  streams lag lunch-abroad --watch -b %[1]s\n  streams state lunch-abroad highest-price scan -b %[1]s\n  streams tail texts -f -b %[1]s\n\n", o.Brokers[0])
			out := t.out
			if t.json {
				out = &jsonLines{w: out}
			}
			return lunch.Run(cmd.Context(), o, out, t.messages)
		},
	}
	cmd.Flags().IntVar(&o.Payments, "payments", 0, "stop after `N` payment records; 0: go on until Ctrl-C")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 1, "of the payments")
	return cmd
}

// jsonLines writes each line as a JSON value: that of the counts, or what was printed.
type jsonLines struct {
	w    io.Writer
	rest []byte
}

type demoCounts struct {
	Payments   int64 `json:"payments"`
	Abroad     int64 `json:"abroad"`
	Duplicates int64 `json:"duplicates"`
	Texts      int64 `json:"texts"`
}

func (j *jsonLines) Write(p []byte) (int, error) {
	j.rest = append(j.rest, p...)
	for {
		line, rest, whole := bytes.Cut(j.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		var value any = struct {
			Printed string `json:"printed"`
		}{string(line)}
		var c demoCounts
		if n, _ := fmt.Sscanf(string(line), "payments=%d abroad=%d duplicates=%d texts=%d", &c.Payments, &c.Abroad, &c.Duplicates, &c.Texts); n == 4 {
			value = c
		}
		if err := json.NewEncoder(j.w).Encode(value); err != nil {
			return 0, err
		}
		j.rest = append(j.rest[:0], rest...)
	}
}
