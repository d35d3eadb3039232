//go:build unix

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
)

// requireSays checks that an error names what is wrong, and says what to do.
func requireSays(t *testing.T, err error, parts ...string) {
	t.Helper()
	require.Error(t, err)
	t.Log(err)
	for _, p := range parts {
		require.ErrorContains(t, err, p)
	}
}

func TestWrongBrokerAddress(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:1", "no-such-host.invalid:9092"} {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			_, err := streams.New(counting(t, "app", nil), streams.Config{ApplicationID: "app", Brokers: []string{addr}, StateDir: t.TempDir()})
			requireSays(t, err, "connect to "+addr, "check the addresses")
			require.Less(t, time.Since(begun), soon)
		})
	}
}

func TestNoBrokerAddress(t *testing.T) {
	for _, addr := range []string{"", "localhost", ":9092", "localhost:"} {
		_, err := streams.New(counting(t, "app", nil), streams.Config{ApplicationID: "app", Brokers: []string{addr}, StateDir: t.TempDir()})
		requireSays(t, err, fmt.Sprintf("Brokers is [%q]", addr), `such as "localhost:9092"`)
	}
}

func TestMissingTopics(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		_, err := streams.New(counting(t, name, nil), config(t, k, name))
		requireSays(t, err, name, name+"-lines", name+"-totals", "create it")
		k.create(nil, 1, name+"-lines")
		_, err = streams.New(counting(t, name, nil), config(t, k, name))
		requireSays(t, err, name+"-totals", "create it")
		require.NotContains(t, err.Error(), name+"-lines")
	})
}

func TestTopicsThatDoNotFit(t *testing.T) {
	each(t, func(t *testing.T, k *kafka, name string) {
		k.create(nil, 2, name+"-two", name+"-out")
		k.create(nil, 3, name+"-three")
		topo := build(t, func(b *topology.Builder) {
			table := ktable.From(b, text(name+"-three"))
			joined := kstream.Join(kstream.From(b, text(name+"-two")), table, func(a, b string) string { return a + b })
			kstream.To(joined, text(name+"-out"))
		})
		_, err := streams.New(topo, config(t, k, name))
		requireSays(t, err, name+"-two 2", name+"-three 3", "recreate one, or send its stream through kstream.Repartition")
	})
}

func TestInternalTopicsThatDoNotFit(t *testing.T) {
	for what, c := range map[string]struct {
		topic      string
		partitions int32
		policy     string
		says       []string
	}{
		"repartition policy":   {"-words-repartition", 2, "compact", []string{"cleanup.policy=compact", "needs delete", "kafka-configs"}},
		"changelog partitions": {"-counts-changelog", 1, "compact", []string{"has 1 partitions and needs 2", "another ApplicationID"}},
		"changelog policy":     {"-counts-changelog", 2, "delete", []string{"cleanup.policy=delete", "needs compact", "kafka-configs"}},
	} {
		t.Run(what, func(t *testing.T) {
			each(t, func(t *testing.T, k *kafka, name string) {
				k.create(nil, 2, name+"-lines", name+"-totals")
				k.create(map[string]string{"cleanup.policy": c.policy}, c.partitions, name+c.topic)
				err := run(t, counting(t, name, nil), config(t, k, name)).wait(soon)
				requireSays(t, err, append(c.says, name+c.topic)...)
			})
		})
	}
}

// A repartition topic has as many partitions as the program says. Where it says nothing, one
// that is there stays as it is.
func TestRepartitionTopicOfAnotherSize(t *testing.T) {
	t.Parallel()
	regrouped := func(t *testing.T, name string, partitions int32) *topology.Topology {
		through := text("words")
		through.Partitions = partitions
		return build(t, func(b *topology.Builder) {
			words := kstream.FlatMapValues(kstream.From(b, text(name+"-lines")), strings.Fields)
			kstream.To(kstream.KeyBy(words, func(_, word string) string { return word }, through), text(name+"-out"))
		})
	}
	each(t, func(t *testing.T, k *kafka, name string) {
		k.create(nil, 2, name+"-lines", name+"-out")
		k.create(map[string]string{"cleanup.policy": "delete"}, 3, name+"-words-repartition")
		err := run(t, regrouped(t, name, 5), config(t, k, name)).wait(soon)
		requireSays(t, err, "has 3 partitions and needs 5", "another ApplicationID", name+"-words-repartition")

		out := k.messages(name + "-out")
		a := run(t, regrouped(t, name, 0), config(t, k, name))
		k.send(name+"-lines", "a b c d e f g h")
		await(t, patience, func() bool { return len(distinct(out())) == 8 }, "every word comes through")
		a.stop()
	})
}

// numbers copies numbers as text, line by line, from one partition.
func numbers(t *testing.T, k *kafka, name string, of topology.Topic[string, int64]) *topology.Topology {
	t.Helper()
	k.create(nil, 1, name+"-numbers", name+"-texts")
	of.Name, of.Key, of.Value = name+"-numbers", serde.String, serde.Int64
	return build(t, func(b *topology.Builder) {
		kstream.To(kstream.MapValues(kstream.From(b, of), func(n int64) string { return fmt.Sprint(n) }), text(name+"-texts"))
	})
}

// values collects the values of a topic of one partition.
func (k *kafka) values(topic string) (all func() []string) {
	var values []string
	x := k.follow(topic, func(m *sarama.ConsumerMessage) { values = append(values, string(m.Value)) })
	return func() (now []string) {
		x.locked(func() { now = slices.Clone(values) })
		return now
	}
}

// Three records, of which the second is no number: bytes as Int64 encodes them.
const one, bad, three = "\x00\x00\x00\x00\x00\x00\x00\x01", "not a number", "\x00\x00\x00\x00\x00\x00\x00\x03"

func TestBadRecordFails(t *testing.T) {
	each(t, func(t *testing.T, k *kafka, name string) {
		topo := numbers(t, k, name, topology.Topic[string, int64]{})
		texts := k.values(name + "-texts")
		k.send(name+"-numbers", one, bad, three)
		for range 2 { // it does not get better by itself
			err := run(t, topo, config(t, k, name)).wait(patience)
			requireSays(t, err, "task 0_0", "topic "+name+"-numbers", "partition 0", "offset 1", "node source", "mistakes_test.go:",
				"Int64", "have Config.OnBadRecord skip it")
			var b *streams.BadRecord
			require.ErrorAs(t, err, &b)
			require.Equal(t, "not a number", string(b.Record.Value))
		}
		// What came before it is committed, once.
		await(t, patience, func() bool { return len(texts()) == 1 }, "the first number is copied")
		require.Equal(t, []string{"1"}, texts())
	})
}

func TestBadRecordIsSkipped(t *testing.T) {
	each(t, func(t *testing.T, k *kafka, name string) {
		topo := numbers(t, k, name, topology.Topic[string, int64]{})
		texts := k.values(name + "-texts")
		k.send(name+"-numbers", one, bad, three)
		var log logBuffer
		settings := config(t, k, name)
		settings.Logger = slog.New(slog.NewTextHandler(&log, nil))
		asked := make(chan streams.BadRecord, 10)
		settings.OnBadRecord = func(b streams.BadRecord) streams.Decision { asked <- b; return streams.Skip }
		a := run(t, topo, settings)
		await(t, patience, func() bool { return len(texts()) == 2 }, "the good numbers are copied")
		require.Equal(t, []string{"1", "3"}, texts())
		a.stop()
		require.Len(t, asked, 1)
		require.EqualValues(t, 1, (<-asked).Offset)
		require.Contains(t, log.String(), "reason=bad-record records=1")
	})
}

// logBuffer holds what was logged.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestPanicNamesItsLine(t *testing.T) {
	each(t, func(t *testing.T, k *kafka, name string) {
		k.create(nil, 1, name+"-lines", name+"-totals")
		k.send(name+"-lines", "a line", poison)
		err := run(t, counting(t, name, panicky), config(t, k, name)).wait(patience)
		requireSays(t, err, "topic "+name+"-lines", "partition 0", "offset 1", "node peek", "app_test.go:", "panic at ", "stop_test.go:", "a line is poison", "correct the program")
	})
}

func TestNoOffsetToStartAt(t *testing.T) {
	each(t, func(t *testing.T, k *kafka, name string) {
		topo := numbers(t, k, name, topology.Topic[string, int64]{StartAt: topology.None})
		err := run(t, topo, config(t, k, name)).wait(soon)
		requireSays(t, err, name+"-numbers/0", "StartAt is None", "kafka-consumer-groups --reset-offsets", "set StartAt")
	})
}

func TestSessionTimeoutThatKafkaRefuses(t *testing.T) {
	each(t, func(t *testing.T, k *kafka, name string) {
		k.create(nil, 1, name+"-lines", name+"-totals")
		settings := config(t, k, name)
		settings.SessionTimeout, settings.HeartbeatInterval = 50*time.Millisecond, 10*time.Millisecond
		err := run(t, counting(t, name, nil), settings).wait(soon)
		requireSays(t, err, name, "session timeout", "group.min.session.timeout.ms")
	})
}

// A program that was changed must not share the group with the one it was.
func TestOtherTopologyIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c := newCounter(k, name)
		a := run(t, counting(t, name, nil), config(t, k, name))
		a.awaitReady(patience)
		err := run(t, counting(t, name, func(string) {}), config(t, k, name)).wait(soon)
		requireSays(t, err, name, "another topology", "another ApplicationID, or all instances of the old one stopped first")
		c.count(vocabulary, 1)
		a.stop()
	})
}

func TestRecordTooLarge(t *testing.T) {
	each(t, func(t *testing.T, k *kafka, name string) {
		k.create(nil, 1, name+"-lines", name+"-copies")
		topo := build(t, func(b *topology.Builder) {
			longer := kstream.MapValues(kstream.From(b, text(name+"-lines")), func(s string) string { return strings.Repeat(s, 20) })
			kstream.To(longer, text(name+"-copies"))
		})
		k.send(name+"-lines", strings.Repeat("long ", 20_000))
		err := run(t, topo, config(t, k, name)).wait(patience)
		requireSays(t, err, "task 0_0", name+"-copies/0", "make it smaller", "Producer.MaxMessageBytes", "max.message.bytes")
	})
}

// Retention may delete records before an application that was stopped has processed them.
func TestOffsetThatIsGone(t *testing.T) {
	each(t, func(t *testing.T, k *kafka, name string) {
		topo := numbers(t, k, name, topology.Topic[string, int64]{})
		texts := k.values(name + "-texts")
		k.send(name+"-numbers", one)
		a := run(t, topo, config(t, k, name))
		await(t, patience, func() bool { return len(texts()) == 1 }, "the number is copied")
		a.stop()
		k.send(name+"-numbers", one, one, one)
		admin, err := sarama.NewClusterAdminFromClient(k.client)
		require.NoError(t, err)
		require.NoError(t, admin.DeleteRecords(name+"-numbers", map[int32]int64{0: 3}))
		err = run(t, topo, config(t, k, name)).wait(soon)
		requireSays(t, err, name+"-numbers/0", "offset 1", "retention", "kafka-consumer-groups --reset-offsets")
	})
}

func TestRunTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		newCounter(k, name)
		a := run(t, counting(t, name, nil), config(t, k, name))
		a.awaitReady(patience)
		err := a.Run(t.Context())
		requireSays(t, err, name, "Run is called twice", "make another App with New")
		var b *streams.BadRecord
		require.False(t, errors.As(err, &b))
		a.stop()
	})
}
