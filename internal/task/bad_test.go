package task_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/deadletter"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/task"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/topology"
)

var in = kafka.Partition{Topic: "in"}

// until has a record tried again until its so-many-th attempt, and then what is said.
func until(attempt int, then task.Verdict) func(*task.Error) task.Verdict {
	return func(e *task.Error) task.Verdict {
		if e.Attempt < attempt {
			return task.Retry
		}
		return then
	}
}

// attempts are those that OnBad was asked about.
func (r *rig) attempts() (all []int) {
	for _, e := range r.bad {
		all = append(all, e.Attempt)
	}
	return all
}

// What is tried again waits, twice as long each time, and everything behind it in its task
// waits with it.
func TestRetryWaitsAndKeepsOrder(t *testing.T) {
	r := start(t, messy)
	r.decide = until(4, task.Skip)
	r.add("in", 0, record("k", "one", 10), record("k", "bad", 100), record("k", "two", 12))
	r.run()
	require.Equal(t, []string{"counts k=1@10", `last k=one after "" at 10@10`}, r.sent())
	require.Equal(t, int64(1), r.Offsets()[in].At, "what came before can be committed meanwhile")
	require.Contains(t, r.commit(), "rows k=one@10")

	for i, pause := range []time.Duration{100, 200, 400} {
		require.Len(t, r.bad, i+1)
		// The schedule of the first record is due all the time; until the record is.
		r.advance((pause - 1) * time.Millisecond)
		require.Len(t, r.bad, i+1, "attempt %d before its time", i+2)
		require.Empty(t, r.sent())
		require.LessOrEqual(t, r.NextWall(), r.wall+1)
		r.advance(time.Millisecond)
	}
	require.Equal(t, []int{1, 2, 3, 4}, r.attempts())
	require.Equal(t, []string{"counts k=2@12", `last k=two after "one" at 12@12`}, r.sent(), "and nothing of the bad one")
	require.Equal(t, int64(3), r.Offsets()[in].At)

	r.bad = nil
	r.send("in", record("k", "bad", 13))
	require.Equal(t, []int{1}, r.attempts(), "another record begins at one")
}

// A record that is good in the end takes effect once, in its place.
func TestRetryThatSucceeds(t *testing.T) {
	down := true
	r := newRig(t, func(b *topology.Builder) {
		checked := kstream.TryMapValues(kstream.From(b, text("in")), func(v string) (string, error) {
			if v == "two" && down {
				return "", errors.New("the service is down")
			}
			return v, nil
		})
		kstream.To(checked, text("out"))
	})
	r.decide = until(99, task.Skip)
	r.add("in", 0, record("k", "one", 1), record("k", "two", 2), record("k", "three", 3))
	r.run()
	r.advance(time.Second)
	down = false
	require.Equal(t, []string{"out k=one@1"}, r.sent())
	require.Equal(t, int64(1200), r.NextWall(), "the second attempt came late, and the third is 200 ms after it")
	r.advance(200 * time.Millisecond)
	require.Equal(t, []string{"out k=two@2", "out k=three@3"}, r.sent())
	require.Empty(t, r.Dropped())
	require.Equal(t, int64(-1), r.NextWall())
}

// A record of another input does not pass the one that is tried again.
func TestRetryHoldsTheWholeTask(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		numbered := kstream.MapValues(kstream.From(b, numbers("numbers")), func(int64) string { return "a number" })
		kstream.To(kstream.Merge(numbered, kstream.From(b, text("texts"))), text("out"))
	})
	r.decide = until(2, task.Skip)
	r.send("numbers", kafka.Record{Key: []byte("k"), Value: []byte("bad"), Time: 50})
	r.send("texts", record("k", "earlier", 10))
	require.Empty(t, r.sent())
	r.advance(100 * time.Millisecond)
	require.Equal(t, []int{1, 2}, r.attempts())
	require.Equal(t, []string{"out k=earlier@10"}, r.sent())
}

func TestRetryIsBounded(t *testing.T) {
	r := start(t, messy)
	r.decide = until(99, task.Skip)
	r.send("in", record("k", "bad", 10))
	for range task.MaxAttempts - 2 {
		r.advance(time.Minute)
	}
	r.wall += time.Minute.Milliseconds()
	err := r.try()
	require.ErrorContains(t, err, "record at in/0 offset 0, node fail-")
	require.ErrorContains(t, err, "tried 10 times, and that is the most: it is bad")
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, r.attempts())
	require.Equal(t, int64(0), r.Offsets()[in].At)
}

func TestDeadLetter(t *testing.T) {
	for _, bad := range []string{"bad", "panic"} {
		t.Run(bad, func(t *testing.T) {
			r := newRig(t, messy)
			r.decide, r.letters = until(1, task.DeadLetter), "dead"
			require.NoError(t, r.open())
			own := kafka.Header{Key: "trace", Value: []byte("abc")}
			r.add("in", 0, record("k", "one", 10), kafka.Record{Key: []byte("k"), Value: []byte(bad), Time: 100, Headers: []kafka.Header{own}}, record("k", "two", 12))
			r.run()
			letter := r.Output()[2]
			require.Equal(t, []string{
				"counts k=1@10", `last k=one after "" at 10@10`,
				"dead k=" + bad + "@100",
				"counts k=2@12", `last k=two after "one" at 12@12`,
			}, r.sent(), "in its place, and nothing else of it")
			require.Equal(t, own, letter.Headers[0])
			why, err := deadletter.Read(letter.Headers)
			require.NoError(t, err)
			require.Equal(t, "in", why.Topic)
			require.Equal(t, int64(1), why.Offset)
			require.Contains(t, why.Message, "it is bad")
			require.Contains(t, why.Stack, "task 0_0, node fail-")
			require.Contains(t, why.Stack, " at undo_test.go:")
			if bad == "panic" {
				require.True(t, strings.HasPrefix(why.Exception, "*task.PanicError: panic at "), why.Exception)
				require.Contains(t, why.Stack, "undo_test.go:")
				require.Contains(t, why.Stack, "task_test.messy.")
				require.NotContains(t, why.Stack, "task.(*Task)")
			} else {
				require.Equal(t, "*errors.errorString: it is bad", why.Exception)
			}
			require.Equal(t, int64(3), r.Offsets()[in].At)
			require.Equal(t, map[plan.Drop]int64{plan.BadRecord: 1}, r.Dropped())
		})
	}
}

// A record without a key, a value or a time is sent as it is, as far as Kafka can keep it.
func TestDeadLetterOfNulls(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		kstream.TryMapValues(kstream.From(b, topology.Nullable(numbers("in"))), func(*int64) (string, error) { return "", errors.New("it is bad") })
	})
	r.decide, r.letters = until(1, task.DeadLetter), "dead"
	require.NoError(t, r.open())
	r.send("in", kafka.Record{Time: 5})
	out := r.Output()
	require.Len(t, out, 1)
	require.Nil(t, out[0].Key)
	require.Nil(t, out[0].Value)
	require.Equal(t, int64(5), out[0].Time)
}

// Where there is no place for the letter the task stops, and says why.
func TestDeadLetterThatCannotBe(t *testing.T) {
	r := start(t, messy)
	r.decide = until(1, task.DeadLetter)
	r.add("in", 0, record("k", "bad", 10))
	err := r.try()
	require.ErrorContains(t, err, "record at in/0 offset 0, node fail-")
	require.ErrorContains(t, err, "it is bad; and it cannot be a dead letter: Config.DeadLetterTopic is not set")

	r.letters, r.fits = "dead", func(o plan.Out) error {
		require.Equal(t, "dead", o.Topic)
		return errors.New("it is too large")
	}
	r.restart()
	r.add("in", 0, record("k", "bad", 10))
	require.ErrorContains(t, r.try(), "it is bad; and it cannot be a dead letter: it is too large")
	require.Empty(t, r.sent())
	require.Equal(t, int64(0), r.Offsets()[in].At)
}

func TestOnBadThatPanics(t *testing.T) {
	r := start(t, messy)
	r.decide = func(*task.Error) task.Verdict { panic("what now?") }
	r.add("in", 0, record("k", "bad", 10))
	err := r.try()
	require.ErrorContains(t, err, "it is bad; and to decide about it failed: panic at ")
	require.ErrorContains(t, err, "what now?")
}

// No other number than those that are named lets a record pass.
func TestAVerdictThatIsNone(t *testing.T) {
	r := start(t, messy)
	r.decide = func(*task.Error) task.Verdict { return 17 }
	r.add("in", 0, record("k", "bad", 10))
	require.ErrorContains(t, r.try(), "it is bad")
	require.Equal(t, "no verdict: 17", task.Verdict(17).String())
}

// An output that is too large is the record's own failure, before Kafka sees it: what the
// record did is undone.
func TestAnOutputThatDoesNotFit(t *testing.T) {
	r := newRig(t, messy)
	asked := 0
	r.skip, r.fits = true, func(o plan.Out) error {
		asked++
		if len(o.Value) > 30_000 {
			return errors.New("it is too large")
		}
		return nil
	}
	require.NoError(t, r.open())
	large, larger := strings.Repeat("l", 20_000), strings.Repeat("l", 40_000)
	r.add("in", 0, record("k", "one", 10), record("k", large, 11), record("k", larger, 12), record("k", "two", 13))
	r.run()
	sent := r.sent()
	require.Len(t, sent, 6)
	require.Equal(t, "counts k=3@13", sent[4], "the one that does not fit is not counted")
	require.Contains(t, sent[5], "two after")
	require.Equal(t, 3, asked, "about the large ones alone: of two records, and one that follows a large one")
	require.Len(t, r.bad, 1)
	require.ErrorContains(t, r.bad[0], "offset 2, node sink-")
	require.ErrorContains(t, r.bad[0], "it is too large")
	require.Contains(t, r.commit(), "rows other=two@13")
}

// refusal is one of the second record, whose results Kafka did not take.
func refusal(attempt int) *task.Refusal {
	return &task.Refusal{Partition: in, Offset: 1, Node: "sink-9 at main.go:1", Attempt: attempt, Err: errors.New("the topic is not for you")}
}

// A record that was refused does nothing: it is asked about, once, and everything before it
// is as ever.
func TestARefusedRecord(t *testing.T) {
	three := func(r *rig) {
		require.NoError(t, r.open())
		r.add("in", 0, record("k", "one", 10), record("k", "two", 11), record("k", "three", 12))
	}
	t.Run("skip", func(t *testing.T) {
		r := newRig(t, messy)
		r.skip, r.refused = true, refusal(3)
		three(r)
		r.run()
		require.Equal(t, []string{"counts k=1@10", `last k=one after "" at 10@10`, "counts k=2@12", `last k=three after "one" at 12@12`}, r.sent())
		require.Len(t, r.bad, 1)
		require.Equal(t, &task.Error{Partition: in, Offset: 1, Node: "sink-9 at main.go:1", Attempt: 3, Err: r.refused.Err,
			Record: kafka.Record{Key: []byte("k"), Value: []byte("two"), Time: 11, Offset: 1}}, r.bad[0])
	})
	t.Run("dead letter", func(t *testing.T) {
		r := newRig(t, messy)
		r.decide, r.letters, r.refused = until(1, task.DeadLetter), "dead", refusal(1)
		three(r)
		r.run()
		require.Equal(t, "dead k=two@11", r.sent()[2])
	})
	t.Run("retry", func(t *testing.T) {
		r := newRig(t, messy)
		r.decide, r.refused = until(9, task.Skip), refusal(2)
		three(r)
		r.run()
		require.Len(t, r.sent(), 2)
		r.advance(199 * time.Millisecond)
		require.Empty(t, r.sent())
		r.advance(time.Millisecond)
		require.Equal(t, `last k=two after "one" at 11@11`, r.sent()[1], "it is processed now, and may be refused again")
		require.Equal(t, []int{2}, r.attempts())
	})
	t.Run("dead letter that is refused too", func(t *testing.T) {
		r := newRig(t, messy)
		r.decide, r.letters, r.refused = until(1, task.DeadLetter), "dead", refusal(1)
		r.refused.Letter = errors.New("nor is that one")
		three(r)
		require.ErrorContains(t, r.try(), "record at in/0 offset 1, node sink-9 at main.go:1: the topic is not for you; and it cannot be a dead letter: nor is that one")
		require.Equal(t, int64(1), r.Offsets()[in].At)
	})
	t.Run("only a dead letter that is refused", func(t *testing.T) {
		r := newRig(t, messy)
		r.decide, r.letters, r.refused = until(1, task.DeadLetter), "dead", &task.Refusal{Partition: in, Offset: 1, Letter: errors.New("it is not for you")}
		require.NoError(t, r.open())
		r.add("in", 0, record("k", "one", 10), record("k", "bad", 11))
		err := r.try()
		require.ErrorContains(t, err, "record at in/0 offset 1, node fail-")
		require.ErrorContains(t, err, "it is bad; and it cannot be a dead letter: it is not for you")
	})
}

// Schedules and records can be told apart.
func TestTickCallsSchedulesAlone(t *testing.T) {
	r := start(t, messy)
	r.add("in", 0, record("k", "one", 10))
	r.run()
	p, offset, ok := r.Last()
	require.True(t, ok)
	require.Equal(t, in, p)
	require.Zero(t, offset)

	r.add("in", 0, record("k", "two", 11))
	called, err := r.Tick(5)
	require.NoError(t, err)
	require.True(t, called)
	_, _, ok = r.Last()
	require.False(t, ok)
	called, err = r.Tick(5)
	require.NoError(t, err)
	require.False(t, called)
	require.Equal(t, int64(1), r.Offsets()[in].At)
}
