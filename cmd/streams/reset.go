package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/reset"
)

// resetFlags are the flags of reset.
type resetFlags struct {
	earliest, latest bool
	time, by, file   string
	offset           int64
	topics, internal []string
	keepState        bool

	execute, undo, restart, yes bool
	wait                        time.Duration
}

func newReset(t *tool) *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use:   "reset APP",
		Short: "Rewind an application, with all its state",
		Long: `Rewind an application: its positions in its input topics, its own topics, and the state on the
disks of all its instances, so that what is read again gives what a first run would have given.

Without --execute it only says what it would do: which positions move where, and how many records
are read again; which topics are deleted and which stores are wiped; which results are written
again. It resets everything that the inputs get to, and nothing else.

Instances must be stopped, or they are restarted in place with --restart. One that is started
later wipes its disk by itself. A reset that was interrupted keeps instances from starting until
it is finished, by --execute, or undone, by --undo.

An application of Kafka Streams is reset as well: its group, and the topics that its id and their
names tell to be its own. Its instances must be stopped, and their local state is yours to delete.`,
		Example: `  streams reset lunch-abroad --to-time 2026-11-23                  # says what it would do
  streams reset lunch-abroad --to-time 2026-11-23 --execute
  streams reset lunch-abroad --by -2h --topic payments --restart --execute`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, named, err := f.target(cmd.Flags().Changed, time.Now())
			if err != nil {
				return err
			}
			c, err := t.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			return t.reset(cmd.Context(), c, args[0], f, to, named)
		},
	}
	f.add(cmd)
	return cmd
}

// targets are the flags that say where to, of which there is one.
var targets = []string{"to-earliest", "to-latest", "to-time", "by", "to-offset", "from-file"}

func (f *resetFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.earliest, "to-earliest", false, "to the first record that is still there")
	flags.BoolVar(&f.latest, "to-latest", false, "to the end: what is there is not read")
	flags.StringVar(&f.time, "to-time", "", "to the first record of this `TIME` or later: 2026-11-23, 2026-11-23T08:30, 2026-11-23T08:30:00+01:00; UTC unless it says otherwise")
	flags.StringVar(&f.by, "by", "", "to so long before now, `-2h`, or by so many records, -500")
	flags.Int64Var(&f.offset, "to-offset", 0, "to `OFFSET` in every partition")
	flags.StringVar(&f.file, "from-file", "", "to what `FILE` says, in lines of topic,partition,offset")
	flags.StringSliceVarP(&f.topics, "topic", "t", nil, "the input `TOPIC`s to move; all by default")
	flags.StringSliceVar(&f.internal, "internal-topic", nil, "of an application of Kafka Streams: the `TOPIC`s to delete; by default those whose names say so")
	flags.BoolVar(&f.keepState, "keep-state", false, "move positions, and do nothing else")
	flags.BoolVar(&f.execute, "execute", false, "do it, or finish a reset that was interrupted")
	flags.BoolVar(&f.undo, "undo", false, "take back a reset that was interrupted, unless topics may be deleted already")
	flags.BoolVar(&f.restart, "restart", false, "stop instances that run, and let them begin again when it is done")
	flags.DurationVar(&f.wait, "wait", 2*time.Minute, "how long instances may take to stop")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
}

// target is where to, and whether any was named.
func (f *resetFlags) target(changed func(string) bool, now time.Time) (to reset.Target, named bool, err error) {
	var asked []string
	for _, flag := range targets {
		if changed(flag) {
			asked = append(asked, "--"+flag)
		}
	}
	switch {
	case len(asked) > 1:
		return to, true, usage("%s: name one of them", strings.Join(asked, " and "))
	case f.execute && f.undo:
		return to, false, usage("--execute finishes a reset and --undo takes it back: name one of them")
	case changed("to-earliest"):
		return reset.ToEarliest(), true, nil
	case changed("to-latest"):
		return reset.ToLatest(), true, nil
	case changed("to-offset"):
		return reset.ToOffset(f.offset), true, nil
	case changed("to-time"):
		at, err := pointInTime(f.time)
		return reset.ToTime(at), true, err
	case changed("by"):
		if n, err := strconv.ParseInt(f.by, 10, 64); err == nil {
			return reset.ByRecords(n), true, nil
		}
		d, err := time.ParseDuration(f.by)
		if err != nil {
			return to, true, usage("--by %q: it is a time such as -2h, or a number of records such as -500", f.by)
		}
		if d > 0 {
			return to, true, usage("--by %s: it is in the future; -%s is before now", f.by, f.by)
		}
		return reset.By(d, now), true, nil
	case changed("from-file"):
		file, err := os.Open(f.file)
		if err != nil {
			return to, true, usage("--from-file: %v", err)
		}
		defer file.Close()
		if to, err = reset.FromFile(f.file, file); err != nil {
			return to, true, usage("%v", err)
		}
		return to, true, nil
	}
	return to, false, nil
}

// pointInTime reads a time or a date, in UTC unless it says otherwise.
func pointInTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usage("--to-time %q: it is a time such as 2026-11-23T08:30 or a date", s)
}

func (t *tool) reset(ctx context.Context, c *broker.Client, app string, f resetFlags, to reset.Target, named bool) error {
	under, err := reset.Find(ctx, c, app)
	if err != nil {
		return err
	}
	if under != nil {
		return t.goOn(ctx, c, under, to, named, f)
	}
	if f.undo {
		return no("no reset of %s is under way", app)
	}
	if !named {
		return usage("where to? One of --%s", strings.Join(targets, ", --"))
	}
	plan, err := reset.Make(ctx, c, reset.Options{App: app, To: to, Topics: f.topics, Internal: f.internal, KeepState: f.keepState})
	if err != nil {
		return err
	}
	running, err := reset.Running(ctx, c, app)
	if err != nil {
		return err
	}
	if err := t.print(shown{plan, len(running), f.execute}, func(w io.Writer) { writePlan(w, plan, len(running), f.restart) }); err != nil {
		return err
	}
	if !f.execute {
		fmt.Fprintln(t.messages, "nothing was done; --execute does it")
		return nil
	}
	if len(running) > 0 && !f.restart {
		return no("%v: stop it, or restart it in place with --restart", &reset.RunningError{App: app, Members: running})
	}
	if err := t.confirm(f.yes, "Reset %s?", app); err != nil {
		return err
	}
	return interrupted(app, reset.Execute(ctx, c, plan, t.execution(f)))
}

// shown is a plan as it is printed.
type shown struct {
	*reset.Plan
	Running int  `json:"running"` // instances
	Execute bool `json:"execute"` // it is carried out
}

// goOn finishes or undoes a reset that is under way.
func (t *tool) goOn(ctx context.Context, c *broker.Client, u *reset.Unfinished, to reset.Target, named bool, f resetFlags) error {
	app := u.Plan.App
	fmt.Fprintf(t.messages, "a reset of %s %s, begun %s by %s, is not done: it got as far as %q\n", app, u.Plan.Target, u.Begun.Format(time.RFC3339), u.By, u.Step)
	if named && to.Say != u.Plan.Target && !f.undo {
		return no("it is another one: first finish it with --execute, or undo it with --undo, without %s", to.Say)
	}
	switch {
	case f.undo && !u.Undoable():
		return no("%v, with --execute", reset.ErrTooLate)
	case f.undo:
		if err := t.confirm(f.yes, "Undo the reset of %s?", app); err != nil {
			return err
		}
		return interrupted(app, reset.Undo(ctx, c, app, t.execution(f)))
	case f.execute:
		if err := t.confirm(f.yes, "Finish the reset of %s?", app); err != nil {
			return err
		}
		return interrupted(app, reset.Finish(ctx, c, app, t.execution(f)))
	}
	if err := t.print(shown{u.Plan, 0, false}, func(w io.Writer) { writePlan(w, u.Plan, 0, false) }); err != nil {
		return err
	}
	if u.Undoable() {
		return no("--execute finishes it, --undo takes it back")
	}
	return no("--execute finishes it; it cannot be undone any more")
}

// execution says how to do it, and tells of each step.
func (t *tool) execution(f resetFlags) reset.Execution {
	says := map[reset.Step]string{
		reset.Planned:   "instances are told to stop, and none starts",
		reset.Stopped:   "no instance runs",
		reset.Committed: "the positions are moved",
		reset.Cleared:   "the application's own topics are cleared",
		reset.Raised:    "instances are told to wipe their disks",
		reset.Done:      "done",
	}
	return reset.Execution{Restart: f.restart, Wait: f.wait, Say: func(s reset.Step) { fmt.Fprintln(t.messages, says[s]) }}
}

// interrupted adds to an error what to do next.
func interrupted(app string, err error) error {
	if err == nil || errors.As(err, new(*reset.RunningError)) || errors.Is(err, reset.ErrOther) {
		return err
	}
	return fmt.Errorf("%w\nrun \"streams reset %s --execute\" to finish it, or with --undo to undo it", err, app)
}

// writePlan prints a plan, with what becomes of the instances that run.
func writePlan(w io.Writer, p *reset.Plan, running int, restart bool) {
	fmt.Fprintf(w, "reset of %s %s\n\n", p.App, p.Target)
	header := []string{"TOPIC", "PARTITION", "FROM", "TO", "READ AGAIN", "SKIPPED", "NOTE"}
	rows := [][]string{header}
	for _, m := range p.Moves {
		from := "-"
		if m.From >= 0 {
			from = strconv.FormatInt(m.From, 10)
		}
		rows = append(rows, []string{m.Topic, strconv.Itoa(int(m.Partition)), from, strconv.FormatInt(m.To, 10), strconv.FormatInt(m.Again, 10), strconv.FormatInt(m.Skipped, 10), m.Note})
	}
	table(w, rows)
	fmt.Fprintf(w, "\n%d records are read again\n", p.Records())
	list := func(title string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(w, "\n%s:\n", title)
		}
		for _, n := range names {
			fmt.Fprintf(w, "  %s\n", n)
		}
	}
	list("topics that are deleted", p.Delete)
	list("topics that are emptied", p.Empty)
	list("stores that are wiped on every instance", p.Stores)
	list("results that are written again", p.Rewrites)
	list("applications that read them", p.Readers)
	notes := p.Notes
	if running > 0 {
		then := "stop them, or restart them in place with --restart"
		if restart {
			then = "they stop their tasks, and begin again when it is done"
		}
		notes = append(notes, fmt.Sprintf("instances that run: %d; %s", running, then))
	}
	list("notes", notes)
}
