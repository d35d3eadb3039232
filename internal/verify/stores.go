package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/store"
)

const equality = "store and changelog"

// checkStores compares the stores on disk with what their changelogs restore.
func (r *run) checkStores(ctx context.Context) error {
	if r.o.StateDir == "" {
		r.add(equality, Skipped, r.a.ID, "name the state directory of an instance that does not run to compare its stores with their changelogs")
		return nil
	}
	own, err := store.Epoch(r.o.StateDir)
	if err != nil {
		return err
	}
	for _, s := range r.a.Stores() {
		if s.Topic == "" || s.InMemory || s.Subtopology < 0 {
			continue
		}
		if own > r.epoch.Number || r.epoch.Wiped[s.Name] > own {
			r.add(equality, Skipped, s.Name, "it is from before a reset of the application: the next start wipes it")
			continue
		}
		if r.topics[s.Topic].Partitions == 0 {
			continue
		}
		places, err := inspect.Places(r.o.StateDir, s.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no state in %s: it is in the folder of the application, in Config.StateDir of its instances", r.o.StateDir)
		}
		if err != nil {
			return err
		}
		if len(places) == 0 {
			r.add(equality, OK, s.Name, "this directory has nothing of it")
			continue
		}
		if err := r.checkStore(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) checkStore(ctx context.Context, s registry.Store) error {
	for part, err := range inspect.OnDisk(r.o.StateDir, s.Name, &s.Spec) {
		switch {
		case store.InUse(err):
			r.add(equality, Skipped, s.Name, "%v", err)
			return nil
		case err != nil:
			return r.damaged(s.Name, err)
		}
		p := kafka.Partition{Topic: s.Topic, Index: part.Partition}
		about := part.Task + " " + s.Name
		at := part.Rows.Offset()
		origin := s.Origin(p, r.topics[s.Topic].ID, r.a.Fingerprint)
		if s.Subtopology < 0 {
			origin = plan.MadeOrigin(p, r.topics[s.Topic].ID, r.a.Fingerprint)
		}
		switch {
		case part.Origin != origin:
			r.add(equality, Warning, about, "it holds the rows of %q, and the changelog is %q: the next start restores it from there", part.Origin, origin)
		case at < 0:
			r.add(equality, OK, about, "it is empty: the next start restores it")
		case at < r.begins[p] && !s.Kind.Windowed():
			r.add(equality, Warning, about, "it stands for offset %d of %s, which begins at %d: the next start restores it", at, p, r.begins[p])
		default:
			if err := r.compare(ctx, s, part, p, about); err != nil {
				return err
			}
		}
	}
	return nil
}

// damaged is a store that cannot be read. An instance wipes one that is damaged, or laid out
// otherwise, and restores it.
func (r *run) damaged(about string, err error) error {
	status := Warning
	if errors.As(err, new(*store.CorruptError)) {
		status = Fault
	}
	r.add(equality, status, about, "%v: unless it is the machine that refuses, the next start restores it from its changelog", err)
	return nil
}

// compare compares the rows of a part with those of its changelog. Where it is behind, the
// rows that changed since then are left out.
func (r *run) compare(ctx context.Context, s registry.Store, part inspect.Part, p kafka.Partition, about string) error {
	ends, err := r.c.ListOffsets(ctx, []kafka.Partition{p}, broker.Latest, false)
	if err != nil {
		return err
	}
	at := part.Rows.Offset()
	if at > ends[p] {
		r.add(equality, Fault, about, "it stands for offset %d of %s, which ends at %d: the changelog has lost records; the next start restores the store without them", at, p, ends[p])
		return nil
	}
	l := inspect.Log{Topic: s.Topic, Partitions: p.Index + 1, Parts: []int32{p.Index}, Spec: s.Spec, Subtopology: s.Subtopology}
	if s.Source >= 0 {
		l.Until = map[kafka.Partition]int64{p: ends[p]}
	}
	l.Progress = func(done, total int64) { r.o.Progress("restoring "+p.String(), done, total) }
	for restored, err := range inspect.Restored(ctx, r.c, l) {
		if err != nil {
			r.add(equality, Fault, about, "%v", err)
			return ctx.Err()
		}
		changed, err := r.changed(ctx, p, at, ends[p], part.Rows)
		if err != nil {
			return err
		}
		d, err := differences(part.Rows, restored.Rows, changed, s)
		if err != nil {
			return r.damaged(about, err)
		}
		if d.n > 0 {
			r.add(equality, Fault, about, "%d of %d rows differ from the changelog %s: %s; delete the directory %s, and the next start restores it", d.n, d.rows, p, d.example, part.Dir)
		} else {
			r.add(equality, OK, about, "%d rows, as in the changelog; %d changed there since", d.rows, len(changed))
		}
	}
	return nil
}

// changed are the keys of the rows that a changelog has changed from an offset on.
func (r *run) changed(ctx context.Context, p kafka.Partition, from, to int64, s *store.Store) (map[string]bool, error) {
	keys := map[string]bool{}
	of := inspect.Reading{From: map[kafka.Partition]int64{p: max(from, r.begins[p])}, To: map[kafka.Partition]int64{p: min(to, max(r.ends[p], from))}}
	err := inspect.Read(ctx, r.c, of, func(_ kafka.Partition, rec kafka.Record) error {
		if rec.Key == nil {
			return nil
		}
		key, err := s.RowKey(rec.Key)
		keys[string(key)] = true
		return err
	})
	return keys, err
}

// difference is how two stores differ.
type difference struct {
	n, rows int64
	example string
}

func (d *difference) see(format string, args ...any) {
	if d.n++; d.example == "" {
		d.example = fmt.Sprintf(format, args...)
	}
}

// differences compares rows in the order of their keys. Rows of windows that either store
// has forgotten are left out, and so are rows that changed. Of a topic that is read as the
// table the program may have left out bad records.
func differences(disk, log *store.Store, changed map[string]bool, s registry.Store) (d difference, err error) {
	view := inspect.NewView(s.Kind, s.Key.Serde, s.Value.Serde)
	horizon := max(disk.Horizon(), log.Horizon())
	rows := func(of *store.Store) iter.Seq2[store.Row, error] {
		return func(yield func(store.Row, error) bool) {
			for row, err := range view.Scan(of, inspect.Range{}) {
				if err == nil && (changed[string(row.Key)] || s.Kind.Windowed() && of.TimeOf(row.Key) <= horizon) {
					continue
				}
				if !yield(row, err) {
					return
				}
			}
		}
	}
	name := func(r store.Row) any { return view.Row("", r).Key }
	next, stop := iter.Pull2(rows(log))
	defer stop()
	want, err, more := next()
	for have, bad := range rows(disk) {
		if bad != nil {
			return d, bad
		}
		d.rows++
		for more && err == nil && bytes.Compare(want.Key, have.Key) < 0 {
			if s.Source < 0 {
				d.see("the key %v is only in the changelog", name(want))
			}
			want, err, more = next()
		}
		switch {
		case err != nil:
			return d, err
		case !more || !bytes.Equal(want.Key, have.Key):
			d.see("the key %v is only in the store", name(have))
			continue
		case !bytes.Equal(want.Value, have.Value) || want.Time != have.Time:
			d.see("the key %v has other values", name(have))
		}
		want, err, more = next()
	}
	for ; more && err == nil; want, err, more = next() {
		if s.Source < 0 {
			d.see("the key %v is only in the changelog", name(want))
		}
	}
	return d, err
}
