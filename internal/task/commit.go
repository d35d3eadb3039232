package task

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
)

// Flush sends what waits in the record cache. It comes before the last Output of a commit.
// What fails belongs to no record, and leaves the task broken.
func (t *Task) Flush() (err error) {
	if t.ctx.Cache == nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = panicked(r)
		}
		if err != nil {
			err = &Error{Task: t.c.ID, Node: t.c.Plan.Nodes[t.ctx.Node].String(), Err: err, Broken: true}
		}
	}()
	t.ctx.Record.Input = -1
	return t.ctx.Cache.Flush()
}

// Output is what the task sent and nobody has taken yet, in order. The bytes of its
// records stay as they are until Committed.
func (t *Task) Output() []plan.Out { return t.ctx.Out.Records }

// Taken says that the output was taken.
func (t *Task) Taken() { t.ctx.Out.Drained() }

// Changelogs are the slots of the stores that have a changelog of their own, in the order in
// which these are to be written where a crash may come in between: last those of the first
// nodes. So what a store has of a record is there only if what came of it is.
func (t *Task) Changelogs() []int { return t.changelogs }

func changelogs(p *plan.Subtopology) (slots []int) {
	for i, st := range p.Stores {
		if !st.NoChangelog && st.Source < 0 {
			slots = append(slots, i)
		}
	}
	slices.SortStableFunc(slots, func(a, b int) int { return cmp.Compare(p.Stores[b].Node, p.Stores[a].Node) })
	return slots
}

// Changelog gives every row of a store that changed since the last commit, once, for its
// changelog. Bytes stay until Committed.
func (t *Task) Changelog(slot int, emit func(key, value []byte, ms int64) error) error {
	return t.c.Stores[slot].Changelog(emit)
}

// Changed says whether there is anything to commit.
func (t *Task) Changed() bool { return t.changed }

// CommitAsked says whether a processor asked for a commit since the last one.
func (t *Task) CommitAsked() bool { return t.ctx.CommitAsked }

// Uncommitted is how many bytes wait to be committed, in the stores and of what was sent.
func (t *Task) Uncommitted() (n int) {
	n = t.ctx.Out.Size()
	for _, s := range t.c.Stores {
		n += s.Dirty()
	}
	return n
}

// Offsets is the position of every input, with the times that a successor needs.
func (t *Task) Offsets() map[kafka.Partition]kafka.Offset {
	clocks := t.ctx.Clocks()
	m := make(map[kafka.Partition]kafka.Offset, len(t.inputs))
	for i := range t.inputs {
		if in := &t.inputs[i]; !in.gone && in.next >= 0 {
			m[in.partition] = kafka.Offset{At: in.next, Metadata: encodeMetadata(metadata{in.time, in.topic, clocks})}
		}
	}
	return m
}

// Committed moves the stores to what was committed: the changelog position of each store
// after the commit, or -1 where nothing was written to it.
func (t *Task) Committed(changelog func(slot int) int64) error {
	for i, s := range t.c.Stores {
		offset := int64(-1)
		switch st := t.c.Plan.Stores[i]; {
		case st.NoChangelog:
		case st.Source >= 0:
			offset = t.inputs[st.Source].next
		default:
			offset = changelog(i)
		}
		if err := s.Commit(offset); err != nil {
			return err
		}
	}
	t.ctx.Out.Reset()
	t.changed, t.ctx.CommitAsked = false, false
	return nil
}

// Close ends the task: processors clean up, batches are given back, and what was not
// committed is dropped. The stores stay open.
func (t *Task) Close() []error {
	for i := range t.inputs {
		for _, b := range t.inputs[i].queue {
			t.c.Release(i, b)
		}
		t.inputs[i].queue = nil
	}
	for _, s := range t.c.Stores {
		s.Abort()
	}
	t.ctx.Out.Reset()
	return t.ctx.Close()
}

// NextWall is when the next wall-clock schedule is due, or a record is to be tried again;
// -1 without any.
func (t *Task) NextWall() int64 {
	next := t.ctx.NextWall()
	if t.retry.attempts > 0 && (next < 0 || t.retry.at < next) {
		return t.retry.at
	}
	return next
}

// Records is how many records the task has processed.
func (t *Task) Records() int64 { return t.records }

// Dropped is how many records were left out, by reason.
func (t *Task) Dropped() map[plan.Drop]int64 { return t.ctx.Dropped() }

// metadata is committed beside an offset, in Kafka Streams' format: base64 of a version,
// the partition's time, and named times of operators. One of the names tells which topic it
// was: an offset says nothing of another one of the same name.
type metadata struct {
	partition int64
	topic     int64 // made of its id; 0: not known
	clocks    map[string]int64
}

// topicName is the name under which the topic is kept. No operator has it.
const topicName = "topic id"

// TopicOf is the number that stands for a topic's id; 0 for "".
func TopicOf(id string) int64 {
	if id == "" {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	return int64(h.Sum64() | 1)
}

// CommittedOf is the topic that an offset was committed for, as TopicOf gives it; 0: nobody
// has said.
func CommittedOf(o kafka.Offset) int64 { return decodeMetadata(o.Metadata).topic }

const metadataVersion = 2

func encodeMetadata(m metadata) string {
	b := []byte{metadataVersion}
	b = binary.BigEndian.AppendUint64(b, uint64(m.partition))
	n := len(m.clocks)
	if m.topic != 0 {
		n++
	}
	if n > 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	add := func(k string, v int64) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(k)))
		b = append(b, k...)
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	for _, k := range slices.Sorted(maps.Keys(m.clocks)) {
		add(k, m.clocks[k])
	}
	if m.topic != 0 {
		add(topicName, m.topic)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// decodeMetadata reads metadata; what it cannot read says nothing.
func decodeMetadata(s string) metadata {
	m := metadata{partition: -1}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) < 9 || b[0] < 1 || b[0] > metadataVersion {
		return m
	}
	m.partition = int64(binary.BigEndian.Uint64(b[1:]))
	if b[0] == 1 || len(b) < 13 {
		return m
	}
	n, b := binary.BigEndian.Uint32(b[9:]), b[13:]
	m.clocks = map[string]int64{}
	for ; n > 0 && len(b) >= 4; n-- {
		size := uint64(binary.BigEndian.Uint32(b))
		if uint64(len(b)) < 4+size+8 {
			return m
		}
		if k, v := string(b[4:4+size]), int64(binary.BigEndian.Uint64(b[4+size:])); k == topicName {
			m.topic = v
		} else {
			m.clocks[k] = v
		}
		b = b[4+size+8:]
	}
	return m
}
