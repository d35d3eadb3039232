package sim

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// verdict is what became of a transaction in one partition: open until its marker is there.
type verdict struct {
	first              int64 // offset
	committed, aborted bool
}

// entry is one offset of a log.
type entry struct {
	kafka.Record
	marker  bool
	verdict *verdict // nil: of no transaction
}

func (e *entry) aborted() bool { return e.verdict != nil && e.verdict.aborted }

// partition is a log. Offsets that compaction took out are missing in entries.
type partition struct {
	at         kafka.Partition
	compacted  bool
	entries    []entry
	start, end int64
	open       map[int64]*verdict // transactions, by producer id
	epochs     map[int64]int16    // the greatest one seen of each producer id
}

func newPartition(at kafka.Partition, compacted bool) *partition {
	return &partition{at: at, compacted: compacted, open: map[int64]*verdict{}, epochs: map[int64]int16{}}
}

// append writes records; a transaction's stay hidden until mark. The bytes are copied.
func (p *partition) append(rs []kafka.Record, producer int64, transaction bool) {
	var v *verdict
	if transaction {
		if v = p.open[producer]; v == nil {
			v = &verdict{first: p.end}
			p.open[producer] = v
		}
	}
	for _, r := range rs {
		r.Key, r.Value, r.Offset = bytes.Clone(r.Key), bytes.Clone(r.Value), p.end
		p.entries = append(p.entries, entry{Record: r, verdict: v})
		p.end++
	}
}

// mark ends a transaction.
func (p *partition) mark(producer int64, epoch int16, commit bool) {
	p.epochs[producer] = max(p.epochs[producer], epoch)
	v := p.open[producer]
	if v != nil {
		v.committed, v.aborted = commit, !commit
		delete(p.open, producer)
	}
	p.entries = append(p.entries, entry{Record: kafka.Record{Offset: p.end}, marker: true, verdict: v})
	p.end++
}

// stable is the last stable offset: that of the first open transaction, or the end.
func (p *partition) stable() int64 {
	end := p.end
	for _, v := range p.open {
		end = min(end, v.first)
	}
	return end
}

func (p *partition) readable(committed bool) int64 {
	if committed {
		return p.stable()
	}
	return p.end
}

// read returns up to limit records from an offset on, and the position after them.
func (p *partition) read(from int64, limit int, committed bool) (rs []kafka.Record, next int64) {
	end := p.readable(committed)
	i, _ := slices.BinarySearchFunc(p.entries, from, func(e entry, at int64) int { return cmp.Compare(e.Offset, at) })
	next = from
	for ; i < len(p.entries) && p.entries[i].Offset < end; i++ {
		e := &p.entries[i]
		if len(rs) == limit {
			return rs, next
		}
		next = e.Offset + 1
		if !e.marker && !(committed && e.aborted()) {
			rs = append(rs, e.Record)
		}
	}
	return rs, max(next, end)
}

// all are the records that a reader of committed ones sees.
func (p *partition) all() []kafka.Record {
	rs, _ := p.read(p.start, 1<<30, true)
	return rs
}

// delete drops what is before an offset.
func (p *partition) delete(before int64) {
	p.start = max(p.start, min(before, p.end))
	p.entries = slices.DeleteFunc(p.entries, func(e entry) bool { return e.Offset < p.start })
}

// compact keeps the last record of each key, of what is decided, but for the tail, which is
// the segment that is written to. Aborted records go, and then their markers; deletes go
// when the broker has kept them for a day (delete.retention.ms).
func (p *partition) compact(tail int, deletes bool) {
	end := p.stable()
	if n := len(p.entries); n > tail {
		end = min(end, p.entries[n-tail-1].Offset+1)
	}
	last := map[string]int64{}
	for _, e := range p.entries {
		if e.Offset < p.stable() && !e.marker && !e.aborted() {
			last[string(e.Key)] = e.Offset
		}
	}
	used := map[*verdict]bool{}
	keep := func(e entry) bool {
		return e.Offset >= end || !e.marker && !e.aborted() && last[string(e.Key)] == e.Offset && !(deletes && e.Value == nil)
	}
	for _, e := range p.entries {
		if !e.marker && keep(e) {
			used[e.verdict] = true
		}
	}
	p.entries = slices.DeleteFunc(p.entries, func(e entry) bool {
		return !keep(e) && !(e.marker && e.verdict != nil && used[e.verdict])
	})
}
