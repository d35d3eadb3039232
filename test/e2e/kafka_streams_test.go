//go:build unix

package e2e

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	inner "github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// An application of Kafka Streams, in Java, is reset by the tool: not while it runs; with all
// of its internal topics, and none of its neighbour's; and then it counts again.
func TestResetOfAnApplicationInJava(t *testing.T) {
	t.Parallel()
	command := kafkatest.JavaCommand(t, filepath.Join("testdata", "KafkaStreamsWordCount.java"))
	k, name := connect(t, kafkatest.Brokers(t)), kafkatest.Topic(t)
	c := newCounter(k, name)
	k.create(nil, 2, name+"-orders", name+"-customers", name+"-bar-counts-changelog")
	neighbour := map[inner.Partition]inner.Offset{{Topic: name + "-lines"}: {At: 0}}
	require.NoError(t, newOperator(k).CommitOffsets(broker.Member{Group: name + "-bar", Generation: -1}, neighbour))
	given := k.topics(name)
	seen := map[string][]int64{}
	results := k.follow(name+"-totals", func(m *sarama.ConsumerMessage) { seen[string(m.Key)] = append(seen[string(m.Key)], numberOf(m.Value)) })
	java := func() (stop func()) {
		args := append(slices.Clone(command[1:]), strings.Join(k.addrs, ","), name, t.TempDir())
		p := e2etest.Start(t, "java", command[0], args...)
		return func() {
			p.Terminate()
			<-p.Ended()
		}
	}
	reset := func(args ...string) (code int, out string) {
		cmd := exec.CommandContext(t.Context(), program(t, "streams"), append(args, "--brokers", strings.Join(k.addrs, ","))...)
		text, _ := cmd.CombinedOutput() // the code says it all
		return cmd.ProcessState.ExitCode(), string(text)
	}

	stop := java()
	c.count(20, 3)
	internal := slices.DeleteFunc(k.topics(name), func(t string) bool { return slices.Contains(given, t) })
	require.Len(t, internal, 7, "changelogs of the counts, two tables and a join, a repartition topic and two of the join: %q", internal)
	code, out := reset("reset", name, "--to-earliest", "--execute", "--yes")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "application "+name+" is running")
	stop()

	code, out = reset("reset", name, "--to-earliest", "--execute", "--yes")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "delete its local state yourself")
	require.Contains(t, out, name+"-bar-counts-changelog is left alone")
	require.Equal(t, given, k.topics(name), "its own topics are gone, and no others")
	before := c.totals.count()
	require.Equal(t, 60, before)
	stop = java() // with an empty disk
	await(t, patience, func() bool { return c.totals.count() >= 2*before }, "all is counted again")
	c.count(20, 1)
	stop()
	results.finish()
	for word, totals := range seen {
		require.Equal(t, []int64{1, 2, 3, 1, 2, 3, 4}, totals, word)
	}
}

// topics are the topics whose names begin so, in order.
func (k *kafka) topics(prefix string) (names []string) {
	k.t.Helper()
	require.NoError(k.t, k.client.RefreshMetadata())
	all, err := k.client.Topics()
	require.NoError(k.t, err)
	for _, name := range all {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
