//go:build unix

package scaleout

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// spec is what an instance is to do.
type spec struct {
	Name      string // of the instance; its results carry it
	App       string
	Brokers   []string
	State     string
	Status    string // file for what it does; "": none
	Topology  string // a key of topologies
	Guarantee streams.Guarantee
	Session   time.Duration
	Standbys  int
	ID        string // of a static member
	Rack      string
	MaxStall  time.Duration
	Workers   int
	Debug     bool
}

func TestMain(m *testing.M) { e2etest.Main(m, runInstance) }

// runInstance runs until ctx ends.
func runInstance(ctx context.Context, s spec) error {
	b := topology.NewBuilder()
	topologies[s.Topology](b, s)
	topo, err := b.Build()
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if s.Debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("instance", s.Name)
	app, err := streams.New(topo, streams.Config{
		ApplicationID: s.App, Brokers: s.Brokers, StateDir: s.State, Guarantee: s.Guarantee, Workers: s.Workers,
		SessionTimeout: s.Session, StandbyReplicas: s.Standbys, InstanceID: s.ID, Rack: s.Rack, MaxStall: s.MaxStall, Logger: log,
		OnRebalance: func(r streams.Rebalance) {
			log.Info("told of a rebalance", "tasks", fmt.Sprint(r.Tasks), "revoked", fmt.Sprint(r.Revoked), "standbys", fmt.Sprint(r.Standbys), "lost", r.Lost)
		},
	})
	if err != nil {
		return err
	}
	if s.Status != "" {
		go tellStatus(ctx, app, s.Status)
	}
	return app.Run(ctx)
}

// tellStatus writes what the instance does to a file, again and again.
func tellStatus(ctx context.Context, app *streams.App, file string) {
	for ctx.Err() == nil {
		b, err := json.Marshal(app.Status())
		if err == nil {
			err = os.WriteFile(file+".new", b, 0o644)
		}
		if err == nil {
			err = os.Rename(file+".new", file)
		}
		if err != nil {
			slog.Error("tell the status", "error", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

var topologies = map[string]func(b *topology.Builder, s spec){
	"count": func(b *topology.Builder, s spec) { counting(b, s) },
	"changed": func(b *topology.Builder, s spec) {
		kstream.To(kstream.MapValues(counting(b, s), strings.ToUpper), text(s, "upper"))
	},
	"pass": passing,
	"slow": slow,
}

func text(s spec, name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: s.App + "-" + name, Key: serde.String, Value: serde.String}
}

// counting counts the records of each key. A result is the count, the number that the last
// record carried, and the instance: "7/7/a".
func counting(b *topology.Builder, s spec) kstream.Stream[string, string] {
	counts := state.Store[string, string]{Name: "counts", Key: serde.String, Value: serde.String}
	count := aggregate.Aggregator[string, string]{Add: func(fold, seq string) string {
		n, _, _ := strings.Cut(fold, "/")
		i, _ := strconv.Atoi(n) // "" is 0
		return strconv.Itoa(i+1) + "/" + seq
	}}
	table := kstream.Aggregate(kstream.GroupByKey(kstream.From(b, text(s, "in"))), count, counts)
	results := kstream.MapValues(kstream.Updates(table), func(fold string) string { return fold + "/" + s.Name })
	kstream.To(results, text(s, "out"))
	return results
}

// passing has no state: a result is the record's number twice, and the instance.
func passing(b *topology.Builder, s spec) {
	kstream.To(kstream.MapValues(kstream.From(b, text(s, "in")), func(seq string) string { return seq + "/" + seq + "/" + s.Name }), text(s, "out"))
}

// slow is passing, and sleeps at the records of one key for longer than the session.
func slow(b *topology.Builder, s spec) {
	in := kstream.From(b, text(s, "in"))
	kstream.ForEach(in, func(ctx context.Context, r topology.Record[string, string]) error {
		if r.Key == slowKey {
			select {
			case <-time.After(stall):
			case <-ctx.Done():
			}
		}
		return nil
	})
	kstream.To(kstream.MapValues(in, func(seq string) string { return seq + "/" + seq + "/" + s.Name }), text(s, "out"))
}

// slowKey is the key of records that take stall.
const (
	slowKey = "slow"
	stall   = 13 * time.Second
)
