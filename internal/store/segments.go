package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/syndtr/goleveldb/leveldb/opt"
)

// segments is the engine of a window store: one database a time bucket, which is dropped
// whole when all its rows are out of reach. That takes milliseconds where deleting the
// rows one by one takes seconds.
//
// A segment begins in memory, and gets a database when it is large, or has to be durable.
//
// # Crashes
//
// Each database has its own offset, written with its rows, and after a crash it is back
// at the offset of its last flush. The store then is at the smallest of them: reading
// the changelog again from there gives every segment what it lost, and the others rows
// they have already.
//
// A segment that gets no rows would hold the store back for ever. So the manifest notes
// of each segment up to which offset it is complete, and the offset of a segment is the
// greater of that and what its database says. It is noted
//
//   - when a segment is created: no record before has a row for it. The manifest lists
//     every segment before any database can come further: it is written when a segment is
//     created while there are databases, and before the first database is made. A segment
//     without a database is empty after a crash;
//   - when a segment is flushed: it has all rows up to the store's offset.
//
// The segment that gets most of the rows is flushed by goleveldb in the background, as
// its memory fills. The others are flushed here when they lag (see checkpoint), so that
// no more than about twice lagBytes and four write buffers are to be read again.
type segments struct {
	kind     Kind
	dir      string // empty: in memory
	store    uint64 // the manifest's id
	origin   string
	layout   string
	res      *Resources
	interval int64 // milliseconds of a bucket

	list  []*segment // by id
	last  *segment   // that the last row went to
	at    position
	stale bool // at is not in the manifest
	lag   int  // bytes between two checkpoints
	young int  // bytes that a segment may have without a database
}

type segment struct {
	segmentState
	rows  bucket
	bloom *bloom
	small bool // opened with a small write buffer

	touched bool // has rows that are not committed
	fresh   int  // bytes put since the last flush
	recent  int  // bytes put since the last checkpoint
}

const (
	minInterval = 60_000 // milliseconds
	// lagBytes is how much is written between two checkpoints.
	lagBytes = 32 * opt.MiB
	// smallBuffer is the write buffer of segments that get only stragglers.
	smallBuffer = 1 * opt.MiB

	trashPrefix = ".trash-"
	bloomSuffix = ".bloom"
)

// openSegments opens the segments that the manifest lists.
func openSegments(dir string, spec Spec, m *manifest, res *Resources) (*segments, error) {
	s := &segments{
		kind: spec.Kind, dir: dir, store: m.id, origin: m.origin, layout: m.layout, res: res,
		interval: interval(spec.Retention), at: m.base, lag: lagBytes, young: min(youngBytes, res.writeBuffer()),
	}
	if err := s.open(m.segments); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.expire(horizon(s.at.top, spec.Retention)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// interval is how long a bucket is: four are alive at a time.
func interval(retention int64) int64 { return max(retention/3, minInterval) }

func (s *segments) open(states []segmentState) error {
	if s.dir != "" {
		if err := s.removeUnlisted(states); err != nil {
			return err
		}
	}
	for i, state := range states {
		g := &segment{segmentState: state}
		s.list = append(s.list, g)
		if err := s.openSegment(g, i < len(states)-1); err != nil {
			return err
		}
		at := g.rows.position()
		if at.offset < g.durable {
			return corrupt(fmt.Errorf("segment %d is at offset %d, and was at %d before", g.id, at.offset, g.durable))
		}
		g.durable = at.offset
		s.at.top = max(s.at.top, at.top)
		if i == 0 {
			s.at.offset = math.MaxInt64
		}
		s.at.offset = min(s.at.offset, max(g.complete, at.offset))
	}
	return nil
}

// removeUnlisted deletes what a drop left behind when it was cut short.
func (s *segments) removeUnlisted(states []segmentState) error {
	listed := map[string]bool{manifestName: true, ageName: true}
	for _, g := range states {
		listed[s.name(g.id)] = true
		listed[s.name(g.id)+bloomSuffix] = true
	}
	found, err := s.res.disk.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, name := range found {
		if !listed[name] {
			if err := s.res.disk.RemoveAll(filepath.Join(s.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// openSegment opens a segment that the manifest lists. Without a database it was young.
func (s *segments) openSegment(g *segment, small bool) error {
	if s.dir != "" {
		if there, err := s.res.disk.Exists(s.path(g.id)); err != nil {
			return err
		} else if !there {
			g.rows, g.bloom = newMemory(), &bloom{room: &s.res.filters}
			return nil
		}
	}
	if err := s.openRows(g, small); err != nil || g.bloom != nil {
		return err
	}
	var err error
	if s.dir != "" {
		if g.bloom, err = takeBloom(s.res.disk, s.path(g.id)+bloomSuffix, s.bloomMark(g), &s.res.filters); err == nil {
			return nil
		}
	}
	return g.buildBloom(s.kind, &s.res.filters)
}

// openRows opens the database of a segment, or makes it.
func (s *segments) openRows(g *segment, small bool) error {
	buffer := s.res.writeBuffer()
	if small {
		buffer = min(buffer, smallBuffer)
	}
	db, err := openDatabase(s.path(g.id), owner{s.store, g.id}, buffer, s.res)
	if err != nil {
		return err
	}
	g.rows, g.small = db, small
	return nil
}

// database is the database of a segment. A young one gets it now.
func (s *segments) database(g *segment) (*database, error) {
	if db, ok := g.rows.(*database); ok {
		return db, nil
	}
	if !s.hasDatabase() {
		if err := s.writeManifest(); err != nil {
			return nil, err
		}
	}
	young := g.rows.(*memory)
	if err := s.openRows(g, g != s.list[len(s.list)-1]); err != nil {
		return nil, fmt.Errorf("make the database of segment %d: %w", g.id, err)
	}
	db := g.rows.(*database)
	return db, young.moveTo(db)
}

// hasDatabase says whether any segment has a database.
func (s *segments) hasDatabase() bool {
	return slices.ContainsFunc(s.list, func(g *segment) bool {
		_, ok := g.rows.(*database)
		return ok
	})
}

// buildBloom fills the filter from the rows of the database.
func (g *segment) buildBloom(kind Kind, r *room) error {
	g.bloom = &bloom{room: r}
	rows := g.rows.cursor(allRows)
	defer rows.close()
	for {
		ok, err := rows.next()
		if !ok || err != nil || g.bloom.blind {
			return err
		}
		g.bloom.add(kind.inner(rows.key()))
	}
}

// allRows is the span of all rows that have tagRow.
var allRows = span{lo: []byte{tagRow}, hi: []byte{tagRow + 1}, start: math.MinInt64, end: math.MaxInt64}

func (s *segments) name(id int64) string { return strconv.FormatInt(id, 10) }

func (s *segments) path(id int64) string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, s.name(id))
}

// id is the segment of the windows that begin at start.
func (s *segments) id(start int64) int64 {
	id := start / s.interval
	if start%s.interval < 0 {
		id--
	}
	return id
}

// bounds are the first and the last start of a segment.
func (s *segments) bounds(id int64) (first, last int64) {
	first, last = math.MinInt64, math.MaxInt64
	if id > s.id(math.MinInt64) {
		first = id * s.interval
	}
	if id < s.id(math.MaxInt64) {
		last = (id+1)*s.interval - 1
	}
	return first, last
}

// ids is the set of segments.
func (s *segments) ids() map[int64]bool {
	ids := map[int64]bool{}
	for _, g := range s.list {
		ids[g.id] = true
	}
	return ids
}

// find returns a segment, or nil.
func (s *segments) find(id int64) *segment {
	if s.last != nil && s.last.id == id {
		return s.last
	}
	for _, g := range s.list {
		if g.id == id {
			s.last = g
			return g
		}
	}
	return nil
}

// create makes a segment. When that fails the engine is of no use but to be closed.
func (s *segments) create(id int64) (*segment, error) {
	g := &segment{segmentState: segmentState{id: id, created: s.at.offset, complete: s.at.offset, durable: -1}, rows: newMemory(), bloom: &bloom{room: &s.res.filters}}
	i, _ := slices.BinarySearchFunc(s.list, id, func(g *segment, id int64) int {
		return int(min(max(g.id-id, -1), 1))
	})
	s.list = slices.Insert(s.list, i, g)
	if s.hasDatabase() {
		if err := s.writeManifest(); err != nil {
			return nil, fmt.Errorf("create segment %d: %w", id, err)
		}
	}
	s.last = g
	return g, nil
}

func (s *segments) position() position { return s.at }

// needed is the first changelog offset that may have a row which can still be reached.
func (s *segments) needed() int64 {
	first := s.at.offset
	for _, g := range s.list {
		first = min(first, g.created)
	}
	return first
}

func (s *segments) get(key []byte) (value []byte, time int64, ok bool, err error) {
	g := s.find(s.id(s.kind.start(key)))
	if g == nil || !g.bloom.has(s.kind.inner(key)) {
		return nil, 0, false, nil
	}
	return g.rows.get(key)
}

// mayHave says whether there may be rows of an inner key that start in [start, end].
func (s *segments) mayHave(inner []byte, start, end int64) bool {
	first, last, h := s.id(start), s.id(end), bloomHash(inner)
	for _, g := range s.list {
		if first <= g.id && g.id <= last && g.bloom.hasHash(h) {
			return true
		}
	}
	return false
}

func (s *segments) scan(q span) ([]cursor, error) {
	var cursors []cursor
	for _, g := range s.list {
		if g.id < s.id(q.start) || g.id > s.id(q.end) {
			continue
		}
		if q.inner != nil && !g.bloom.has(q.inner) {
			continue
		}
		cursors = append(cursors, g.rows.cursor(q))
	}
	return cursors, nil
}

func (s *segments) put(key, value []byte, time int64) (err error) {
	id := s.id(s.kind.start(key))
	g := s.find(id)
	if g == nil {
		if g, err = s.create(id); err != nil {
			return err
		}
	}
	g.bloom.add(s.kind.inner(key))
	g.wrote(len(key) + len(value))
	if young, ok := g.rows.(*memory); ok && young.used > s.young {
		if _, err := s.database(g); err != nil {
			return err
		}
	}
	return g.rows.put(key, value, time)
}

func (s *segments) remove(key []byte) error {
	g := s.find(s.id(s.kind.start(key)))
	if g == nil {
		return nil
	}
	g.wrote(len(key))
	return g.rows.remove(key)
}

func (g *segment) wrote(n int) {
	g.touched = true
	g.fresh += n
	g.recent += n
}

func (s *segments) commit(p position) error {
	for _, g := range s.list {
		if !g.touched {
			continue
		}
		if err := g.rows.commit(p); err != nil {
			return err
		}
		g.touched = false
	}
	s.at = p
	s.stale = true
	return nil
}

func (s *segments) maintain(horizon int64) error {
	if err := s.expire(horizon); err != nil {
		return err
	}
	written := 0
	for _, g := range s.list {
		written += g.recent
	}
	if written < s.lag || s.dir == "" {
		return nil
	}
	return s.checkpoint(written)
}

// checkpoint keeps quiet segments from holding the store back. A segment that got half
// of what was written since the last checkpoint fills its memory soon and is left to
// goleveldb.
func (s *segments) checkpoint(written int) error {
	for _, g := range s.list {
		busy := 2*g.recent >= written
		g.recent = 0
		if busy {
			continue
		}
		if err := s.settle(g); err != nil {
			return err
		}
	}
	return s.writeManifest()
}

// settle flushes a segment and notes it as complete. From now on it gets a small write
// buffer, unless it is the newest.
func (s *segments) settle(g *segment) error {
	if err := s.flushSegment(g); err != nil {
		return err
	}
	if g.small || g == s.list[len(s.list)-1] {
		return nil
	}
	if db, ok := g.rows.(*database); ok {
		g.rows = nil
		if err := db.close(); err != nil {
			return err
		}
		return s.openRows(g, true)
	}
	return nil
}

// flushSegment makes the rows of a segment durable, and notes it as complete.
func (s *segments) flushSegment(g *segment) error {
	if g.fresh > 0 {
		db, err := s.database(g)
		if err == nil {
			err = db.flush()
		}
		if err != nil {
			return err
		}
		g.fresh = 0
		g.durable = db.at.offset
	}
	g.complete = s.at.offset
	return nil
}

func (s *segments) writeManifest() error {
	if s.dir == "" {
		return nil
	}
	m := manifest{id: s.store, origin: s.origin, layout: s.layout, base: s.at}
	for _, g := range s.list {
		m.segments = append(m.segments, g.segmentState)
	}
	s.stale = false
	return m.write(s.res.disk, s.dir)
}

// expire drops the segments whose rows are all at or before horizon.
func (s *segments) expire(horizon int64) error {
	n := 0
	for n < len(s.list) && s.list[n].id < s.id(horizon+1) {
		n++
	}
	if n == 0 {
		return nil
	}
	before := s.list
	listed := s.hasDatabase()
	s.list, s.last = slices.Clone(before[n:]), nil
	// First the manifest: a database that it lists must exist.
	if listed {
		if err := s.writeManifest(); err != nil {
			s.list = before
			return err
		}
	}
	var errs []error
	for _, g := range before[:n] {
		if err := s.drop(g); err != nil {
			errs = append(errs, fmt.Errorf("drop segment %d: %w", g.id, err))
		}
	}
	return errors.Join(errs...)
}

func (s *segments) drop(g *segment) error {
	g.bloom.free()
	if err := g.rows.close(); err != nil {
		return err
	}
	if _, young := g.rows.(*memory); young || s.dir == "" {
		return nil
	}
	trash := filepath.Join(s.dir, trashPrefix+s.name(g.id))
	if err := s.res.disk.Rename(s.path(g.id), trash); err != nil {
		return err
	}
	return s.res.disk.RemoveAll(trash)
}

func (s *segments) sizes(q span) (part, whole int64, err error) {
	for _, g := range s.list {
		p, w, err := g.rows.sizes(q)
		if err != nil {
			return 0, 0, err
		}
		part += p
		whole += w
	}
	return part, whole, nil
}

func (s *segments) flush() error {
	changed := s.stale
	for _, g := range s.list {
		changed = changed || g.fresh > 0 || g.complete != s.at.offset
		if err := s.flushSegment(g); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	return s.writeManifest()
}

// bloomMark says which rows a filter is of: those of a segment at a position.
func (s *segments) bloomMark(g *segment) []byte {
	b := binary.BigEndian.AppendUint64(nil, s.store)
	b = binary.BigEndian.AppendUint64(b, uint64(g.id))
	return appendPosition(b, g.rows.position())
}

// close closes the databases. Filters of segments that are all on disk are saved.
func (s *segments) close() error {
	var errs []error
	for _, g := range s.list {
		if g.rows == nil {
			continue
		}
		errs = append(errs, g.rows.close())
		_, young := g.rows.(*memory)
		if !young && s.dir != "" && g.fresh == 0 && g.bloom != nil && !g.bloom.blind {
			errs = append(errs, g.bloom.save(s.res.disk, s.path(g.id)+bloomSuffix, s.bloomMark(g)))
		}
		g.bloom.free()
	}
	s.list, s.last = nil, nil
	return errors.Join(errs...)
}
