// Streams is the tool that knows applications of this library: it lists them, shows how far
// they are and what they remember, checks them, and handles their dead letters.
//
//	go install github.com/seed-df18afd4/streams/cmd/streams@latest
//	streams help
//
// It exits with 0 when it did what was asked, with 1 when the answer is no (a difference, a
// fault, no such row, an application that runs, a question answered with no), with 2 when it was
// asked in the wrong way, with 3 when it failed, and with 130 when it was interrupted.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The codes with which the tool exits.
const (
	exitOK          = 0
	exitNo          = 1
	exitUsage       = 2
	exitFailed      = 3
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes a command line, and returns the code to exit with.
func run(ctx context.Context, args []string, in io.Reader, out, messages io.Writer) int {
	t := &tool{in: in, out: out, messages: messages}
	root := newRoot(t)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(messages)
	err := root.ExecuteContext(ctx)
	var no *noError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &no):
		if no.why != "" {
			fmt.Fprintln(messages, "streams:", no.why)
		}
		return exitNo
	case ctx.Err() != nil:
		fmt.Fprintln(messages, "streams: interrupted")
		return exitInterrupted
	case !t.begun || errors.As(err, new(*usageError)):
		fmt.Fprintf(messages, "streams: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(messages, "streams: %v\n", err)
	return exitFailed
}

// noError is an answer of no: the tool worked, and exits with 1.
type noError struct{ why string }

func (e *noError) Error() string { return e.why }

func no(format string, args ...any) error { return &noError{fmt.Sprintf(format, args...)} }

// usageError is a command line that is found to be wrong while it is carried out.
type usageError struct{ why string }

func (e *usageError) Error() string { return e.why }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// newRoot is the command that has all others.
func newRoot(t *tool) *cobra.Command {
	root := &cobra.Command{
		Use:   "streams",
		Short: "Look after applications of the streams library",
		Long: `Look after applications of the streams library: which there are, how far they are, what
they remember, whether all is in order.

Every flag of the connection can also stand in the environment, --tls-ca as STREAMS_TLS_CA,
or in a YAML file, as "tls-ca: ca.pem": --config, or config.yaml in the folder "streams" of the
user's configuration directory. A flag goes before the environment, and that before the file.

Exit codes: 0 done, 1 the answer is no (a difference, a fault, no such row, an application that
runs), 2 wrong usage, 3 failed, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			// Cobra looks at the groups only after this, when the command line counts as understood.
			if err := cmp.Or(cmd.ValidateFlagGroups(), t.configure(cmd.Flags())); err != nil {
				return err
			}
			t.begun = true
			return nil
		},
	}
	t.addFlags(root.PersistentFlags())
	for _, add := range commands {
		root.AddCommand(add(t))
	}
	return root
}

// commands make the tool's commands.
var commands = []func(*tool) *cobra.Command{
	newList, newLag, newTopology, newState, newTail, newDLQ, newVerify, newReset, newDemo,
}
