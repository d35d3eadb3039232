package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/changelog"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/sched"
	"github.com/seed-df18afd4/streams/internal/store"
)

// Part is the part of a store that one task has, or of a global table that is of one
// partition.
type Part struct {
	Task      string // "0_3", or "global"
	Partition int32
	Rows      *store.Store
	Dir       string // where it is on disk; empty: nowhere
	Origin    string // of a part on disk: the topic and partition that it is restored from, and the topic's id
}

// Place is a directory that holds a part.
type Place struct {
	Task      string
	Partition int32
	Dir       string
}

// Places finds a store's parts in the state directory of an application, in the order of the
// tasks.
func Places(dir, name string) ([]Place, error) {
	var found []Place
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		var id plan.TaskID
		if _, err := fmt.Sscanf(t.Name(), "%d_%d", &id.Subtopology, &id.Partition); err != nil || id.String() != t.Name() {
			continue
		}
		if in := filepath.Join(dir, t.Name(), name); exists(in) {
			found = append(found, Place{t.Name(), id.Partition, in})
		}
	}
	partitions, err := os.ReadDir(filepath.Join(dir, "global", name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, p := range partitions {
		if n, err := strconv.ParseInt(p.Name(), 10, 32); err == nil {
			found = append(found, Place{"global", int32(n), filepath.Join(dir, "global", name, p.Name())})
		}
	}
	slices.SortStableFunc(found, func(a, b Place) int { return int(a.Partition) - int(b.Partition) })
	return found, nil
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// Names of the stores in the state directory of an application.
func Stores(dir string) (names []string, err error) {
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		if !t.IsDir() {
			continue
		}
		stores, err := os.ReadDir(filepath.Join(dir, t.Name()))
		if err != nil {
			return nil, err
		}
		for _, s := range stores {
			names = append(names, s.Name())
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// OnDisk yields a store's parts in the state directory of an application, one after the
// other; a part is closed before the next one. A nil spec is what each part says of itself.
// No instance may use the directory meanwhile, and none can. A failure is yielded once, last.
func OnDisk(dir, name string, spec *store.Spec) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		places, err := Places(dir, name) // before the lock, which would make the directory
		if err == nil && len(places) == 0 {
			err = noStore(dir, name)
		}
		if err != nil {
			yield(Part{}, err)
			return
		}
		unlock, err := store.LockDir(dir)
		if err != nil {
			yield(Part{}, err)
			return
		}
		defer unlock()
		resources := store.NewResources(store.ResourceLimits{})
		for _, p := range places {
			if !open(p, name, spec, resources, yield) {
				return
			}
		}
	}
}

func noStore(dir, name string) error {
	names, err := Stores(dir)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s has no store %q; it has %s", dir, name, strings.Join(names, ", "))
}

// open yields one part on disk.
func open(p Place, name string, spec *store.Spec, r *store.Resources, yield func(Part, error) bool) (more bool) {
	found, origin, err := store.Existing(p.Dir)
	if err != nil {
		yield(Part{}, err)
		return false
	}
	if spec != nil {
		found = *spec
	}
	found.Name = name
	s, err := store.OpenExisting(p.Dir, found, r)
	if err != nil {
		yield(Part{}, err)
		return false
	}
	defer s.Close() // nothing was written
	return yield(Part{Task: p.Task, Partition: p.Partition, Rows: s, Dir: p.Dir, Origin: origin}, nil)
}

// Log is a store's changelog: what its rows are restored from.
type Log struct {
	Topic       string
	Partitions  int32
	Parts       []int32 // the partitions that are wanted; nil: all
	Spec        store.Spec
	Subtopology int // -1: of a global table

	// Until has where to stop in a topic that the application reads as the table: at what is
	// committed. Nil: at the end.
	Until map[kafka.Partition]int64
	// Only restores the rows of one key of a key-value store; nil: all.
	Only []byte
	// Progress is told how many offsets of all partitions are done; nil: nobody.
	Progress func(done, total int64)
}

// Restored yields the parts of a store as its changelog has them, committed rows only, one
// after the other. Each is restored by what restores a task's store, into a directory that
// is deleted again before the next one. A failure is yielded once, last.
func Restored(ctx context.Context, c *broker.Client, l Log) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		froms, tos, err := l.bounds(ctx, c)
		if err != nil {
			yield(Part{}, err)
			return
		}
		var done, total int64
		for p := range tos {
			total += tos[p] - froms[p]
		}
		resources := store.NewResources(store.ResourceLimits{})
		for _, p := range l.wanted() {
			all := tos[p] - froms[p]
			progress := func(left int64) {
				if l.Progress != nil {
					l.Progress(done+all-left, total)
				}
			}
			if !l.restore(ctx, c, p, froms[p], tos[p], resources, progress, yield) {
				return
			}
			done += all
		}
	}
}

func (l Log) wanted() (ps []kafka.Partition) {
	for i := range l.Partitions {
		if l.Parts == nil || slices.Contains(l.Parts, i) {
			ps = append(ps, kafka.Partition{Topic: l.Topic, Index: i})
		}
	}
	return ps
}

// bounds are what there is to read of each partition.
func (l Log) bounds(ctx context.Context, c *broker.Client) (froms, tos map[kafka.Partition]int64, err error) {
	ps := l.wanted()
	if tos, err = c.ListOffsets(ctx, ps, broker.Latest, true); err != nil {
		return nil, nil, err
	}
	if froms, err = c.ListOffsets(ctx, ps, broker.Earliest, false); err != nil {
		return nil, nil, err
	}
	for _, p := range ps {
		if l.Until != nil {
			tos[p] = min(tos[p], l.Until[p])
		}
		tos[p] = max(tos[p], froms[p])
	}
	return froms, tos, nil
}

func (l Log) restore(ctx context.Context, c *broker.Client, p kafka.Partition, from, to int64, r *store.Resources, progress func(left int64), yield func(Part, error) bool) (more bool) {
	dir, err := os.MkdirTemp("", "streams-")
	if err != nil {
		yield(Part{}, err)
		return false
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(filepath.Join(dir, "rows"), l.Spec, p.String(), r)
	if err != nil {
		yield(Part{}, err)
		return false
	}
	defer s.Destroy()
	readers := changelog.NewReaders(cluster.Of(c), changelog.Options{ReadCommitted: true, Sched: sched.Real})
	err = readers.Run(ctx, []changelog.Restore{{Store: s, Partition: p, From: from, To: to, Convert: l.convert()}}, func(p changelog.Progress) { progress(p.Left) })
	if err != nil {
		yield(Part{}, fmt.Errorf("restore %s: %w", p, err))
		return false
	}
	task := "global"
	if l.Subtopology >= 0 {
		task = plan.TaskID{Subtopology: l.Subtopology, Partition: p.Index}.String()
	}
	return yield(Part{Task: task, Partition: p.Index, Rows: s}, nil)
}

// convert leaves out what is no row, or not wanted.
func (l Log) convert() func(kafka.Record) (kafka.Record, bool) {
	if l.Only == nil && l.Until == nil && l.Subtopology >= 0 {
		return nil
	}
	return func(r kafka.Record) (kafka.Record, bool) {
		return r, r.Key != nil && (l.Only == nil || string(l.Only) == string(r.Key))
	}
}
