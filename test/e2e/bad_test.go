//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// A badness is a way in which a record is bad. Its text is the value of such records.
type badness struct {
	text string
	node string   // that is to blame
	says []string // in the error
}

const (
	limit    = 4000 // bytes of a batch that the topic of small records takes
	original = "trace"
)

// badnesses are all of them but what an authorizer forbids.
func badnesses(k *kafka) []badness {
	all := []badness{
		{"undecodable", "source", []string{"decode the value", "no text"}},
		{"error", "map-values", []string{"it is wrong"}},
		{"panic", "map-values", []string{"panic at ", "it is wrong"}},
		{"unencodable", "sink", []string{"encode the value", "cannot be written"}},
		{"too large for any topic", "sink", []string{"make it smaller", "max.message.bytes"}},
		{"too large for its topic", "sink", []string{"-small/0", "max.message.bytes"}},
		{"a row too large", "reduce", []string{"-rows-changelog/0", "make it smaller"}},
		{"unknown topic", "sink-each", []string{"the cluster has no topic", "-missing", "create it"}},
	}
	if !k.embedded { // which takes such a record
		all = append(all, badness{"without a key", "sink", []string{"-compacted/0", "a compacted topic takes no record without a key"}})
	}
	return all
}

// strict is text, with exceptions.
type strict struct{ serde.Serde[string] }

func (s strict) Decode(b []byte) (string, error) {
	if string(b) == "undecodable" {
		return "", errors.New("no text")
	}
	return s.Serde.Decode(b)
}

func (s strict) Append(b []byte, v string) ([]byte, error) {
	if v == "unencodable" {
		return nil, errors.New("cannot be written")
	}
	return s.Serde.Append(b, v)
}

// fragile counts its records, and then does with each what its text says. What it has
// counted tells whether a bad record was undone.
func fragile(t *testing.T, k *kafka, name string) *topology.Topology {
	k.create(nil, 1, name+"-in", name+"-counts", name+"-out", name+"-dead")
	k.create(map[string]string{"max.message.bytes": strconv.Itoa(limit)}, 1, name+"-small")
	k.create(map[string]string{"cleanup.policy": "compact"}, 1, name+"-compacted")
	topic := func(of string) topology.Topic[string, string] {
		return topology.Topic[string, string]{Name: name + of, Key: serde.String, Value: strict{serde.String}}
	}
	is := func(s kstream.Stream[string, string], bad string) kstream.Stream[string, string] {
		return kstream.Filter(s, func(_, v string) bool { return v == bad })
	}
	blown := func(s kstream.Stream[string, string], size int) kstream.Stream[string, string] {
		return kstream.MapValues(s, func(v string) string { return strings.Repeat(v, size/len(v)+1) })
	}
	counts := state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}
	rows := state.Store[string, string]{Name: "rows", Key: serde.String, Value: serde.String}
	return build(t, func(b *topology.Builder) {
		in := kstream.From(b, topic("-in"))
		ktable.To(kstream.Count(kstream.GroupByKey(in), counts), topology.Topic[string, int64]{Name: name + "-counts", Key: serde.String, Value: serde.Int64})
		passed := kstream.TryMapValues(in, func(v string) (string, error) {
			switch v {
			case "error":
				return "", errors.New("it is wrong")
			case "panic":
				panic("it is wrong")
			}
			return v, nil
		})
		kstream.To(blown(is(passed, "too large for its topic"), 2*limit), topic("-small"))
		kstream.To(blown(is(passed, "too large for any topic"), 2<<20), topic("-out"))
		kstream.Reduce(kstream.GroupByKey(blown(is(passed, "a row too large"), 2<<20)), func(_, v string) string { return v }, rows)
		kstream.ToEach(is(passed, "unknown topic"), func(topology.Record[string, string]) string { return name + "-missing" }, topic(""))
		keyless := kstream.SelectKey(is(passed, "without a key"), func(string, string) *string { return nil })
		kstream.To(keyless, topology.Topic[*string, string]{Name: name + "-compacted", Key: serde.Nullable(serde.String), Value: serde.String})
		kstream.To(passed, topic("-out"))
	})
}

// sendBad sends records of one key, each with a header and a time of its own.
func (k *kafka) sendBad(name string, values ...string) {
	k.t.Helper()
	var messages []*sarama.ProducerMessage
	for i, v := range values {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: name + "-in", Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(v), Timestamp: time.UnixMilli(int64(1_000_000 + i)),
			Headers: []sarama.RecordHeader{{Key: []byte(original), Value: []byte(fmt.Sprint(i))}},
		})
	}
	k.produce(clientConfig(), messages...)
}

// awaitCommitted waits until an application has committed the first partition of its input
// up to a position.
func (k *kafka) awaitCommitted(name string, position int) {
	k.t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(k.client)
	require.NoError(k.t, err)
	await(k.t, patience, func() bool {
		offsets, err := admin.ListConsumerGroupOffsets(name, map[string][]int32{name + "-in": {0}})
		if err != nil {
			return false // the group is not there yet
		}
		block := offsets.GetBlock(name+"-in", 0)
		return block != nil && block.Offset == int64(position)
	}, "all %d records are committed", position)
}

// messages collects what a topic gets.
func (k *kafka) messages(topic string) func() []*sarama.ConsumerMessage {
	var all []*sarama.ConsumerMessage
	x := k.follow(topic, func(m *sarama.ConsumerMessage) { all = append(all, m) })
	return func() (now []*sarama.ConsumerMessage) {
		x.locked(func() { now = slices.Clone(all) })
		return now
	}
}

// distinct are the values of messages, each where it came first.
func distinct(ms []*sarama.ConsumerMessage) (values []string) {
	seen := map[string]bool{}
	for _, m := range ms {
		if v := string(m.Value); !seen[v] {
			seen[v] = true
			values = append(values, v)
		}
	}
	return values
}

// good are the distinct values that are no badness's. With AtLeastOnce a record that is
// refused by one topic may have been written to another one.
func good(ms []*sarama.ConsumerMessage) []string {
	return slices.DeleteFunc(distinct(ms), func(v string) bool { return !strings.HasPrefix(v, "good") })
}

// asked remembers what OnBadRecord was asked, and decides.
type asked struct {
	mu      sync.Mutex
	records []streams.BadRecord
	decide  func(streams.BadRecord) streams.Decision
}

func (a *asked) about(b streams.BadRecord) streams.Decision {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, b)
	return a.decide(b)
}

// attempts are those at which a record was asked about.
func (a *asked) attempts(offset int64) (all []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.records {
		if b.Offset == offset {
			all = append(all, b.Attempt)
		}
	}
	return all
}

// A record that is bad in any way stops the instance, which names it; what came before is
// done, and nothing of it or after it.
func TestEveryBadRecordFails(t *testing.T) {
	t.Parallel()
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		for i, bad := range badnesses(k) {
			t.Run(strings.ReplaceAll(bad.text, " ", "-"), func(t *testing.T) {
				k := connect(t, k.addrs)
				name := fmt.Sprint(name, "-", i)
				topo := fragile(t, k, name)
				outs, counts := k.messages(name+"-out"), k.messages(name+"-counts")
				k.sendBad(name, "one", "two", bad.text, "three")
				settings := config(t, k, name)
				settings.Guarantee = g
				err := run(t, topo, settings).wait(patience)
				requireSays(t, err, append(bad.says, "task 0_0", "topic "+name+"-in", "partition 0", "offset 2", "node "+bad.node, "bad_test.go:")...)
				var b *streams.BadRecord
				require.ErrorAs(t, err, &b)
				require.Equal(t, bad.text, string(b.Record.Value))
				await(t, patience, func() bool { return len(distinct(outs())) >= 2 }, "what came before is written")
				require.Equal(t, []string{"one", "two"}, distinct(outs())[:2])
				if g == streams.ExactlyOnce {
					await(t, patience, func() bool { return len(counts()) >= 2 }, "what came before is counted")
					require.Len(t, outs(), 2)
					require.Len(t, counts(), 2)
				}
			})
		}
	})
}

// passes sends records of all kinds of badness among good ones, and checks that the good
// ones pass as if the bad ones were not there.
func passes(t *testing.T, k *kafka, name string, settings streams.Config, a *asked) []badness {
	t.Helper()
	topo := fragile(t, k, name)
	outs, counts := k.messages(name+"-out"), k.messages(name+"-counts")
	all := badnesses(k)
	var values, want []string
	for i, bad := range all {
		values = append(values, fmt.Sprint("good ", i), bad.text)
		want = append(want, fmt.Sprint("good ", i))
	}
	values, want = append(values, "good at last"), append(want, "good at last")
	settings.OnBadRecord, settings.DeadLetterTopic = a.about, name+"-dead"
	k.sendBad(name, values...)
	running := run(t, topo, settings)
	k.awaitCommitted(name, len(values))
	running.stop()
	await(t, patience, func() bool { return len(good(outs())) == len(want) }, "the good ones are written")
	require.Equal(t, want, good(outs()))
	if settings.Guarantee == streams.ExactlyOnce {
		require.Len(t, outs(), len(want))
		for i, m := range counts() {
			require.Equal(t, string([]byte{0, 0, 0, 0, 0, 0, 0, byte(i + 1)}), string(m.Value), "no bad one was counted, ever")
		}
		require.Len(t, counts(), len(want))
	}
	for i, bad := range all {
		a.mu.Lock()
		at := slices.IndexFunc(a.records, func(b streams.BadRecord) bool { return b.Offset == int64(2*i+1) })
		require.GreaterOrEqual(t, at, 0, "asked about %s", bad.text)
		b := a.records[at]
		a.mu.Unlock()
		require.Equal(t, bad.text, string(b.Record.Value))
		requireSays(t, &b, append(bad.says, "node "+bad.node, "bad_test.go:")...)
	}
	return all
}

func TestEveryBadRecordIsSkipped(t *testing.T) {
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		settings := config(t, k, name)
		settings.Guarantee = g
		passes(t, k, name, settings, &asked{decide: func(streams.BadRecord) streams.Decision { return streams.Skip }})
	})
}

func TestEveryBadRecordIsADeadLetter(t *testing.T) {
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		settings := config(t, k, name)
		settings.Guarantee = g
		all := passes(t, k, name, settings, &asked{decide: func(streams.BadRecord) streams.Decision { return streams.DeadLetter }})
		dead := k.messages(name + "-dead")
		await(t, patience, func() bool { return len(distinct(dead())) == len(all) }, "all dead letters are there")
		letters := dead()
		if g == streams.ExactlyOnce {
			require.Len(t, letters, len(all))
		}
		for at, v := range distinct(letters) {
			i := slices.IndexFunc(all, func(b badness) bool { return b.text == v })
			if g == streams.ExactlyOnce {
				require.Equal(t, at, i, "in the order of their partition")
			}
			m := letters[slices.IndexFunc(letters, func(m *sarama.ConsumerMessage) bool { return string(m.Value) == v })]
			require.Equal(t, "k", string(m.Key))
			require.Equal(t, int64(1_000_000+2*i+1), m.Timestamp.UnixMilli())
			headers := map[string]string{}
			for _, h := range m.Headers {
				headers[string(h.Key)] = string(h.Value)
			}
			require.Len(t, m.Headers, 7)
			require.Equal(t, fmt.Sprint(2*i+1), headers[original])
			require.Equal(t, name+"-in", headers["__streams.errors.topic"])
			require.Equal(t, "0", headers["__streams.errors.partition"])
			require.Equal(t, fmt.Sprint(2*i+1), headers["__streams.errors.offset"])
			for _, says := range all[i].says {
				require.Contains(t, headers["__streams.errors.message"], says)
			}
			require.Contains(t, headers["__streams.errors.exception"], headers["__streams.errors.message"])
			require.Contains(t, headers["__streams.errors.stacktrace"], "task 0_0, node "+all[i].node)
		}
	})
}

// What is tried again holds up those behind it, so that order is kept; and nothing is left
// of the attempts.
func TestEveryBadRecordIsTriedAgain(t *testing.T) {
	t.Parallel()
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		settings := config(t, k, name)
		settings.Guarantee = g
		a := &asked{decide: func(b streams.BadRecord) streams.Decision {
			if b.Attempt < 3 {
				return streams.Retry
			}
			return streams.Skip
		}}
		for i := range passes(t, k, name, settings, a) {
			// It begins anew with what is processed anew, for another one that was refused.
			attempts := a.attempts(int64(2*i + 1))
			before := 0
			for _, n := range attempts {
				require.True(t, n == 1 || n == before+1, "%v", attempts)
				before = n
			}
			require.Equal(t, 3, before)
		}
	})
}

// A record that waits to be tried again holds up its task, and nothing else: others of the
// same worker go on and are committed, and the instance stays a member.
func TestRetryHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		k.create(nil, 2, name+"-in", name+"-out")
		outs := k.messages(name + "-out")
		var mu sync.Mutex
		down, at := true, map[int][]time.Time{}
		topo := build(t, func(b *topology.Builder) {
			kstream.To(kstream.TryMapValues(kstream.From(b, text(name+"-in")), func(v string) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				if v == "bad" && down {
					return "", errors.New("the service is down")
				}
				return v, nil
			}), text(name+"-out"))
		})
		settings := config(t, k, name)
		settings.Workers, settings.SessionTimeout = 1, time.Minute
		settings.OnBadRecord = func(b streams.BadRecord) streams.Decision {
			mu.Lock()
			defer mu.Unlock()
			at[b.Attempt] = append(at[b.Attempt], time.Now())
			return streams.Retry
		}
		to := func(partition int32, values ...string) {
			c := clientConfig()
			c.Producer.Partitioner = sarama.NewManualPartitioner
			for _, v := range values {
				k.produce(c, &sarama.ProducerMessage{Topic: name + "-in", Partition: partition, Value: sarama.StringEncoder(v)})
			}
		}
		to(0, "before", "bad", "after")
		a := run(t, topo, settings)
		attempted := func(n int) bool {
			mu.Lock()
			defer mu.Unlock()
			return len(at[n]) > 0
		}
		await(t, patience, func() bool { return attempted(4) }, "it is tried again")
		for i := range 20 {
			to(1, fmt.Sprint(i))
			await(t, patience, func() bool { return len(outs()) == i+2 }, "the other partition goes on")
		}
		await(t, patience, func() bool { return attempted(6) }, "it is tried again")
		mu.Lock()
		down = false
		for n := 1; n < 6; n++ {
			require.Len(t, at[n], 1, "nothing began anew")
		}
		// The waits double. They begin with a worker's turn, and the function is called later in it.
		require.Greater(t, at[5][0].Sub(at[1][0]), time.Second, "of 100, 200, 400 and 800 ms")
		mu.Unlock()
		await(t, patience, func() bool { return len(outs()) == 23 }, "the first partition goes on")
		a.stop()
		var first []string
		for _, m := range outs() {
			if m.Partition == 0 {
				first = append(first, string(m.Value))
			}
		}
		require.Equal(t, []string{"before", "bad", "after"}, first)
	})
}

// A topic may take smaller batches than it is sent. That is no record's fault.
func TestSmallBatchesAreNoRecordsFault(t *testing.T) {
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		k.create(nil, 1, name+"-in")
		k.create(map[string]string{"max.message.bytes": strconv.Itoa(limit)}, 1, name+"-out")
		outs := k.messages(name + "-out")
		topo := build(t, func(b *topology.Builder) { kstream.To(kstream.From(b, text(name+"-in")), text(name+"-out")) })
		var values []string
		for i := range 2000 {
			values = append(values, fmt.Sprint("value ", i))
		}
		k.send(name+"-in", values...)
		settings := config(t, k, name)
		settings.Guarantee = g
		a := run(t, topo, settings)
		await(t, patience, func() bool { return len(distinct(outs())) == len(values) }, "all pass")
		a.stop()
		require.Equal(t, values, distinct(outs()))
	})
}

// Of many records that are refused at once each is found, among many that are not.
func TestManyRefusedRecords(t *testing.T) {
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		topo := fragile(t, k, name)
		outs, dead := k.messages(name+"-out"), k.messages(name+"-dead")
		var values, want, bad []string
		for i := range 3000 {
			v := fmt.Sprint("good ", i)
			if i == 100 || i == 101 || i == 2500 {
				v = "too large for its topic"
				bad = append(bad, fmt.Sprint(i))
			} else {
				want = append(want, v)
			}
			values = append(values, v)
		}
		k.sendBad(name, values...)
		settings := config(t, k, name)
		settings.Guarantee, settings.DeadLetterTopic = g, name+"-dead"
		settings.OnBadRecord = func(streams.BadRecord) streams.Decision { return streams.DeadLetter }
		a := run(t, topo, settings)
		k.awaitCommitted(name, len(values))
		a.stop()
		await(t, patience, func() bool { return len(good(outs())) == len(want) && len(dead()) >= len(bad) }, "all are written")
		require.Equal(t, want, good(outs()))
		var offsets []string
		for _, m := range dead() {
			for _, h := range m.Headers {
				if string(h.Key) == "__streams.errors.offset" && !slices.Contains(offsets, string(h.Value)) {
					offsets = append(offsets, string(h.Value))
				}
			}
		}
		require.Equal(t, bad, offsets)
		if g == streams.ExactlyOnce {
			require.Len(t, outs(), len(want))
			require.Len(t, dead(), len(bad))
		}
	})
}

// What a schedule sends is nobody's record: no good one is left out for it.
func TestScheduleThatIsRefused(t *testing.T) {
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		k.create(nil, 1, name+"-in", name+"-out")
		k.create(map[string]string{"max.message.bytes": strconv.Itoa(limit)}, 1, name+"-small")
		outs := k.messages(name + "-out")
		topo := build(t, func(b *topology.Builder) {
			in := kstream.From(b, text(name+"-in"))
			ticks := kstream.Process(in, "tick", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
				c.Schedule(50*time.Millisecond, topology.WallClock, func(time.Time) error {
					return c.Emit(topology.Record[string, string]{Key: "k", Value: strings.Repeat("t", 2*limit)})
				})
				return func(topology.Record[string, string]) error { return nil }, nil
			})
			kstream.To(ticks, text(name+"-small"))
			kstream.To(in, text(name+"-out"))
		})
		var values []string
		for i := range 1000 {
			values = append(values, fmt.Sprint("good ", i))
		}
		k.send(name+"-in", values...)
		a := &asked{decide: func(streams.BadRecord) streams.Decision { return streams.Skip }}
		settings := config(t, k, name)
		settings.Guarantee, settings.OnBadRecord = g, a.about
		err := run(t, topo, settings).wait(patience)
		requireSays(t, err, "task 0_0: a schedule of node sink", "bad_test.go:", name+"-small", "max.message.bytes")
		require.Empty(t, a.records)
		if g == streams.ExactlyOnce {
			sent := distinct(outs()) // maybe nothing: the first tick may be before the first commit
			require.Equal(t, values[:len(sent)], append([]string{}, sent...))
		}
	})
}

// A topic of dead letters has to be there, and be another one than is read.
func TestTopicOfDeadLetters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		topo := numbers(t, k, name, topology.Topic[string, int64]{})
		settings := config(t, k, name)
		settings.DeadLetterTopic = name + "-dead"
		_, err := streams.New(topo, settings)
		requireSays(t, err, "the cluster has no topic "+name+"-dead", "create it")
		settings.DeadLetterTopic = name + "-numbers"
		_, err = streams.New(topo, settings)
		requireSays(t, err, "DeadLetterTopic is \""+name+"-numbers\", which the topology reads", "name another topic")

		settings.DeadLetterTopic = ""
		settings.OnBadRecord = func(streams.BadRecord) streams.Decision { return streams.DeadLetter }
		k.send(name+"-numbers", bad)
		requireSays(t, run(t, topo, settings).wait(patience), "offset 0", "Int64", "it cannot be a dead letter", "Config.DeadLetterTopic is not set")
	})
}

// Who may not write a topic has bad records; also where it is the topic of dead letters.
func TestTopicThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	c := kafkatest.Start(t, kafkatest.Options{Config: map[string]string{
		"authorizer.class.name":            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found":   "true",
		"super.users":                      "User:admin",
		"early.start.listeners":            "CONTROLLER",
		"group.initial.rebalance.delay.ms": "0",
	}})
	k := connect(t, c.Addrs())
	for i, g := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		t.Run(g.String(), func(t *testing.T) {
			k := connect(t, k.addrs)
			name := fmt.Sprint("app-", i)
			k.create(nil, 1, name+"-in", name+"-open", name+"-closed", name+"-dead")
			topo := build(t, func(b *topology.Builder) {
				secret, rest := kstream.Split(kstream.From(b, text(name+"-in")), func(_, v string) bool { return v == "secret" })
				kstream.To(secret, text(name+"-closed"))
				kstream.To(rest, text(name+"-open"))
			})
			k.forbid(name + "-closed")
			opens, dead := k.messages(name+"-open"), k.messages(name+"-dead")
			k.sendBad(name, "one", "secret", "two", "three")
			settings := config(t, k, name)
			settings.Guarantee, settings.DeadLetterTopic = g, name+"-dead"
			says := []string{"offset 1", "node sink", "bad_test.go:", fmt.Sprintf("allow this user Write on topic %q", name+"-closed")}
			requireSays(t, run(t, topo, settings).wait(patience), says...)

			settings.OnBadRecord = func(streams.BadRecord) streams.Decision { return streams.DeadLetter }
			a := run(t, topo, settings)
			await(t, patience, func() bool { return len(distinct(opens())) == 3 && len(dead()) == 1 }, "the others pass")
			a.stop()
			require.Equal(t, []string{"one", "two", "three"}, distinct(opens()))
			require.Equal(t, "secret", string(dead()[0].Value))

			k.forbid(name + "-dead")
			k.sendBad(name, "secret")
			err := run(t, topo, settings).wait(patience)
			requireSays(t, err, "offset 4", "node sink", name+"-closed", "it cannot be a dead letter", fmt.Sprintf("allow this user Write on topic %q", name+"-dead"))
		})
	}
}

// forbid has nobody write a topic any more.
func (k *kafka) forbid(topic string) {
	k.t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(k.client)
	require.NoError(k.t, err)
	resource := sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: topic, ResourcePatternType: sarama.AclPatternLiteral}
	acls := []*sarama.Acl{
		{Principal: "User:*", Host: "*", Operation: sarama.AclOperationAll, PermissionType: sarama.AclPermissionAllow},
		{Principal: "User:*", Host: "*", Operation: sarama.AclOperationWrite, PermissionType: sarama.AclPermissionDeny},
	}
	require.NoError(k.t, admin.CreateACLs([]*sarama.ResourceAcls{{Resource: resource, Acls: acls}}))
}
