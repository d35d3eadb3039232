package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/store"
)

// stateFlags are the flags of state.
type stateFlags struct {
	codecFlags
	stateDir     string
	output       string
	prefix       string
	from, to     string
	since, until string
	limit        int
}

// looking is a look into a store: its parts, and how to show their rows.
type looking struct {
	view  inspect.View
	parts iter.Seq2[inspect.Part, error]
	disk  bool
	clear func() // makes room on a terminal for rows
}

var stateActions = []string{"get", "scan", "count", "size", "export"}

func newState(t *tool) *cobra.Command {
	var o stateFlags
	cmd := &cobra.Command{
		Use:   "state APP STORE (get KEY | scan | count | size | export)",
		Short: "Look into a store of an application",
		Long: `Look into a store of an application: as its changelog in Kafka has it, or in a state directory.

From Kafka the rows are those that are committed, whatever the instances have; the changelog is read
from its start. With --state-dir they are those of an instance that does not run, without Kafka.

  get KEY  the row of a key; of a window store all windows of it, of one with history all versions.
           Exits with 1 if there is none
  scan     rows, in the order of each task's keys
  count    how many rows there are
  size     how many rows and bytes there are, and on disk how much space they take
  export   all rows as JSON, one in each line`,
		Args: cobra.RangeArgs(3, 4),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 2 {
				return stateActions, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args, cmd.Flags().Changed); err != nil {
				return err
			}
			return t.state(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.stateDir, "state-dir", "", "read the state `DIR` of an instance, as Config.StateDir has it")
	f.StringVarP(&o.output, "output", "o", "", "write rows to `FILE`, not to standard output")
	f.StringVar(&o.prefix, "prefix", "", "scan: only keys that begin with this `TEXT`")
	f.StringVar(&o.from, "from", "", "scan: no `KEY` before this one, in the order of the bytes")
	f.StringVar(&o.to, "to", "", "scan: no `KEY` after this one")
	f.StringVar(&o.since, "since", "", "scan: no windows that start, no sessions that end, no other rows that are of before this `TIME`")
	f.StringVar(&o.until, "until", "", "scan: none after this `TIME`")
	f.IntVar(&o.limit, "limit", 0, "scan: `N` rows at most; 0: all")
	o.add(f)
	serdeNames(cmd)
	return cmd
}

// ofScan are the flags that choose rows, which scan alone does.
var ofScan = []string{"prefix", "from", "to", "since", "until", "limit"}

func (o stateFlags) check(args []string, changed func(string) bool) error {
	action := args[2]
	if !slices.Contains(stateActions, action) {
		return usage("%q: it is %s", action, strings.Join(stateActions, ", "))
	}
	if (action == "get") != (len(args) == 4) {
		return usage("get takes a key, and nothing else does")
	}
	for _, flag := range ofScan {
		if changed(flag) && action != "scan" {
			return usage("--%s is for scan: %s takes the whole store", flag, action)
		}
	}
	if o.output != "" && (action == "count" || action == "size") {
		return usage("--output is for rows, and %s prints none", action)
	}
	for _, text := range []string{o.since, o.until} {
		if _, ok := parseTime(text); !ok && text != "" {
			return usage("%q is no time, such as 2026-11-28T09:30:00Z", text)
		}
	}
	if o.limit < 0 {
		return usage("--limit %d: it cannot be negative", o.limit)
	}
	return o.codecFlags.check()
}

func (t *tool) state(ctx context.Context, args []string, o stateFlags) error {
	app, name, action := args[0], args[1], args[2]
	look, end, err := t.look(ctx, app, name, action, args[3:], o)
	if err != nil {
		return err
	}
	defer end()
	if action == "count" || action == "size" {
		return t.measure(look, action == "size")
	}
	w, closeFile, err := t.rowsTo(o.output)
	if err != nil {
		return err
	}
	n, err := t.rows(w, look, action, args[3:], o)
	if err := errors.Join(err, closeFile()); err != nil {
		return err
	}
	if action == "get" && n == 0 {
		return no("there is no row of %s", args[3])
	}
	if o.output != "" {
		fmt.Fprintf(t.messages, "%d rows in %s\n", n, o.output)
	}
	return nil
}

// rowsTo is where rows are written.
func (t *tool) rowsTo(name string) (w *bufio.Writer, end func() error, err error) {
	if name == "" {
		w = bufio.NewWriter(t.out)
		return w, w.Flush, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, nil, err
	}
	w = bufio.NewWriter(f)
	return w, func() error { return errors.Join(w.Flush(), f.Close()) }, nil
}

// look finds a store, on disk or in Kafka.
func (t *tool) look(ctx context.Context, app, name, action string, key []string, o stateFlags) (looking, func(), error) {
	if o.stateDir != "" {
		look, err := onDisk(filepath.Join(o.stateDir, app), name, o.codecFlags)
		return look, func() {}, err
	}
	c, err := t.dial(ctx)
	if err != nil {
		return looking{}, nil, err
	}
	look, end, err := t.inKafka(ctx, c, app, name, key, o)
	if err != nil {
		c.Close()
		return looking{}, nil, err
	}
	return look, func() { end(); c.Close() }, nil
}

func onDisk(dir, name string, f codecFlags) (looking, error) {
	places, err := inspect.Places(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return looking{}, fmt.Errorf("there is no state in %s: it is in the folder of the application, in Config.StateDir of its instances", dir)
	}
	if err != nil {
		return looking{}, err
	}
	var spec store.Spec
	if len(places) > 0 {
		if spec, _, err = store.Existing(places[0].Dir); err != nil {
			return looking{}, err
		}
	}
	return looking{inspect.NewView(spec.Kind, f.key, f.value), inspect.OnDisk(dir, name, nil), true, func() {}}, nil
}

// inKafka restores a store from its changelog.
func (t *tool) inKafka(ctx context.Context, c *broker.Client, app, name string, key []string, o stateFlags) (looking, func(), error) {
	a, err := application(ctx, c, app)
	if err != nil {
		return looking{}, nil, err
	}
	s, err := storeOf(a, name)
	if err != nil {
		return looking{}, nil, err
	}
	if s.Topic == "" {
		return looking{}, nil, fmt.Errorf("store %q has no changelog: look at it with --state-dir", name)
	}
	l, err := logOf(ctx, c, a, s)
	if err != nil {
		return looking{}, nil, err
	}
	view := inspect.NewView(s.Kind, cmp.Or(o.key, s.Key.Serde), cmp.Or(o.value, s.Value.Serde))
	if len(key) > 0 && s.Kind == store.KeyValue {
		if l.Only, err = view.EncodeKey(key[0]); err != nil {
			return looking{}, nil, &usageError{err.Error()}
		}
	}
	bar := (*progress)(nil)
	l.Progress = func(done, total int64) {
		if bar == nil {
			bar = t.progress("reading "+l.Topic, "offsets", total)
		}
		bar.set(done)
	}
	clear := func() { bar.clear() }
	end := func() { bar.end() }
	return looking{view, inspect.Restored(ctx, c, l), false, clear}, end, nil
}

// storeOf finds a store of an application.
func storeOf(a *registry.Application, name string) (registry.Store, error) {
	var names []string
	for _, s := range a.Stores() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return registry.Store{}, fmt.Errorf("application %s has no store %q; it has %s", a.ID, name, strings.Join(names, ", "))
}

// logOf is the changelog of a store. In a topic that the application reads as the table, it
// ends at what is processed.
func logOf(ctx context.Context, c *broker.Client, a *registry.Application, s registry.Store) (inspect.Log, error) {
	ps, err := inspect.Partitions(ctx, c, s.Topic)
	if err != nil {
		return inspect.Log{}, err
	}
	l := inspect.Log{Topic: s.Topic, Partitions: int32(len(ps)), Spec: s.Spec, Subtopology: s.Subtopology}
	l.Spec.InMemory = false // it may be larger than this program's memory
	if s.Source >= 0 {
		committed, err := c.Committed(ctx, a.ID, ps)
		if err != nil {
			return l, err
		}
		l.Until = map[kafka.Partition]int64{}
		for p, o := range committed {
			l.Until[p] = o.At
		}
	}
	return l, nil
}

// rows writes the rows of an action, and returns how many.
func (t *tool) rows(w *bufio.Writer, look looking, action string, key []string, o stateFlags) (n int, err error) {
	asJSON := t.json || action == "export"
	var of inspect.Range
	var wanted []byte
	if action == "get" {
		if wanted, err = look.view.EncodeKey(key[0]); err != nil {
			return 0, &usageError{err.Error()}
		}
	} else if action == "scan" {
		if of, err = o.selection(look.view); err != nil {
			return 0, err
		}
	}
	for part, err := range look.parts {
		if err != nil {
			return n, err
		}
		look.clear()
		rows := look.view.Scan(part.Rows, of)
		if action == "get" {
			rows = look.view.Get(part.Rows, wanted)
		}
		for r, err := range rows {
			if err != nil {
				return n, err
			}
			row := look.view.Row(part.Task, r)
			if asJSON {
				err = line(w, row)
			} else {
				err = writeRow(w, row)
			}
			if err != nil {
				return n, err
			}
			if n++; action == "scan" && n == o.limit {
				return n, nil
			}
		}
		if err := w.Flush(); err != nil { // before a bar is drawn again
			return n, err
		}
	}
	return n, nil
}

// selection are the rows that the flags ask for.
func (o stateFlags) selection(v inspect.View) (r inspect.Range, err error) {
	key := func(text string) []byte {
		if text == "" || err != nil {
			return nil
		}
		var b []byte
		if b, err = v.EncodeKey(text); err != nil {
			err = &usageError{err.Error()}
		}
		return b
	}
	r.From, r.To = key(o.from), key(o.to)
	r.Since, _ = parseTime(o.since) // check has read them, or they are empty: any time
	r.Until, _ = parseTime(o.until)
	if o.prefix != "" {
		r.Prefix = []byte(o.prefix)
	}
	return r, err
}

func writeRow(w io.Writer, r inspect.Row) error {
	key := display(r.Key)
	if r.Start != nil {
		key += " [" + r.Start.Format(time.RFC3339Nano)
		if r.End != nil {
			key += " to " + r.End.Format(time.RFC3339Nano)
		}
		key += "]"
	}
	if r.Number != nil {
		key += fmt.Sprintf(" #%d", *r.Number)
	}
	at := r.Time.Format(time.RFC3339Nano)
	if r.Until != nil {
		at += " to " + r.Until.Format(time.RFC3339Nano)
	}
	problem := ""
	if r.Problem != "" {
		problem = "\t(" + r.Problem + ")"
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s%s\n", r.Task, key, display(r.Value), at, problem)
	return err
}

// measured is the size of a store's part, or of all.
type measured struct {
	Task  string `json:"task,omitempty"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`             // of keys and values
	Disk  int64  `json:"on_disk,omitempty"` // of files
}

// sizes are the parts of a store and their sum.
type sizes struct {
	Tasks []measured `json:"tasks"`
	Total measured   `json:"total"`
}

// measure counts the rows of each part.
func (t *tool) measure(look looking, bytes bool) error {
	out := sizes{Tasks: []measured{}}
	for part, err := range look.parts {
		if err != nil {
			return err
		}
		m := measured{Task: part.Task}
		for r, err := range look.view.Scan(part.Rows, inspect.Range{}) {
			if err != nil {
				return err
			}
			m.Rows++
			m.Bytes += int64(len(r.Key) + len(r.Value))
		}
		if look.disk {
			if m.Disk, err = diskSize(part.Dir); err != nil {
				return err
			}
		}
		if part.Task == "global" {
			m.Task = fmt.Sprintf("global/%d", part.Partition)
		}
		out.Tasks = append(out.Tasks, m)
		out.Total.Rows, out.Total.Bytes, out.Total.Disk = out.Total.Rows+m.Rows, out.Total.Bytes+m.Bytes, out.Total.Disk+m.Disk
	}
	look.clear()
	return t.print(out, func(w io.Writer) { out.write(w, bytes, look.disk) })
}

func (s sizes) write(w io.Writer, bytes, disk bool) {
	row := func(name string, m measured) []string {
		r := []string{name, fmt.Sprint(m.Rows)}
		if bytes {
			r = append(r, fmt.Sprint(m.Bytes))
		}
		if bytes && disk {
			r = append(r, fmt.Sprint(m.Disk))
		}
		return r
	}
	head := []string{"TASK", "ROWS", "BYTES", "ON DISK"}
	rows := [][]string{head[:len(row("", measured{}))]}
	for _, m := range s.Tasks {
		rows = append(rows, row(m.Task, m))
	}
	table(w, append(rows, row("all", s.Total)))
}

// diskSize is how many bytes the files of a directory have.
func diskSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
