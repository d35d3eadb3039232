package verify

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/worker"
)

// checkTopics looks at which topics there are and how they are kept.
func (r *run) checkTopics() {
	for _, t := range r.a.Topics() {
		found, ok := r.topics[t.Name]
		switch {
		case !ok && t.Role.Own():
			r.add("topics", Warning, t.Name, "the %s topic does not exist: an instance creates it when it starts, empty", t.Role)
		case !ok:
			r.add("topics", Fault, t.Name, "the %s topic does not exist: create it, no instance starts without it", t.Role)
		case t.Partitions > 0 && found.Partitions != t.Partitions && t.Role != registry.Output:
			r.add("topics", Fault, t.Name, "it has %d partitions, and had %d when an instance started last: the keys of its records lie elsewhere now, and the changelogs do not fit", found.Partitions, t.Partitions)
		default:
			r.add("topics", OK, t.Name, "%s topic, %d partitions", t.Role, found.Partitions)
		}
	}
	for _, spec := range worker.InternalTopics(r.a.ID, r.a.Plan, r.a.Partitions) {
		if config, ok := r.config[spec.Name]; ok {
			r.checkConfig(spec.Name, config, spec.Config)
		}
	}
	for _, s := range r.a.Stores() {
		if config, ok := r.config[s.Topic]; ok && (s.Subtopology < 0 || s.Source >= 0) {
			r.checkTable(s, config)
		}
	}
}

// checkConfig compares how a topic of the application is kept with how it is created.
func (r *run) checkConfig(name string, config, want map[string]string) {
	const check = "cleanup policy"
	has, wants := policies(config), policies(want)
	keeps := config["retention.ms"] == "-1" || !slices.Contains(has, "delete")
	switch {
	case slices.Contains(wants, "compact") && !slices.Contains(has, "compact"):
		r.add(check, Fault, name, "cleanup.policy=%s, and has to be %s: the broker deletes rows of the store by their age, and they are missing when it is restored", config["cleanup.policy"], want["cleanup.policy"])
	case !slices.Contains(wants, "compact") && slices.Contains(has, "compact"):
		r.add(check, Fault, name, "cleanup.policy=%s, and has to be %s: the broker leaves out records that have the key of a later one", config["cleanup.policy"], want["cleanup.policy"])
	case !keeps && slices.Contains(wants, "compact"):
		r.add(check, Fault, name, "cleanup.policy=%s with retention.ms=%s: the broker deletes rows of the store by their age, and they are missing when it is restored; set retention.ms=-1", config["cleanup.policy"], config["retention.ms"])
	case !keeps:
		r.add(check, Warning, name, "retention.ms=%s: what waits longer is lost before it is processed; set retention.ms=-1", config["retention.ms"])
	case slices.Contains(wants, "delete") && !slices.Contains(has, "delete"):
		r.add(check, Warning, name, "cleanup.policy=%s, and should be %s: the application cannot delete what its stores have forgotten", config["cleanup.policy"], want["cleanup.policy"])
	case config["message.timestamp.type"] == "LogAppendTime":
		r.add(check, Fault, name, "message.timestamp.type=LogAppendTime: the broker overwrites the times of the records; set CreateTime")
	default:
		r.add(check, OK, name, "cleanup.policy=%s", config["cleanup.policy"])
	}
}

// checkTable looks at a topic that is read as a table.
func (r *run) checkTable(s registry.Store, config map[string]string) {
	const check = "cleanup policy"
	if has := policies(config); slices.Contains(has, "delete") && config["retention.ms"] != "-1" {
		r.add(check, Warning, s.Topic, "cleanup.policy=%s with retention.ms=%s, and it is read as the table %s: rows that were not written for so long are missing when the table is restored; a table's topic is to be compacted", config["cleanup.policy"], config["retention.ms"], s.Name)
		return
	}
	r.add(check, OK, s.Topic, "cleanup.policy=%s, read as the table %s", config["cleanup.policy"], s.Name)
}

func policies(config map[string]string) []string {
	var all []string
	for p := range strings.SplitSeq(config["cleanup.policy"], ",") {
		all = append(all, strings.TrimSpace(p))
	}
	return all
}

// nearly is the share of a topic's retention that an unprocessed record may have waited.
const nearly = 0.8

// checkOffsets looks whether what is not processed is still there, and for how long.
func (r *run) checkOffsets(ctx context.Context) error {
	const check = "retention"
	from, to := map[kafka.Partition]int64{}, map[kafka.Partition]int64{}
	var order []kafka.Partition
	for _, t := range r.a.Topics() {
		for i := range r.topics[t.Name].Partitions {
			p := kafka.Partition{Topic: t.Name, Index: i}
			o, ok := r.committed[p]
			switch {
			case !ok:
			case o.At < r.begins[p]:
				r.add(check, Fault, p.String(), "%d is committed, and the topic begins at %d: %d offsets were deleted before they were processed", o.At, r.begins[p], r.begins[p]-o.At)
			case o.At > r.ends[p]:
				r.end(ctx, p, o.At)
			default:
				from[p], to[p] = o.At, r.ends[p]
				order = append(order, p)
			}
		}
	}
	first := map[kafka.Partition]int64{}
	err := inspect.Read(ctx, r.c, inspect.Reading{From: from, To: to, Bytes: 64 << 10}, func(p kafka.Partition, rec kafka.Record) error {
		first[p] = rec.Time
		return inspect.ErrEnough
	})
	for _, p := range order {
		at, waits := first[p]
		r.checkAge(check, p, at, waits)
	}
	return err
}

// end looks at an offset that is behind the end that was seen before: the application may
// have gone on since then.
func (r *run) end(ctx context.Context, p kafka.Partition, at int64) {
	ends, err := r.c.ListOffsets(ctx, []kafka.Partition{p}, broker.Latest, false)
	switch {
	case err != nil:
		r.add("retention", Skipped, p.String(), "%v", err)
	case at > ends[p]:
		r.add("retention", Fault, p.String(), "%d is committed, and the topic ends at %d: it was deleted and made again, or lost records; reset its offsets", at, ends[p])
	default:
		r.add("retention", OK, p.String(), "%d is committed, of %d", at, ends[p])
	}
}

func (r *run) checkAge(check string, p kafka.Partition, first int64, waits bool) {
	config := r.config[p.Topic]
	keep, err := strconv.ParseInt(config["retention.ms"], 10, 64)
	at := r.committed[p].At
	if !waits || err != nil || keep <= 0 || !slices.Contains(policies(config), "delete") {
		r.add(check, OK, p.String(), "%d is committed, of %d", at, r.ends[p])
		return
	}
	age, kept := r.o.Now.Sub(time.UnixMilli(first)), time.Duration(keep)*time.Millisecond
	if float64(age) > nearly*float64(kept) {
		r.add(check, Warning, p.String(), "the record at %d is %s old and not processed, and the topic keeps records for %s: it is lost soon, or may be at any time", at, age.Round(time.Second), kept)
		return
	}
	r.add(check, OK, p.String(), "%d is committed, of %d; the first record that is not processed is %s old, of %s", at, r.ends[p], age.Round(time.Second), kept)
}
