// Package verify looks for what is wrong with an application in Kafka and on disk, while it
// may run: topics that will lose data, inputs that are not co-partitioned, records that were
// deleted before they were processed, changelogs and stores that differ.
package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/registry"
)

// Status is how bad a finding is.
type Status string

// The statuses of findings.
const (
	OK      Status = "ok"
	Skipped Status = "skipped" // it could not be looked at, and the text says why
	Warning Status = "warning" // it may do harm one day
	Fault   Status = "fault"   // it does harm
)

// Finding is what a check found about one thing.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	About  string `json:"about"`
	Text   string `json:"text"`
}

// Options say how thoroughly to look.
type Options struct {
	StateDir string // of the application in an instance's Config.StateDir, to compare stores; empty: none
	Sample   int64  // how many of the newest offsets of each partition of an input are read; 0: 10,000
	Now      time.Time
	Progress func(what string, done, total int64) // offsets; nil: nobody is told
}

// run is one look at an application.
type run struct {
	c     *broker.Client
	a     *registry.Application
	o     Options
	found []Finding
	epoch registry.Epoch

	topics    map[string]broker.Topic      // that exist
	config    map[string]map[string]string // of topics that exist
	committed map[kafka.Partition]kafka.Offset
	begins    map[kafka.Partition]int64
	ends      map[kafka.Partition]int64 // as a reader of committed records sees them
}

// Run checks an application, by what it says about itself. An error means that it could not
// look; what is wrong with the application is among the findings.
func Run(ctx context.Context, c *broker.Client, says registry.Contents, o Options) ([]Finding, error) {
	if o.Sample == 0 {
		o.Sample = 10_000
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	r := &run{c: c, a: says.Application, epoch: says.Epoch, o: o, config: map[string]map[string]string{}}
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	r.checkInstances(says)
	r.checkTopics()
	for _, check := range []func(context.Context) error{r.checkOffsets, r.checkCopartitions, r.checkChangelogs, r.checkStores} {
		if err := check(ctx); err != nil {
			return r.found, err
		}
	}
	return r.found, nil
}

func (r *run) add(check string, s Status, about, format string, args ...any) {
	r.found = append(r.found, Finding{check, s, about, fmt.Sprintf(format, args...)})
}

// look asks the cluster for all that several checks need.
func (r *run) look(ctx context.Context) (err error) {
	var names []string
	for _, t := range r.a.Topics() {
		names = append(names, t.Name)
	}
	if r.topics, err = r.c.Topics(ctx, names...); err != nil {
		return err
	}
	var ps, inputs []kafka.Partition
	for _, t := range r.a.Topics() {
		for i := range r.topics[t.Name].Partitions {
			p := kafka.Partition{Topic: t.Name, Index: i}
			ps = append(ps, p)
			if t.Role == registry.Input || t.Role == registry.Repartition {
				inputs = append(inputs, p)
			}
		}
	}
	for name := range r.topics {
		if r.config[name], err = r.c.TopicConfig(ctx, name); err != nil {
			return err
		}
	}
	// In this order: what is committed now is not deleted before it was, and not behind the
	// ends of later.
	if r.begins, err = r.c.ListOffsets(ctx, ps, broker.Earliest, false); err != nil {
		return err
	}
	if r.committed, err = r.c.Committed(ctx, r.a.ID, inputs); err != nil {
		return err
	}
	r.ends, err = r.c.ListOffsets(ctx, ps, broker.Latest, true)
	return err
}

func (r *run) checkInstances(says registry.Contents) {
	alive := 0
	for _, i := range says.Instances {
		if i.Alive(r.o.Now) {
			alive++
			continue
		}
		r.add("instances", Warning, i.Process, "it has been silent for %s: it died on %s, or does not reach Kafka", r.o.Now.Sub(i.Beat).Round(time.Second), i.Host)
	}
	if says.Reset != nil {
		r.add("instances", Warning, r.a.ID, "a reset is under way, begun by %s at %s: no instance processes before it is done", says.Reset.By, says.Reset.Begun.Format(time.RFC3339))
	}
	r.add("instances", OK, r.a.ID, "%d running", alive)
}
