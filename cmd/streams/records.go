package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
)

// codecFlags say how keys and values are to be decoded.
type codecFlags struct{ key, value string }

func (f *codecFlags) add(flags *pflag.FlagSet) {
	names := strings.Join(inspect.Names, ", ")
	flags.StringVar(&f.key, "key-serde", "", "`SERDE` of keys: "+names+"; what the application says by default")
	flags.StringVar(&f.value, "value-serde", "", "`SERDE` of values")
}

// check refuses names of serdes that nobody knows.
func (f codecFlags) check() error {
	for _, name := range []string{f.key, f.value} {
		if name != "" && name != "auto" && inspect.Named(name).Name == "auto" {
			return usage("there is no serde %q; they are %s", name, strings.Join(inspect.Names, ", "))
		}
	}
	return nil
}

// codecs decode the records of a topic.
type codecs struct{ key, value inspect.Codec }

// topicTypes are what applications say about their topics.
type topicTypes struct {
	flags codecFlags
	known map[string]codecs
}

// of are the codecs for a topic.
func (l topicTypes) of(topic string) codecs {
	k, ok := l.known[topic]
	if !ok || l.flags.key != "" {
		k.key = inspect.Named(l.flags.key)
	}
	if !ok || l.flags.value != "" {
		k.value = inspect.Named(l.flags.value)
	}
	return k
}

// lookup asks the applications of the cluster for the types of their topics, if the flags
// leave that open. What cannot be read is told, and does without.
func (t *tool) lookup(ctx context.Context, c *broker.Client, f codecFlags) topicTypes {
	l := topicTypes{f, map[string]codecs{}}
	if f.key != "" && f.value != "" {
		return l
	}
	apps, err := registry.Applications(ctx, c)
	for _, app := range apps {
		var found registry.Contents
		if found, err = contents(ctx, c, app); err != nil {
			break
		}
		if found.Application != nil {
			l.learn(found.Application)
		}
	}
	if err != nil {
		fmt.Fprintln(t.messages, "streams: the types of the topics are not known:", err)
	}
	return l
}

func (l topicTypes) learn(a *registry.Application) {
	for _, topic := range a.Topics() {
		if topic.Types != (plan.Types{}) {
			l.known[topic.Name] = codecs{inspect.Named(topic.Key.Serde), inspect.Named(topic.Value.Serde)}
		}
	}
	for _, s := range a.Stores() {
		if s.Topic == s.Changelog(a.ID) {
			l.known[s.Topic] = codecs{inspect.ChangelogKey(s.Kind, s.Key.Serde), inspect.Named(s.Value.Serde)}
		}
	}
}

// show decodes a record.
func (k codecs) show(r kafka.Record) (key, value any, problem string) {
	key, badKey := k.key.Show(r.Key)
	value, badValue := k.value.Show(r.Value)
	if badKey != "" {
		return key, value, "key: " + badKey
	}
	if badValue != "" {
		return key, value, "value: " + badValue
	}
	return key, value, ""
}

// header is a header as it is shown.
type header struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

func headers(hs []kafka.Header) (shown []header) {
	for _, h := range hs {
		v, _ := inspect.Named("auto").Show(h.Value)
		shown = append(shown, header{h.Key, v})
	}
	return shown
}

// parseTime reads a time or a date, in UTC unless it says otherwise.
func parseTime(s string) (at time.Time, ok bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return at, false
}

func instant(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// display is a decoded value as text on one line.
func display(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return strconv.Quote(v)
		}
		return v
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case inspect.Windowed:
		s := fmt.Sprintf("%s [%s", display(v.Key), v.Start.Format(time.RFC3339Nano))
		if v.End != nil {
			return s + " to " + v.End.Format(time.RFC3339Nano) + "]"
		}
		return s + "]"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// partitions connects, and finds the partitions of a topic.
func (t *tool) partitions(ctx context.Context, topic string) (*broker.Client, []kafka.Partition, error) {
	c, err := t.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	ps, err := inspect.Partitions(ctx, c, topic)
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, ps, nil
}

// serdeNames completes a flag that takes the name of a serde.
func serdeNames(cmd *cobra.Command) {
	for _, flag := range []string{"key-serde", "value-serde"} {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(slices.Clone(inspect.Names), cobra.ShellCompDirectiveNoFileComp))
		}
	}
}
