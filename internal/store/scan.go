package store

import (
	"bytes"
	"iter"
	"maps"
	"math"
	"slices"
)

// all is the Query of all rows of any store.
var all = Query{Start: math.MinInt64, End: math.MaxInt64}

// Scan yields rows in the order of their keys, as they are when it begins: also the
// uncommitted ones, and whatever is written while it goes on. The slices of a row are
// valid until the next one. A failure is yielded once, last. In a Versioned store the
// rows are the newest versions.
func (s *Store) Scan(q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if s.dead != nil {
			yield(Row{}, s.dead)
			return
		}
		s.scans++
		defer func() { s.scans-- }()
		var err error
		if s.spec.Kind.Windowed() && q.ByTime {
			err = s.scanByTime(q, yield)
		} else {
			err = s.scanSpan(s.span(q), yield)
		}
		if err != nil {
			yield(Row{}, s.fail("scan", err))
		}
	}
}

// Nothing says whether a Scan of one key of a window store would certainly yield nothing. It
// reads nothing and allocates nothing: of a key that was never seen, which is what most of
// those are that somebody asks for, a filter in memory knows.
func (s *Store) Nothing(key []byte, start, end int64) bool {
	g, ok := s.engine.(*segments)
	if !ok || s.dead != nil {
		return false
	}
	s.key = appendEscaped(append(s.key[:0], tagRow), key)
	return s.dirty.findInner(s.hashing.of(s.key), s.key) == nil && !g.mayHave(s.key, start, end)
}

// span is the range of tagged keys that a query reads.
func (s *Store) span(q Query) span {
	p := span{lo: allRows.lo, hi: allRows.hi, backward: q.Backward, start: math.MinInt64, end: math.MaxInt64}
	if q.From != nil {
		p.lo = append([]byte{tagRow}, q.From...)
	}
	if q.To != nil {
		p.hi = append([]byte{tagRow}, q.To...)
	}
	if !s.spec.Kind.Windowed() {
		return p
	}
	p.start, p.end = q.Start, q.End
	if h := s.horizon(); h != noTime {
		p.start = max(p.start, h+1)
	}
	if q.Key != nil {
		p.only(q.Key, s.spec.Kind.tail())
	}
	return p
}

// only narrows a span down to the rows of one key.
func (p *span) only(key []byte, tail int) {
	b := make([]byte, 0, 2*(len(key)+4+timeLen)+tail) // for both bounds
	b = appendEscaped(append(b, tagRow), key)
	n := len(b)
	b = appendTime(b, p.start)
	lo := b[:len(b):len(b)]
	hi := appendTime(append(b[len(b):], b[:n]...), p.end)
	for range tail {
		hi = append(hi, 0xFF)
	}
	p.inner = lo[:n:n]
	if bytes.Compare(lo, p.lo) > 0 {
		p.lo = lo
	}
	if bytes.Compare(hi, p.hi) < 0 {
		p.hi = hi
	}
}

// cursor walks through the rows of a span in all layers. Deletes of uncommitted rows
// are among them.
func (s *Store) cursor(p span) (*merged, error) {
	committed, err := s.engine.scan(p)
	if err != nil {
		return nil, err
	}
	return merge(p.backward, append([]cursor{s.dirty.scan(p)}, committed...)...)
}

// scanSpan yields the rows of a span.
func (s *Store) scanSpan(p span, yield func(Row, error) bool) error {
	if p.empty() {
		return nil
	}
	c, err := s.cursor(p)
	if err != nil {
		return err
	}
	defer c.close()
	return s.drain(c, p, yield)
}

// drain yields the rows of a cursor until it ends or the loop is left.
func (s *Store) drain(c cursor, p span, yield func(Row, error) bool) error {
	for {
		ok, err := c.next()
		if err != nil || !ok {
			return err
		}
		row, ok := s.row(c, p)
		if ok && !yield(row, nil) {
			return nil
		}
	}
}

// row is the row that a cursor stands on, unless it does not belong to the answer.
func (s *Store) row(c cursor, p span) (Row, bool) {
	key := c.key()
	if s.spec.Kind.Windowed() && !p.has(s.spec.Kind.start(key)) {
		return Row{}, false
	}
	value, time, ok := c.row()
	if !ok {
		return Row{}, false
	}
	row := Row{Key: key[1:], Value: value, Time: time}
	if s.spec.Kind == Versioned {
		row.Until = newest
		row.Value = value[1:]
		return row, value[0] == versionValue
	}
	return row, true
}

// scanByTime yields rows by start and then by key: bucket by bucket, since buckets are
// ordered by time, and sorted within each.
func (s *Store) scanByTime(q Query, yield func(Row, error) bool) error {
	p := s.span(q)
	p.backward = false
	if p.empty() {
		return nil
	}
	var cursors []*merged // all begin now, so that all see the same rows
	defer func() {
		for _, c := range cursors {
			c.close()
		}
	}()
	spans := s.bucketSpans(p)
	if q.Backward {
		slices.Reverse(spans)
	}
	for _, p := range spans {
		c, err := s.cursor(p)
		if err != nil {
			return err
		}
		cursors = append(cursors, c)
	}
	for i, p := range spans {
		rows, err := s.byTime(cursors[i], p)
		if err != nil {
			return err
		}
		if q.Backward {
			slices.Reverse(rows)
		}
		for _, r := range rows {
			if !yield(r, nil) {
				return nil
			}
		}
	}
	return nil
}

// byTime returns copies of the rows of a cursor, by start and then by key.
func (s *Store) byTime(c cursor, p span) ([]Row, error) {
	var rows []Row
	err := s.drain(c, p, func(r Row, _ error) bool {
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		rows = append(rows, r)
		return true
	})
	times := timeLen + s.spec.Kind.tail()
	slices.SortStableFunc(rows, func(a, b Row) int { // they come by key
		return bytes.Compare(a.Key[len(a.Key)-times:], b.Key[len(b.Key)-times:])
	})
	return rows, err
}

// bucketSpans cuts a span into those of the time buckets that hold rows, by time.
func (s *Store) bucketSpans(p span) []span {
	g := s.engine.(*segments)
	ids := g.ids()
	for i := range s.dirty.entries {
		ids[g.id(g.kind.start(s.dirty.key(int32(i))))] = true
	}
	var spans []span
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		part := p
		first, last := g.bounds(id)
		part.start, part.end = max(p.start, first), min(p.end, last)
		if !part.empty() {
			spans = append(spans, part)
		}
	}
	return spans
}
