// Package deadletter says why a record was put aside, in headers, as Kafka Streams does
// since KIP-1034: its tools read what is written here, and this reads what it wrote.
//
// A dead letter has the key, the value, the headers and the time of the record as it was
// read. The reason comes behind the record's own headers.
package deadletter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// The headers of a reason, all text. Numbers are in decimal digits.
const (
	Exception = "__streams.errors.exception"
	Message   = "__streams.errors.message"
	Stack     = "__streams.errors.stacktrace"
	Topic     = "__streams.errors.topic"
	Partition = "__streams.errors.partition"
	Offset    = "__streams.errors.offset"
)

const prefix = "__streams.errors."

// maxText is how much of a text is kept: an error may quote the whole record, which may be
// as large as Kafka allows.
const maxText = 4 << 10

// Reason says which record is bad, and why.
type Reason struct {
	Topic     string // where it was read
	Partition int32
	Offset    int64
	Exception string // type and message of the error
	Message   string // of the error
	Stack     string // the step that failed, and the stack of a panic
}

// Headers are those of a dead letter: the record's own and the reason. A reason that the
// record had before, as a dead letter that was read again and was bad again, is replaced.
func Headers(own []kafka.Header, r Reason) []kafka.Header {
	return append(Own(own),
		kafka.Header{Key: Exception, Value: text(r.Exception)},
		kafka.Header{Key: Message, Value: text(r.Message)},
		kafka.Header{Key: Stack, Value: text(r.Stack)},
		kafka.Header{Key: Topic, Value: []byte(r.Topic)},
		kafka.Header{Key: Partition, Value: strconv.AppendInt(nil, int64(r.Partition), 10)},
		kafka.Header{Key: Offset, Value: strconv.AppendInt(nil, r.Offset, 10)},
	)
}

// text keeps the beginning of a long text, cut between two characters.
func text(s string) []byte {
	if len(s) <= maxText {
		return []byte(s)
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return []byte(s[:n] + "…")
}

// Own are the headers that a dead letter had before it became one: what to send it again
// with. They are a copy, with room for a reason.
func Own(headers []kafka.Header) []kafka.Header {
	own := make([]kafka.Header, 0, len(headers)+6)
	for _, h := range headers {
		if !strings.HasPrefix(h.Key, prefix) {
			own = append(own, h)
		}
	}
	return own
}

// Read finds the reason among a record's headers. Without a topic, a partition and an
// offset, or if they are no numbers, the record is no dead letter, which is an error that
// says what is missing. Of a header that is there twice the last one counts, as in Kafka.
func Read(headers []kafka.Header) (r Reason, err error) {
	value := func(name string) string {
		for _, h := range slices.Backward(headers) {
			if h.Key == name {
				return string(h.Value)
			}
		}
		if err == nil && (name == Topic || name == Partition || name == Offset) {
			err = fmt.Errorf("no dead letter: it has no header %s", name)
		}
		return ""
	}
	number := func(name string, bits int) int64 {
		n, bad := strconv.ParseInt(value(name), 10, bits)
		if err == nil && bad != nil {
			err = fmt.Errorf("no dead letter: header %s: %w", name, bad)
		}
		return n
	}
	r = Reason{Topic: value(Topic), Partition: int32(number(Partition, 32)), Offset: number(Offset, 64)}
	r.Exception, r.Message, r.Stack = value(Exception), value(Message), value(Stack)
	if err != nil {
		return Reason{}, err
	}
	return r, nil
}
