package plan

import (
	"context"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/store"
)

// Meta travels with a record from node to node. A node that changes it passes on a copy.
type Meta struct {
	Time    int64 // event time, ms
	Headers []kafka.Header
	NoKey   bool // the key is null
}

// UnansweredError says that the cluster could not be asked about what a record needs. That
// is no fault of the record.
type UnansweredError struct{ Err error }

func (e *UnansweredError) Error() string { return e.Err.Error() }

func (e *UnansweredError) Unwrap() error { return e.Err }

// Input is a wired source.
type Input struct {
	// Time is the event time of a record, given the greatest so far of its partition (-1
	// before the first). Without ok the record is dropped. Nil: the record's own time.
	Time func(r *kafka.Record, partition int64) (ms int64, ok bool, err error)
	// Process takes a record through the graph. It is called for the record that Time was
	// last called with.
	Process func(r *kafka.Record, ms int64) error
}

// Drop is a reason to leave a record out.
type Drop int

// The reasons.
const (
	NullKey Drop = iota
	NullValue
	Late
	NoTime
	BadRecord
	drops
)

// String is the reason as metrics and logs name it.
func (d Drop) String() string {
	return [...]string{"null-key", "null-value", "late", "no-time", "bad-record"}[d]
}

// Context is what the nodes of one task share. It belongs to the task's goroutine.
type Context struct {
	Task         TaskID
	Context      context.Context                   // ends when the task does
	Stores       []*store.Store                    // by slot
	Globals      []*GlobalRows                     // by number
	Cache        *Cache                            // nil: every change is sent at once
	Partitions   func(sink int) int32              // how many partitions the topic of an output slot has
	PartitionsOf func(topic string) (int32, error) // the same for a topic that a record names; it may ask the cluster
	Fits         func(Out) error                   // why Kafka will not take an unusual record; nil: it takes all
	Inputs       []Input                           // by slot; filled by Wire
	Topics       []string                          // by input slot: the topics' names in Kafka
	Out          Output                            // what the nodes sent
	Record       struct {
		Input  int
		Offset int64
	} // the record in hand; Input is -1 in a schedule
	Node int // the node at work, for errors

	StreamTime int64 // greatest event time of the task, -1 at first
	WallTime   int64

	Repeats bool // what was processed before a crash may come again, and find a part of what it did
	Again   bool // the records in hand may be such ones: what they made before may be with others

	CommitAsked bool // a processor asked for a commit soon

	dropped   [drops]int64
	clocks    []*Clock
	saved     []int64 // clocks at the mark
	savedTime int64
	schedules []*schedule
	cleanups  []func() error
	undo      []func()
}

// Clock is the greatest event time that one operator has seen, -1 at first. It is
// committed with the offsets and so survives restarts.
type Clock struct {
	Name string
	Time int64
	memo bool
}

// Advance moves the clock to t, unless it is there already.
func (c *Clock) Advance(t int64) {
	if t > c.Time {
		c.Time = t
	}
}

// Clock is an operator's clock, made when it is first asked for. The name must be that of
// state which belongs to the operator, or begin with such a name and a '/', which no store's
// name has.
func (c *Context) Clock(name string) *Clock {
	return c.clock(name, false)
}

// Memo is a number that the operators of some state remember together, and that Undo takes
// back. It is not committed: it begins at -1 wherever the task starts.
func (c *Context) Memo(name string) *Clock {
	return c.clock(name, true)
}

func (c *Context) clock(name string, memo bool) *Clock {
	for _, k := range c.clocks {
		if k.Name == name && k.memo == memo {
			return k
		}
	}
	k := &Clock{Name: name, Time: -1, memo: memo}
	c.clocks = append(c.clocks, k)
	return k
}

// Clocks are the times of all clocks by name, the task's own left out.
func (c *Context) Clocks() map[string]int64 {
	m := make(map[string]int64, len(c.clocks))
	for _, k := range c.clocks {
		if !k.memo {
			m[k.Name] = k.Time
		}
	}
	return m
}

// SetClocks sets clocks to what Clocks gave before. Names that are gone are ignored.
func (c *Context) SetClocks(m map[string]int64) {
	for _, k := range c.clocks {
		if t, ok := m[k.Name]; ok && !k.memo {
			k.Advance(t)
		}
	}
}

// Drop counts a record that is left out.
func (c *Context) Drop(why Drop) { c.dropped[why]++ }

// Dropped is how many records were left out, by reason; reasons without any are absent.
func (c *Context) Dropped() map[Drop]int64 {
	m := map[Drop]int64{}
	for d, n := range c.dropped {
		if n > 0 {
			m[Drop(d)] = n
		}
	}
	return m
}

// Cleanup calls f when the task ends; of several, the last added first.
func (c *Context) Cleanup(f func() error) { c.cleanups = append(c.cleanups, f) }

// Close runs the cleanups and returns their errors.
func (c *Context) Close() (errs []error) {
	for i := len(c.cleanups) - 1; i >= 0; i-- {
		if err := c.cleanups[i](); err != nil {
			errs = append(errs, err)
		}
	}
	c.cleanups = nil
	return errs
}

// Mark begins a record: Undo takes back what happens from here on.
func (c *Context) Mark() {
	for _, s := range c.Stores {
		s.Mark()
	}
	c.Out.mark()
	if c.Cache != nil {
		for _, h := range c.Cache.held {
			h.Mark()
		}
	}
	c.savedTime = c.StreamTime
	c.saved = c.saved[:0]
	for _, k := range c.clocks {
		c.saved = append(c.saved, k.Time)
	}
	c.undo = c.undo[:0]
}

// Undo takes back everything since Mark: writes, records sent, times and schedules.
func (c *Context) Undo() {
	for _, s := range c.Stores {
		s.Undo()
	}
	c.Out.undo()
	if c.Cache != nil {
		for _, h := range c.Cache.held {
			h.Undo()
		}
	}
	c.StreamTime = c.savedTime
	for i, t := range c.saved {
		c.clocks[i].Time = t
	}
	for i := len(c.undo) - 1; i >= 0; i-- {
		c.undo[i]()
	}
	c.undo = c.undo[:0]
}
