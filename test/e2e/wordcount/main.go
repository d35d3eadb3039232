// Wordcount counts the words of lines: the program that the end-to-end tests kill.
//
// It reads the topic <name>-lines and writes every new count of a word to the topic
// <name>-totals. A line with a word that begins with "poison" is sent to the topic
// <name>-dead, and none of its words counted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

func main() {
	var c streams.Config
	flag.StringVar(&c.ApplicationID, "name", "wordcount", "of the application, and the beginning of its topics' names")
	brokers := flag.String("brokers", "localhost:9092", "`host:port,...`")
	flag.StringVar(&c.StateDir, "state", "", "`directory` of local state")
	flag.Var(&c.Guarantee, "guarantee", "exactly-once or at-least-once")
	flag.DurationVar(&c.SessionTimeout, "session", 10*time.Second, "how long the group waits for a silent instance")
	flag.Parse()
	c.Brokers = strings.Split(*brokers, ",")
	c.DeadLetterTopic = c.ApplicationID + "-dead"
	c.OnBadRecord = func(streams.BadRecord) streams.Decision { return streams.DeadLetter }
	c.HeartbeatInterval = min(c.SessionTimeout/6, 500*time.Millisecond)
	c.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "wordcount:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c streams.Config) error {
	topo, err := wordCount(c.ApplicationID)
	if err != nil {
		return err
	}
	app, err := streams.New(topo, c)
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

func wordCount(name string) (*topology.Topology, error) {
	lines := topology.Topic[string, string]{Name: name + "-lines", Key: serde.String, Value: serde.String}
	words := topology.Topic[string, string]{Name: "words", Key: serde.String, Value: serde.String}
	counts := state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}
	totals := topology.Topic[string, int64]{Name: name + "-totals", Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	split := kstream.FlatMapValues(kstream.From(b, lines), strings.Fields)
	// What a line sent before its poison is taken back.
	checked := kstream.TryMapValues(split, func(word string) (string, error) {
		if strings.HasPrefix(word, "poison") {
			return "", errors.New("it is poison")
		}
		return word, nil
	})
	byWord := kstream.GroupBy(checked, func(_, word string) string { return word }, words)
	ktable.To(kstream.Count(byWord, counts), totals)
	return b.Build()
}
