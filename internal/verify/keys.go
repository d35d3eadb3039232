package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/store"
)

// placing counts how many keys of a topic lie where Kafka's default partitioner, murmur2 of
// the key, puts them. Whether a topic is to be partitioned so is not known, since producers
// may do it as they like; but one whose keys lie so, all but a few, has those few in the wrong
// place.
type placing struct {
	right, wrong int64
	example      string // of a key in the wrong place
}

func (p *placing) see(at kafka.Partition, offset int64, key []byte, partitions int32, show inspect.Codec) {
	if want := graph.Partition(key, partitions); want != at.Index {
		if p.wrong++; p.example == "" {
			shown, _ := show.Show(key)
			p.example = fmt.Sprintf("the record at %s, offset %d, has the key %v, which belongs to partition %d", at, offset, shown, want)
		}
		return
	}
	p.right++
}

// byMurmur2 says whether the keys lie where murmur2 puts them, all but a few.
func (p *placing) byMurmur2() bool { return p.right >= 9*p.wrong }

// checkCopartitions looks whether the inputs of joins and of the like fit each other.
func (r *run) checkCopartitions(ctx context.Context) error {
	const check = "co-partitioning"
	for _, s := range r.a.Plan.Subtopologies {
		for _, group := range s.Copartitioned {
			var sources []plan.Source
			for _, i := range group {
				sources = append(sources, s.Sources[i])
			}
			if len(sources) < 2 || !r.sameWidth(check, sources) {
				continue
			}
			if err := r.checkPlacing(ctx, check, sources); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) names(sources []plan.Source) string {
	var names []string
	for _, s := range sources {
		names = append(names, s.In(r.a.ID))
	}
	return strings.Join(names, ", ")
}

func (r *run) sameWidth(check string, sources []plan.Source) bool {
	var list []string
	same, all := true, true
	for _, s := range sources {
		name := s.In(r.a.ID)
		n := r.topics[name].Partitions
		list = append(list, fmt.Sprintf("%s %d", name, n))
		same = same && n == r.topics[sources[0].In(r.a.ID)].Partitions
		all = all && n > 0
	}
	if !same && all {
		r.add(check, Fault, r.names(sources), "they must have as many partitions as each other, and have: %s", strings.Join(list, ", "))
	}
	return same && all
}

// checkPlacing looks whether records of one key meet: whether all of the topics are
// partitioned in the same way.
func (r *run) checkPlacing(ctx context.Context, check string, sources []plan.Source) error {
	var by, not []string
	for _, s := range sources {
		name := s.In(r.a.ID)
		p, err := r.sample(ctx, name, s.Key.Serde)
		if err != nil {
			return err
		}
		switch {
		case p.right+p.wrong == 0:
		case p.wrong > 0 && p.byMurmur2():
			r.add(check, Fault, name, "%d of %d keys lie in another partition than Kafka's default partitioner puts them, so they miss their partners: %s", p.wrong, p.right+p.wrong, p.example)
			by = append(by, name)
		case p.wrong == 0:
			by = append(by, name)
		default:
			not = append(not, name)
		}
	}
	switch {
	case len(by) > 0 && len(not) > 0:
		r.add(check, Fault, r.names(sources), "keys of %s lie where Kafka's default partitioner (murmur2) puts them, and those of %s do not: records of one key do not meet; write both with the same partitioner, or send one through kstream.Repartition", strings.Join(by, ", "), strings.Join(not, ", "))
	case len(not) > 1:
		r.add(check, Warning, r.names(sources), "none is partitioned by Kafka's default partitioner (murmur2): whether records of one key meet depends on who writes them")
	default:
		r.add(check, OK, r.names(sources), "%d partitions each, and keys lie where Kafka's default partitioner puts them", r.topics[sources[0].In(r.a.ID)].Partitions)
	}
	return nil
}

// sample looks where the newest keys of a topic lie.
func (r *run) sample(ctx context.Context, name, serde string) (p placing, err error) {
	of := inspect.Reading{From: map[kafka.Partition]int64{}, To: map[kafka.Partition]int64{}}
	n := r.topics[name].Partitions
	for i := range n {
		at := kafka.Partition{Topic: name, Index: i}
		of.From[at], of.To[at] = max(r.begins[at], r.ends[at]-r.o.Sample), r.ends[at]
	}
	of.Progress = func(done, total int64) { r.o.Progress("reading "+name, done, total) }
	show := inspect.Named(serde)
	windowed := inspect.Inner(serde) != serde
	err = inspect.Read(ctx, r.c, of, func(at kafka.Partition, rec kafka.Record) error {
		if rec.Key != nil && !windowed { // a windowed key's partition is that of the key inside
			p.see(at, rec.Offset, rec.Key, n, show)
		}
		return nil
	})
	return p, err
}

// checkChangelogs looks whether the records of changelogs lie in the partitions of their
// tasks.
func (r *run) checkChangelogs(ctx context.Context) error {
	for _, s := range r.a.Stores() {
		if s.Subtopology < 0 || s.Source >= 0 || s.Topic == "" || r.topics[s.Topic].Partitions == 0 {
			continue
		}
		if err := r.checkChangelog(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) checkChangelog(ctx context.Context, s registry.Store) error {
	const check = "changelog"
	var p placing
	var strange string
	n := r.topics[s.Topic].Partitions
	of := inspect.Reading{From: map[kafka.Partition]int64{}, To: map[kafka.Partition]int64{}}
	for i := range n {
		at := kafka.Partition{Topic: s.Topic, Index: i}
		of.From[at], of.To[at] = r.begins[at], r.ends[at]
	}
	of.Progress = func(done, total int64) { r.o.Progress("reading "+s.Topic, done, total) }
	show := inspect.Named(inspect.Inner(s.Key.Serde))
	err := inspect.Read(ctx, r.c, of, func(at kafka.Partition, rec kafka.Record) error {
		key, ok := inner(s.Kind, rec.Key)
		if !ok {
			if strange == "" {
				strange = fmt.Sprintf("the record at %s, offset %d, has the key %s, which no %s store writes", at, rec.Offset, inspect.Hex(rec.Key), s.Kind)
			}
			return nil
		}
		p.see(at, rec.Offset, key, n, show)
		return nil
	})
	if err != nil {
		return err
	}
	switch {
	case strange != "":
		r.add(check, Fault, s.Topic, "%s: the store cannot be restored; something else writes to the topic", strange)
	case p.wrong > 0 && p.byMurmur2():
		r.add(check, Fault, s.Topic, "%d of %d records lie in the partition of another task: %s", p.wrong, p.right+p.wrong, p.example)
	case p.wrong > 0:
		r.add(check, Skipped, s.Topic, "its keys do not lie where Kafka's default partitioner puts them, so their places say nothing: the store has other keys than its input, or its input is partitioned otherwise")
	default:
		r.add(check, OK, s.Topic, "%d records, in the partitions of their tasks", p.right)
	}
	return nil
}

// inner is the key of a changelog's record without the times of windows.
func inner(kind store.Kind, key []byte) (k []byte, ok bool) {
	n := len(key)
	switch kind {
	case store.Window, store.List:
		n -= 12
	case store.Session:
		n -= 16
	}
	if key == nil || n < 0 {
		return nil, false
	}
	return slices.Clip(key[:n]), true
}
