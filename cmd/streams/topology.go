package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/upgrade"
	"github.com/seed-df18afd4/streams/topology"
)

// drawings are the formats of topologies.
var drawings = map[string]func(*topology.Topology) string{
	"text":    (*topology.Topology).Describe,
	"mermaid": (*topology.Topology).Mermaid,
	"dot":     (*topology.Topology).DOT,
	"svg":     (*topology.Topology).SVG,
}

func newTopology(t *tool) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "topology APP|FILE",
		Short: "Print or draw a topology",
		Long: `Print or draw the topology of an application, as it has described itself in Kafka, or of a file:
what this command prints with --json, or what json.Marshal makes of a topology.Topology. A dash is
standard input. The text is that of Kafka Streams' Topology#describe.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			draw, ok := drawings[format]
			if !ok {
				return usage("--format %s: it is text, mermaid, dot or svg", format)
			}
			a, err := t.described(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return t.print(a, func(w io.Writer) { io.WriteString(w, draw((*topology.Topology)(a.Plan))) })
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT`: text, mermaid, dot or svg")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "mermaid", "dot", "svg"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.AddCommand(newTopologyDiff(t))
	return cmd
}

func newTopologyDiff(t *tool) *cobra.Command {
	return &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what a new version of an application would lose",
		Long: `Say what a new version of an application would lose of what the old one keeps: OLD and NEW are
applications or files, as for streams topology. Exits with 1 if a store or a repartition topic is
gone or changes its type. A test that writes the topology of the new version into a file makes
this a check of a build:

  streams topology diff orders new.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := t.described(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			now, err := t.described(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			if now.ID == "" {
				now.ID = old.ID // a file that a program wrote does not know its application
			}
			if old.ID == "" {
				old.ID = now.ID
			}
			changes := append([]upgrade.Change{}, upgrade.Compare(old, now)...)
			if err := t.print(changes, func(w io.Writer) { writeChanges(w, changes) }); err != nil {
				return err
			}
			for _, c := range changes {
				if c.Loses {
					return no("")
				}
			}
			return nil
		},
	}
}

func writeChanges(w io.Writer, changes []upgrade.Change) {
	if len(changes) == 0 {
		fmt.Fprintln(w, "no difference")
	}
	for _, c := range changes {
		mark := " "
		if c.Loses {
			mark = "!"
		}
		fmt.Fprintf(w, "%s %s %s: %s\n", mark, c.What, c.Name, c.Why)
		if c.Old != "" {
			fmt.Fprintf(w, "    - %s\n", c.Old)
		}
		if c.New != "" {
			fmt.Fprintf(w, "    + %s\n", c.New)
		}
	}
}

// described is the description in a file, or that of an application in Kafka where there is
// no file of the name.
func (t *tool) described(ctx context.Context, name string) (*registry.Application, error) {
	var b []byte
	var err error
	if name == "-" {
		b, err = io.ReadAll(t.in)
	} else {
		b, err = os.ReadFile(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t.inRegistry(ctx, name)
	case err != nil:
		return nil, err
	}
	return decodeDescription(name, b)
}

func (t *tool) inRegistry(ctx context.Context, app string) (*registry.Application, error) {
	c, err := t.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("there is no file %s, and to look for an application of that name: %w", app, err)
	}
	defer c.Close()
	return application(ctx, c, app)
}

func decodeDescription(name string, b []byte) (*registry.Application, error) {
	var a registry.Application
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("%s is no description of a topology: %w", name, err)
	}
	if a.Format > registry.Format {
		return nil, fmt.Errorf("%s is of format %d, and this tool knows formats up to %d: use a newer version of it", name, a.Format, registry.Format)
	}
	if a.Plan == nil || a.Format < 1 {
		return nil, fmt.Errorf("%s is no description of a topology: it has no Format or no Plan", name)
	}
	return &a, nil
}
