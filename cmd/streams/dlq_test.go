package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/deadletter"
	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// bury writes dead letters of the payments, as the runtime does.
func (s *site) bury(n int) {
	s.create("dead", map[string]string{"retention.ms": "-1"})
	for i := range n {
		hs := deadletter.Headers([]kafka.Header{{Key: "trace", Value: fmt.Appendf(nil, "t%d", i)}}, deadletter.Reason{
			Topic: payments.Name, Partition: int32(i % partitions), Offset: int64(100 + i),
			Exception: "*json.SyntaxError: unexpected end", Message: "unexpected end of JSON input", Stack: "task 0_0, node source-0\nmain.go:12",
		})
		s.writeTo("dead", int32(i%partitions), fmt.Sprintf("b%d", i), []byte(`{"account":`), hs, monday)
	}
}

// resent are the payments from an offset on: partition and key.
func (s *site) resent(from map[kafka.Partition]int64) (found []string) {
	s.t.Helper()
	ps, err := inspect.Partitions(s.t.Context(), s.c, payments.Name)
	require.NoError(s.t, err)
	whole := s.settled(payments.Name)
	for _, p := range ps {
		of := inspect.Reading{From: map[kafka.Partition]int64{p: from[p]}, To: map[kafka.Partition]int64{p: whole.To[p]}}
		require.NoError(s.t, inspect.Read(s.t.Context(), s.c, of, func(p kafka.Partition, r kafka.Record) error {
			require.Equal(s.t, monday.UnixMilli(), r.Time)
			require.Equal(s.t, `{"account":`, string(r.Value))
			require.Len(s.t, r.Headers, 1, "its own header alone")
			found = append(found, fmt.Sprintf("%d %s %s", p.Index, r.Key, r.Headers[0].Value))
			return nil
		}))
	}
	return found
}

// settled is what a topic holds when all transactions in it have ended: their markers may
// still be on their way when a commit is acknowledged.
func (s *site) settled(topic string) (whole inspect.Reading) {
	s.t.Helper()
	ps, err := inspect.Partitions(s.t.Context(), s.c, topic)
	require.NoError(s.t, err)
	s.await(func() bool {
		whole, err = inspect.Whole(s.t.Context(), s.c, ps)
		require.NoError(s.t, err)
		return maps.Equal(whole.To, s.ends(topic))
	}, "transactions have ended")
	return whole
}

func (s *site) ends(topic string) map[kafka.Partition]int64 {
	s.t.Helper()
	ps, err := inspect.Partitions(s.t.Context(), s.c, topic)
	require.NoError(s.t, err)
	ends, err := s.c.ListOffsets(s.t.Context(), ps, broker.Latest, false)
	require.NoError(s.t, err)
	return ends
}

func TestDeadLetters(t *testing.T) {
	eachSite(t, func(s *site) {
		s.bury(6)
		golden(s.t, "dlq-list.txt", s.ok("dlq", "list", "dead"))
		golden(s.t, "dlq-list.json", s.ok("dlq", "list", "dead", "--json", "--limit", "2"))
		golden(s.t, "dlq-show.txt", s.ok("dlq", "show", "dead", "1/2"))
		before := s.ends(payments.Name)

		code, _, messages := s.answer("n\n", "dlq", "retry", "dead", "--all")
		require.Equal(s.t, exitNo, code)
		require.Contains(s.t, messages, "Send all dead letters of dead to the topics they came from? [y/N]")
		require.Empty(s.t, s.resent(before), "nothing was confirmed")

		require.Equal(s.t, "1 sent again; 0 were sent before\n", s.ok("dlq", "retry", "dead", "0/1", "--yes"))
		require.Equal(s.t, []string{"0 b2 t2"}, s.resent(before))
		require.Equal(s.t, "0 sent again; 1 were sent before\n", s.ok("dlq", "retry", "dead", "0/1", "--yes"), "once")
		code, out, _ := s.answer("y\n", "dlq", "retry", "dead", "--all")
		require.Equal(s.t, exitOK, code)
		require.Equal(s.t, "5 sent again; 1 were sent before\n", out)
		require.Equal(s.t, []string{"0 b2 t2", "0 b0 t0", "0 b4 t4", "1 b1 t1", "1 b3 t3", "1 b5 t5"}, s.resent(before))
		require.Equal(s.t, "0 sent again; 6 were sent before\n", s.ok("dlq", "retry", "dead", "--all", "-y"))
		require.Equal(s.t, "1 sent again; 0 were sent before\n", s.ok("dlq", "retry", "dead", "1/0", "-y", "--again"))
		golden(s.t, "dlq-list-resent.txt", s.ok("dlq", "list", "dead"))
		require.Equal(s.t, 1, strings.Count(s.ok("dlq", "list", "dead", "--waiting"), "\n"), "all were sent again")

		require.Equal(s.t, 2, strings.Count(s.ok("dlq", "show", "dead", "0/1", "1/2", "--json"), "\n"), "one in each line")
		code, _, messages = s.tool("dlq", "drop", "dead", "0/1", "1/3", "--yes")
		require.Equal(s.t, exitNo, code)
		require.Contains(s.t, messages, "there is no letter 1/3: dead/1 ends at 3")
		require.Equal(s.t, "deleted up to 1/0\n", s.ok("dlq", "drop", "dead", "1/0", "--yes"))
		require.Equal(s.t, "deleted up to 0/2, 1/2\n", s.ok("dlq", "drop", "dead", "--resent", "--yes"))
		require.Equal(s.t, "there is nothing to delete\n", s.ok("dlq", "drop", "dead", "--all", "--yes"))
	})
}

// What is killed between the letters and the note of them has done neither.
func TestRetryIsOneTransaction(t *testing.T) {
	eachSite(t, func(s *site) {
		s.bury(4)
		before := s.ends(payments.Name)
		// A transaction of another process, killed before it ended.
		dead, err := s.c.NewProducer(s.t.Context(), broker.ProducerOptions{TransactionalID: "resend-dead"})
		require.NoError(s.t, err)
		require.NoError(s.t, dead.Add(dead.Target(kafka.Partition{Topic: payments.Name}), []byte("b0"), []byte(`{"account":`), nil, monday.UnixMilli()))
		require.NoError(s.t, dead.Wait())
		dead.Close()

		require.Equal(s.t, "4 sent again; 0 were sent before\n", s.ok("dlq", "retry", "dead", "--all", "--yes"))
		require.Equal(s.t, []string{"0 b0 t0", "0 b2 t2", "1 b1 t1", "1 b3 t3"}, s.resent(before))
	})
}

func TestRetryRefusesLettersOfNoPartition(t *testing.T) {
	s := embeddedSite(t)
	s.create("dead", nil)
	hs := deadletter.Headers(nil, deadletter.Reason{Topic: "gone", Partition: 0, Offset: 1})
	s.writeTo("dead", 0, "k", []byte("v"), hs, monday)
	code, _, messages := s.tool("dlq", "retry", "dead", "--all", "--yes")
	require.Equal(t, exitFailed, code)
	require.Contains(t, messages, "letter dead/0@0 is from gone/0, and there is no such partition")
}

// Dead letters of transactions have markers between them. However many there are, Kafka
// remembers that all were sent.
func TestRetryOfMany(t *testing.T) {
	eachSite(t, func(s *site) {
		const many = 1500
		s.create("dead", nil)
		p, err := s.c.NewProducer(s.t.Context(), broker.ProducerOptions{TransactionalID: "buries"})
		require.NoError(s.t, err)
		defer p.Close()
		hs := deadletter.Headers(nil, deadletter.Reason{Topic: payments.Name, Offset: 1})
		to := p.Target(kafka.Partition{Topic: "dead", Index: 1})
		for range many {
			require.NoError(s.t, p.Add(to, []byte("k"), []byte("v"), hs, monday.UnixMilli()))
			require.NoError(s.t, p.Commit(broker.Member{}, nil))
		}
		s.settled("dead")
		require.Equal(s.t, "1 sent again; 0 were sent before\n", s.ok("dlq", "retry", "dead", "1/6", "-y"))
		require.Equal(s.t, "1499 sent again; 1 were sent before\n", s.ok("dlq", "retry", "dead", "--all", "-y"))
		require.Equal(s.t, "0 sent again; 1500 were sent before\n", s.ok("dlq", "retry", "dead", "--all", "-y"))
		require.Equal(s.t, "deleted up to 1/2998\n", s.ok("dlq", "drop", "dead", "--resent", "-y"))
	})
}

// A topic that was deleted and made again has letters of its own.
func TestRetryKnowsATopicMadeAgain(t *testing.T) {
	eachSite(t, func(s *site) {
		s.bury(2)
		require.Equal(s.t, "2 sent again; 0 were sent before\n", s.ok("dlq", "retry", "dead", "--all", "--yes"))
		require.NoError(s.t, s.c.DeleteTopics(s.t.Context(), "dead"))
		s.bury(2)
		require.Equal(s.t, "2 sent again; 0 were sent before\n", s.ok("dlq", "retry", "dead", "--all", "--yes"))
	})
}

func TestDeadLettersThatAreNone(t *testing.T) {
	s := embeddedSite(t)
	s.bury(2)
	s.writeTo("dead", 0, "other", []byte("v"), nil, monday)
	code, out, _ := s.tool("dlq", "show", "dead", "0/1", "--json")
	require.Equal(t, exitOK, code)
	var l letter
	require.NoError(t, json.Unmarshal([]byte(out), &l))
	require.Equal(t, "no dead letter: it has no header __streams.errors.topic", l.Problem)
	code, _, messages := s.tool("dlq", "retry", "dead", "0/1", "--yes")
	require.Equal(t, exitFailed, code)
	require.Contains(t, messages, "dead/0@1: no dead letter")
	require.Equal(t, "2 sent again; 0 were sent before; 1 records are no dead letters and were left out\n", s.ok("dlq", "retry", "dead", "--all", "--yes"))
	code, _, messages = s.tool("dlq", "show", "dead", "0/9")
	require.Equal(t, exitNo, code)
	require.Contains(t, messages, "there is no letter 0/9: dead/0 has 0 to 1")
}

func TestDLQUsage(t *testing.T) {
	s := embeddedSite(t)
	for _, args := range []string{"dlq retry dead", "dlq retry dead 0/1 --all", "dlq drop dead", "dlq drop dead --all --resent", "dlq show dead 0-1", "dlq show dead"} {
		code, _, _ := s.tool(strings.Fields(args)...)
		require.Equal(t, exitUsage, code, args)
	}
}
