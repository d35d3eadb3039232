package deadletter_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/deadletter"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

var reason = deadletter.Reason{
	Topic: "payments", Partition: 3, Offset: 1 << 40,
	Exception: "*json.SyntaxError: unexpected end", Message: "unexpected end", Stack: "task 0_3",
}

func header(key, value string) kafka.Header { return kafka.Header{Key: key, Value: []byte(value)} }

// The names and the form of the values are those of Kafka Streams' ExceptionHandlerUtils.
func TestHeadersAreThoseOfKafkaStreams(t *testing.T) {
	require.Equal(t, []kafka.Header{
		header("trace", "abc"),
		header("__streams.errors.exception", "*json.SyntaxError: unexpected end"),
		header("__streams.errors.message", "unexpected end"),
		header("__streams.errors.stacktrace", "task 0_3"),
		header("__streams.errors.topic", "payments"),
		header("__streams.errors.partition", "3"),
		header("__streams.errors.offset", "1099511627776"),
	}, deadletter.Headers([]kafka.Header{header("trace", "abc")}, reason))
}

func TestReasonIsReadAsItWasWritten(t *testing.T) {
	own := []kafka.Header{header("trace", "abc"), {Key: "null"}, header("trace", "again")}
	hs := deadletter.Headers(own, reason)
	r, err := deadletter.Read(hs)
	require.NoError(t, err)
	require.Equal(t, reason, r)
	require.Equal(t, own, deadletter.Own(hs))
}

func TestSecondReasonReplacesTheFirst(t *testing.T) {
	second := reason
	second.Topic, second.Offset = "payments-dead", 0
	hs := deadletter.Headers(deadletter.Headers(nil, reason), second)
	require.Len(t, hs, 6)
	r, err := deadletter.Read(hs)
	require.NoError(t, err)
	require.Equal(t, second, r)
}

// A dead letter is not much larger than its record, whatever the error quotes.
func TestLongTextsAreCut(t *testing.T) {
	long := reason
	long.Message = "x" + strings.Repeat("ä", 1<<20)
	r, err := deadletter.Read(deadletter.Headers(nil, long))
	require.NoError(t, err)
	require.Less(t, len(r.Message), 5<<10)
	require.True(t, utf8.ValidString(r.Message))
	require.True(t, strings.HasPrefix(long.Message, strings.TrimSuffix(r.Message, "…")))
}

func TestWhatIsNoDeadLetter(t *testing.T) {
	whole := deadletter.Headers(nil, reason)
	for _, c := range []struct {
		hs   []kafka.Header
		says string
	}{
		{nil, "no header __streams.errors.topic"},
		{whole[:4], "no header __streams.errors.partition"},
		{whole[:5], "no header __streams.errors.offset"},
		{append(whole[:5:5], header(deadletter.Offset, "later")), `__streams.errors.offset: strconv.ParseInt: parsing "later"`},
		{append(whole[:6:6], header(deadletter.Partition, "2147483648")), "__streams.errors.partition: strconv.ParseInt"},
	} {
		_, err := deadletter.Read(c.hs)
		require.ErrorContains(t, err, "no dead letter: ")
		require.ErrorContains(t, err, c.says)
	}
	r, err := deadletter.Read(whole[3:]) // an error of which nothing is known but the record
	require.NoError(t, err)
	require.Equal(t, deadletter.Reason{Topic: "payments", Partition: 3, Offset: 1 << 40}, r)
}

// What other programs wrote into the headers is read or refused, and what is read can be
// written.
func FuzzRead(f *testing.F) {
	f.Add("payments", "3", "17", deadletter.Topic, "x")
	f.Add("", "-1", "-1", "__streams.errors.", "")
	f.Fuzz(func(t *testing.T, topic, partition, offset, key, value string) {
		hs := []kafka.Header{
			header(deadletter.Topic, topic), header(deadletter.Partition, partition), header(deadletter.Offset, offset), header(key, value),
		}
		r, err := deadletter.Read(hs)
		if err != nil {
			return
		}
		again, err := deadletter.Read(deadletter.Headers(hs, r))
		require.NoError(t, err)
		require.Equal(t, r.Topic, again.Topic)
		require.Equal(t, r.Partition, again.Partition)
		require.Equal(t, r.Offset, again.Offset)
	})
}
