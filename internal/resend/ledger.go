package resend

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// Group is the consumer group whose offsets say which dead letters of a topic were sent
// again. Kafka forgets them when nothing was sent again for offsets.retention.minutes, a
// week by default.
func Group(topic string) string { return topic + "-resent" }

// Ledger knows which dead letters of a topic were sent again. The zero Ledger: none.
type Ledger struct {
	topicID string
	sent    map[kafka.Partition]spans
}

// spans are offsets that were sent again: all before one, and some after it.
type spans struct {
	before int64
	also   [][2]int64 // first and last, in order, apart from each other
}

// note is what is written beside a committed offset.
type note struct {
	Topic string     `json:"topic"` // its id: another topic of the same name has other letters
	Also  [][2]int64 `json:"also,omitempty"`
}

// maxNote is how long a note may be: Kafka takes 4096 bytes, unless it is told otherwise.
const maxNote = 4000

// ReadLedger reads what Kafka knows of a topic's dead letters.
func ReadLedger(ctx context.Context, c *broker.Client, ps []kafka.Partition) (*Ledger, error) {
	l := &Ledger{sent: map[kafka.Partition]spans{}}
	if len(ps) == 0 {
		return l, nil
	}
	topic := ps[0].Topic
	found, err := c.Topics(ctx, topic)
	if err != nil {
		return nil, err
	}
	l.topicID = found[topic].ID
	committed, err := c.Committed(ctx, Group(topic), ps)
	if err != nil {
		return nil, err
	}
	for p, o := range committed {
		var n note
		if err := json.Unmarshal([]byte(o.Metadata), &n); err != nil {
			return nil, fmt.Errorf("group %s, partition %s: the offset's metadata %q is not what this tool writes: another consumer uses the group; delete it, and all letters count as not sent again: %w", Group(topic), p, o.Metadata, err)
		}
		if n.Topic == l.topicID {
			l.sent[p] = spans{o.At, n.Also}
		}
	}
	return l, nil
}

// Sent says whether a letter was sent again.
func (l *Ledger) Sent(p kafka.Partition, offset int64) bool {
	s := l.sent[p]
	return offset < s.before || slices.ContainsFunc(s.also, func(a [2]int64) bool { return a[0] <= offset && offset <= a[1] })
}

// Before is the offset before which all letters of a partition were sent again.
func (l *Ledger) Before(p kafka.Partition) int64 { return l.sent[p].before }

// with is the offset to commit when some more letters of a partition are sent again, whose
// topic begins at start: what lies before has gone.
func (l *Ledger) with(p kafka.Partition, start int64, more [][2]int64) (kafka.Offset, spans, error) {
	s := spans{max(l.sent[p].before, start), slices.Concat(l.sent[p].also, more)}
	s.join()
	text, err := json.Marshal(note{l.topicID, s.also})
	if err != nil {
		return kafka.Offset{}, s, err
	}
	if len(text) > maxNote {
		return kafka.Offset{}, s, fmt.Errorf("%s: too many letters that lie apart were sent again for Kafka to remember: send the earlier ones again as well, or drop them", p)
	}
	return kafka.Offset{At: s.before, Metadata: string(text)}, s, nil
}

// join makes as few spans as there can be.
func (s *spans) join() {
	slices.SortFunc(s.also, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	var out [][2]int64
	for _, a := range s.also {
		switch n := len(out); {
		case a[0] <= s.before:
			s.before = max(s.before, a[1]+1)
		case n > 0 && a[0] <= out[n-1][1]+1:
			out[n-1][1] = max(out[n-1][1], a[1])
		default:
			out = append(out, a)
		}
	}
	s.also = out
}
