package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/verify"
)

// findings are what verify finds that is not in order.
func (s *site) findings(exit int, args ...string) (found []verify.Finding) {
	s.t.Helper()
	code, out, messages := s.tool(append([]string{"verify", "orders", "--json"}, args...)...)
	require.Equal(s.t, exit, code, "%s", messages)
	var all []verify.Finding
	require.NoError(s.t, json.Unmarshal([]byte(out), &all))
	for _, f := range all {
		if f.Status != verify.OK && f.Status != verify.Skipped {
			found = append(found, f)
		}
	}
	return found
}

// alter changes a setting of a topic.
func (s *site) alter(topic, name, value string) {
	s.t.Helper()
	config := sarama.NewConfig()
	config.Version = sarama.V3_9_0_0
	admin, err := sarama.NewClusterAdmin(s.brokers, config)
	require.NoError(s.t, err)
	defer admin.Close()
	entries := map[string]sarama.IncrementalAlterConfigsEntry{name: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}
	require.NoError(s.t, admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false))
}

// faults are planted one by one into what an application left. Each is found, and nothing else.
var faults = []struct {
	name  string
	plant func(s *site)
	want  verify.Finding
}{
	{"changelog record of another task", func(s *site) {
		const log = "orders-totals-changelog"
		for i := range 20 {
			s.write(log, fmt.Sprintf("k%d", i), "12345678", monday)
		}
		s.writeTo(log, 1-graph.Partition([]byte("astray"), partitions), "astray", []byte("12345678"), nil, monday)
	}, verify.Finding{Check: "changelog", About: "orders-totals-changelog", Text: "1 of * records lie in the partition of another task: the record at orders-totals-changelog/*, offset *, has the key astray, which belongs to partition *"}},
	{"changelog key of another store", func(s *site) {
		s.write("orders-hours-changelog", "short", "12345678", monday)
	}, verify.Finding{Check: "changelog", About: "orders-hours-changelog", Text: "*has the key 0x73686f7274, which no window store writes*"}},
	{"changelog that is not compacted", func(s *site) {
		s.alter("orders-totals-changelog", "cleanup.policy", "delete")
	}, verify.Finding{Check: "cleanup policy", About: "orders-totals-changelog", Text: "cleanup.policy=delete, and has to be compact: *"}},
	{"changelog with a retention", func(s *site) {
		s.alter("orders-hours-changelog", "retention.ms", "86400000")
	}, verify.Finding{Check: "cleanup policy", About: "orders-hours-changelog", Text: "cleanup.policy=compact,delete with retention.ms=86400000: *"}},
	{"repartition topic that is compacted", func(s *site) {
		s.alter("orders-by-account-repartition", "cleanup.policy", "compact")
	}, verify.Finding{Check: "cleanup policy", About: "orders-by-account-repartition", Text: "cleanup.policy=compact, and has to be delete: *"}},
	{"keys that do not meet", func(s *site) {
		for i := range 12 {
			key := fmt.Sprintf("k%d", i)
			s.writeTo(limits.Name, 1-graph.Partition([]byte(key), partitions), key, []byte("12345678"), nil, monday)
		}
	}, verify.Finding{Check: "co-partitioning", About: "orders-by-account-repartition, limits", Text: "keys of orders-by-account-repartition lie where Kafka's default partitioner (murmur2) puts them, and those of limits do not: *"}},
	{"records deleted before they were processed", func(s *site) {
		for range 10 {
			s.writeTo(payments.Name, 0, "late", []byte(`{}`), nil, time.Now())
		}
		require.NoError(s.t, s.c.DeleteRecords(s.t.Context(), map[kafka.Partition]int64{{Topic: payments.Name}: paidTimes + 5}))
	}, verify.Finding{Check: "retention", About: "payments/0", Text: "40 is committed, and the topic begins at 45: 5 offsets were deleted before they were processed"}},
	{"position behind the end", func(s *site) {
		at := map[kafka.Partition]kafka.Offset{{Topic: payments.Name}: {At: 99}}
		require.NoError(s.t, s.c.CommitOffsets(broker.Member{Group: "orders", Generation: -1}, at))
	}, verify.Finding{Check: "retention", About: "payments/0", Text: "99 is committed, and the topic ends at 40: it was deleted and made again, or lost records; reset its offsets"}},
	{"input that is gone", func(s *site) {
		require.NoError(s.t, s.c.DeleteTopics(s.t.Context(), payments.Name))
	}, verify.Finding{Check: "topics", About: "payments", Text: "the input topic does not exist: *"}},
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			s := embeddedSite(t)
			s.process(streams.AtLeastOnce)
			require.Empty(t, s.findings(exitOK))
			f.plant(s)
			found := s.findings(exitNo)
			require.Len(t, found, 1)
			require.Equal(t, verify.Fault, found[0].Status)
			require.Equal(t, f.want.Check, found[0].Check)
			require.Equal(t, f.want.About, found[0].About)
			like(t, f.want.Text, found[0].Text)
		})
	}
}

// like compares a text with a pattern in which a star is anything.
func like(t *testing.T, pattern, text string) {
	t.Helper()
	rest, ok := text, true
	for i, part := range strings.Split(pattern, "*") {
		at := strings.Index(rest, part)
		if ok = at >= 0 && (i > 0 || at == 0); !ok {
			break
		}
		rest = rest[at+len(part):]
	}
	require.True(t, ok, "%q is not like %q", text, pattern)
}

func TestVerifyWarnsOfWhatMayBeLost(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	s.alter(payments.Name, "retention.ms", "3600000")
	s.alter(limits.Name, "cleanup.policy", "delete")
	s.writeTo(payments.Name, 0, "old", []byte(`{}`), nil, time.Now().Add(-50*time.Minute))
	found := s.findings(exitOK)
	require.Len(t, found, 2)
	require.Equal(t, verify.Warning, found[0].Status)
	like(t, "cleanup.policy=delete with retention.ms=*, and it is read as the table limits: *", found[0].Text)
	require.Equal(t, verify.Warning, found[1].Status)
	like(t, "the record at 40 is 50m*s old and not processed, and the topic keeps records for 1h0m0s: *", found[1].Text)
}

func TestVerifyComparesStores(t *testing.T) {
	eachSite(t, func(s *site) {
		s.process(streams.ExactlyOnce)
		require.Empty(s.t, s.findings(exitOK, "--state-dir", s.state))
		s.spoil("totals", "1_0", "bob", []byte("00000000"))
		found := s.findings(exitNo, "--state-dir", s.state)
		require.Len(s.t, found, 1)
		require.Equal(s.t, verify.Fault, found[0].Status)
		require.Equal(s.t, "1_0 totals", found[0].About)
		like(s.t, "1 of 3 rows differ from the changelog orders-totals-changelog/0: the key bob has other values; delete the directory *", found[0].Text)

		s.spoil("totals", "1_0", "zoe", []byte("00000000"))
		s.spoil("totals", "1_0", "ann", nil)
		like(s.t, "3 of 3 rows differ from the changelog orders-totals-changelog/0: the key ann is only in the changelog; *", s.findings(exitNo, "--state-dir", s.state)[0].Text)
	})
}

// spoil changes a row on disk behind the back of the changelog.
func (s *site) spoil(name, task, key string, value []byte) {
	s.t.Helper()
	dir := filepath.Join(s.state, "orders", task, name)
	spec, origin, err := store.Existing(dir)
	require.NoError(s.t, err)
	st, err := store.Open(dir, spec, origin, store.NewResources(store.ResourceLimits{}))
	require.NoError(s.t, err)
	at := st.Offset()
	require.Positive(s.t, at)
	_, err = st.Put([]byte(key), value, monday.UnixMilli())
	require.NoError(s.t, err)
	require.NoError(s.t, st.Changelog(func([]byte, []byte, int64) error { return nil }))
	require.NoError(s.t, st.Commit(at))
	require.NoError(s.t, st.Close())
}

// A store that is behind its changelog is no fault, as far as it goes.
func TestVerifyStoreThatIsBehind(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	s.write("orders-totals-changelog", "bob", "12345678", monday)
	s.write("orders-totals-changelog", "new", "12345678", monday)
	for _, f := range s.findings(exitOK, "--state-dir", s.state) {
		require.NotEqual(t, verify.Fault, f.Status, f.Text)
	}
}

// State from before a reset is wiped by the next start, and is no fault until then.
func TestVerifyStateFromBeforeAReset(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	s.ok("reset", "orders", "--to-earliest", "--execute", "--yes")
	code, out, _ := s.tool("verify", "orders", "--state-dir", s.state)
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, "skipped  store and changelog: totals: it is from before a reset of the application")
}

// A store whose files are damaged is a fault, and the others are looked at all the same.
func TestVerifyDamagedStore(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	tables, err := filepath.Glob(filepath.Join(s.state, "orders", "1_0", "totals", "rows", "*.ldb"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	for _, file := range tables {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		for i := range len(b) / 2 {
			b[i] ^= 0xff
		}
		require.NoError(t, os.WriteFile(file, b, 0o600))
	}
	found := s.findings(exitNo, "--state-dir", s.state)
	require.Len(t, found, 1)
	require.Equal(t, verify.Fault, found[0].Status)
	require.Contains(t, found[0].About, "totals")
	require.Contains(t, found[0].Text, "the next start restores it")
}
