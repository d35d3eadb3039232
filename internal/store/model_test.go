package store

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// modelRow is a row of the model; a nil value is a delete.
type modelRow struct {
	value []byte
	time  int64
}

// model is what a store must look like: plain maps.
type model struct {
	spec     Spec
	rows     map[string]modelRow           // by row key, but for Versioned stores
	versions map[string]map[int64]modelRow // of Versioned stores, by key and time
	top      int64
}

func newModel(s Spec) *model {
	return &model{spec: s, rows: map[string]modelRow{}, versions: map[string]map[int64]modelRow{}, top: noTime}
}

func (m *model) clone() *model {
	c := *m
	c.rows = maps.Clone(m.rows)
	c.versions = map[string]map[int64]modelRow{}
	for k, v := range m.versions {
		c.versions[k] = maps.Clone(v)
	}
	return &c
}

func (m *model) put(key string, value []byte, time int64) (dropped bool) {
	if m.spec.Kind.Windowed() {
		start := m.spec.Kind.start([]byte(key))
		if m.top != noTime && start <= m.top-m.spec.Retention {
			return true
		}
		m.top = max(m.top, start)
	}
	m.rows[key] = modelRow{value, time}
	return false
}

func (m *model) putVersion(key string, value []byte, time int64) (latest, dropped bool) {
	if m.top != noTime && time < m.top-m.spec.History {
		return false, true
	}
	m.top = max(m.top, time)
	if m.versions[key] == nil {
		m.versions[key] = map[int64]modelRow{}
	}
	m.versions[key][time] = modelRow{value, time}
	for t := range m.versions[key] {
		if t > time {
			return false, false
		}
	}
	return true, false
}

// all are the visible rows by key.
func (m *model) all() []Row {
	var rows []Row
	for k, r := range m.rows {
		if r.value == nil {
			continue
		}
		if m.spec.Kind.Windowed() && m.spec.Kind.start([]byte(k)) <= m.top-m.spec.Retention {
			continue
		}
		rows = append(rows, Row{Key: []byte(k), Value: r.value, Time: r.time})
	}
	for k := range m.versions {
		if r, ok := m.getAt(k, math.MaxInt64); ok {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}

func (m *model) query(q Query) []Row {
	var rows []Row
	for _, r := range m.all() {
		if q.From != nil && bytes.Compare(r.Key, q.From) < 0 || q.To != nil && bytes.Compare(r.Key, q.To) > 0 {
			continue
		}
		if m.spec.Kind.Windowed() {
			start, key := m.spec.Kind.start(r.Key), unescape(m.spec.Kind.inner(r.Key))
			if start < q.Start || start > q.End || q.Key != nil && !bytes.Equal(key, q.Key) {
				continue
			}
		}
		rows = append(rows, r)
	}
	if q.ByTime {
		behind := timeLen + m.spec.Kind.tail() // what orders rows after their key
		slices.SortStableFunc(rows, func(a, b Row) int {
			return bytes.Compare(a.Key[len(a.Key)-behind:], b.Key[len(b.Key)-behind:])
		})
	}
	if q.Backward {
		slices.Reverse(rows)
	}
	return rows
}

// history is every version of key with its end, oldest first, also deletes.
func (m *model) history(key string) []Row {
	times := slices.Sorted(maps.Keys(m.versions[key]))
	var rows []Row
	for i, t := range times {
		r := Row{Key: []byte(key), Value: m.versions[key][t].value, Time: t, Until: math.MaxInt64}
		if i+1 < len(times) {
			r.Until = times[i+1]
		}
		rows = append(rows, r)
	}
	return rows
}

func (m *model) getAt(key string, at int64) (Row, bool) {
	h := m.history(key)
	for i, r := range h {
		reachable := at >= m.top-m.spec.History || i == len(h)-1
		if r.Time <= at && (at < r.Until || r.Until == math.MaxInt64) && r.Value != nil && reachable {
			return r, true
		}
	}
	return Row{}, false
}

// versionsBetween asks getAt at every time where the answer can change.
func (m *model) versionsBetween(key string, from, to int64) []Row {
	times := []int64{from, to, m.top - m.spec.History}
	for _, r := range m.history(key) {
		times = append(times, r.Time)
	}
	slices.Sort(times)
	var rows []Row
	for _, at := range times {
		if at < from || at > to {
			continue
		}
		if r, ok := m.getAt(key, at); ok && (len(rows) == 0 || rows[len(rows)-1].Time != r.Time) {
			rows = append(rows, r)
		}
	}
	return rows
}

// modelRun is a store and its model under a random sequence of operations, with a
// changelog in between as a task and Kafka would have it.
type modelRun struct {
	t    *testing.T
	r    *rand.Rand
	spec Spec
	dir  string

	s                 *Store
	now, mark, stable *model // uncommitted, at the last Mark, committed
	log               []kafka.Record
	states            map[int64]*model // committed state by offset
	clock             int64
}

func newModelRun(t *testing.T, seed uint64, s Spec) *modelRun {
	m := newModel(s)
	run := &modelRun{
		t: t, r: rand.New(rand.NewPCG(seed, 1)), spec: s, dir: filepath.Join(t.TempDir(), s.Name),
		now: m.clone(), mark: m.clone(), stable: m.clone(), states: map[int64]*model{-1: m, 0: m},
	}
	run.open()
	return run
}

func (m *modelRun) open() {
	var err error
	m.s, err = Open(m.dir, m.spec, "origin", NewResources(ResourceLimits{RowCache: 8 << 10, WriteBuffers: 1 << 20}))
	require.NoError(m.t, err)
	if g, ok := m.s.engine.(*segments); ok {
		g.lag, g.young = 2000, 1500
	}
}

// key is a short random key over an alphabet with the bytes that are escaped.
func (m *modelRun) key() string {
	b := make([]byte, m.r.IntN(3))
	for i := range b {
		b[i] = []byte{0, 1, 0xFF, 'a'}[m.r.IntN(4)]
	}
	return string(b)
}

func (m *modelRun) rowKey() string {
	k := []byte(m.key())
	switch m.spec.Kind {
	case Window:
		k = AppendWindowKey(nil, k, m.time())
	case Session:
		end := m.time()
		k = AppendSessionKey(nil, k, end, end-1000*m.r.Int64N(3))
	case List:
		k = AppendListKey(nil, k, m.time(), m.r.Uint32N(3))
	}
	return string(k)
}

// time is near the clock, which goes on in leaps.
func (m *modelRun) time() int64 {
	if m.r.IntN(20) == 0 {
		m.clock += m.r.Int64N(50_000)
	}
	return m.clock - 60_000 + 2_000*m.r.Int64N(60)
}

func (m *modelRun) value() []byte {
	if m.r.IntN(5) == 0 {
		return nil
	}
	return bytes.Repeat([]byte{byte(m.r.IntN(256))}, m.r.IntN(40))
}

func (m *modelRun) step() {
	switch n := m.r.IntN(100); {
	case n < 45:
		m.put()
	case n < 70:
		m.get()
	case n < 80:
		m.scan()
	case n < 84:
		m.s.Mark()
		m.mark = m.now.clone()
	case n < 88:
		m.s.Undo()
		m.now = m.mark.clone()
	case n < 93:
		m.commit()
	case n < 95:
		m.s.Abort()
		m.now, m.mark = m.stable.clone(), m.stable.clone()
	case n < 96:
		require.NoError(m.t, m.s.Flush())
	case n < 98:
		m.reopen()
	default:
		m.crash()
	}
	require.Equal(m.t, m.now.top, m.s.top)
}

func (m *modelRun) put() {
	if m.spec.Kind == Versioned {
		k, v, at := m.key(), m.value(), m.time()
		latest, dropped, err := m.s.PutVersion([]byte(k), v, at)
		require.NoError(m.t, err)
		wantLatest, wantDropped := m.now.putVersion(k, v, at)
		require.Equal(m.t, []bool{wantLatest, wantDropped}, []bool{latest, dropped}, "PutVersion(%q, %d)", k, at)
		return
	}
	k, v, at := m.rowKey(), m.value(), m.r.Int64N(1000)
	dropped, err := m.s.Put([]byte(k), v, at)
	require.NoError(m.t, err)
	require.Equal(m.t, m.now.put(k, v, at), dropped, "Put(%q)", k)
}

func (m *modelRun) get() {
	if m.spec.Kind == Versioned {
		m.getVersions()
		return
	}
	k := m.rowKey()
	row, ok, err := m.s.Get([]byte(k))
	require.NoError(m.t, err)
	want := m.now.query(Query{From: []byte(k), To: []byte(k), Start: math.MinInt64, End: math.MaxInt64})
	require.Equal(m.t, len(want) == 1, ok, "Get(%q)", k)
	if ok {
		require.Equal(m.t, want[0], row)
	}
}

func (m *modelRun) getVersions() {
	k, at := m.key(), m.time()
	row, ok, err := m.s.GetAt([]byte(k), at)
	require.NoError(m.t, err)
	want, wantOK := m.now.getAt(k, at)
	require.Equal(m.t, wantOK, ok, "GetAt(%q, %d) of %v", k, at, m.now.history(k))
	require.Equal(m.t, want, row)

	to := at + m.r.Int64N(20_000)
	require.Equal(m.t, m.now.versionsBetween(k, at, to), collect(m.t, m.s.Versions([]byte(k), at, to)))

	row, ok, err = m.s.Get([]byte(k))
	require.NoError(m.t, err)
	want, wantOK = m.now.getAt(k, math.MaxInt64)
	require.Equal(m.t, wantOK, ok)
	require.Equal(m.t, want, row)
}

func (m *modelRun) scan() {
	q := Query{Start: math.MinInt64, End: math.MaxInt64, Backward: m.r.IntN(2) == 0}
	if m.r.IntN(2) == 0 {
		q.From = []byte(m.rowKey())
	}
	if m.r.IntN(2) == 0 {
		q.To = []byte(m.rowKey())
	}
	if m.spec.Kind.Windowed() {
		q.ByTime = m.r.IntN(3) == 0
		if m.r.IntN(2) == 0 {
			q.Key = []byte(m.key())
		}
		if m.r.IntN(2) == 0 {
			q.Start, q.End = m.time(), m.time()
		}
	}
	want := m.now.query(q)
	if q.Key != nil && m.s.Nothing(q.Key, q.Start, q.End) {
		require.Empty(m.t, want, "Nothing(%q, %d, %d)", q.Key, q.Start, q.End)
	}
	busy := m.r.IntN(3) == 0
	var got []Row
	for row, err := range m.s.Scan(q) {
		require.NoError(m.t, err)
		got = append(got, Row{Key: bytes.Clone(row.Key), Value: bytes.Clone(row.Value), Time: row.Time, Until: row.Until})
		switch {
		case busy && m.r.IntN(10) == 0:
			m.commit()
		case busy:
			m.put()
		}
		if m.r.IntN(100) == 0 {
			want = want[:len(got)]
			break
		}
	}
	require.Equal(m.t, want, got, "Scan(%+v)", q)
}

// commit is what a worker does: produce the changelog, then commit. Records that are not
// committed leave holes in the offsets.
func (m *modelRun) commit() {
	err := m.s.Changelog(func(key, value []byte, time int64) error {
		m.log = append(m.log, kafka.Record{Key: bytes.Clone(key), Value: bytes.Clone(value), Time: time, Offset: int64(len(m.log))})
		return nil
	})
	require.NoError(m.t, err)
	m.stable, m.mark = m.now.clone(), m.now.clone()
	m.states[int64(len(m.log))] = m.stable
	require.NoError(m.t, m.s.Commit(int64(len(m.log))))
	require.Zero(m.t, m.s.Dirty())
	require.Equal(m.t, int64(len(m.log)), m.s.Offset())
}

func (m *modelRun) reopen() {
	require.NoError(m.t, m.s.Close())
	m.open()
	if !m.spec.InMemory {
		require.Equal(m.t, int64(len(m.log)), max(0, m.s.Offset()), "a closed store is up to date")
	}
	m.restored()
}

// crash ends the store without a flush: what goleveldb has in memory is lost.
func (m *modelRun) crash() {
	require.NoError(m.t, m.s.engine.close())
	files, err := filepath.Glob(filepath.Join(m.dir, "*"+bloomSuffix))
	require.NoError(m.t, err)
	for _, f := range files {
		remove(m.t, f)
	}
	m.open()
	state := m.states[m.s.Offset()]
	require.NotNil(m.t, state, "offset %d is none of a commit", m.s.Offset())
	if m.spec.Kind == KeyValue {
		// A window store may be ahead in some segments, and a versioned store finds out
		// what is newest from what it has. Both are right once they are restored.
		require.Equal(m.t, state.all(), collect(m.t, m.s.Scan(all)), "rows after a crash")
	}
	m.restored()
}

// restored brings the store up to date from the changelog and checks it.
func (m *modelRun) restored() {
	restoreFrom(m.t, m.s, m.log, m.r)
	m.now, m.mark = m.stable.clone(), m.stable.clone()
	require.Equal(m.t, m.stable.all(), collect(m.t, m.s.Scan(all)), "rows after the restore")
	require.Equal(m.t, m.stable.top, m.s.top)
}

// restoreFrom restores a store from the log in batches of random size.
func restoreFrom(t *testing.T, s *Store, log []kafka.Record, r *rand.Rand) {
	t.Helper()
	for at := max(0, s.Offset()); at < int64(len(log)); {
		next := min(at+1+r.Int64N(100), int64(len(log)))
		require.NoError(t, s.Restore(log[at:next], next))
		at = next
	}
	require.NoError(t, s.FinishRestore())
}

func (m *modelRun) finish() {
	m.commit()
	// The changelog alone gives the same rows.
	m.dir = filepath.Join(m.t.TempDir(), "again")
	require.NoError(m.t, m.s.Close())
	m.open()
	m.restored()
	require.NoError(m.t, m.s.Destroy())
}

func modelSpecs() []Spec {
	specs := []Spec{
		{Name: "plain", Kind: KeyValue},
		{Name: "windows", Kind: Window, Retention: 180_000},
		{Name: "versions", Kind: Versioned, History: 50_000},
		{Name: "sessions", Kind: Session, Retention: 180_000},
		{Name: "lists", Kind: List, Retention: 180_000},
	}
	for _, s := range specs {
		s.InMemory = true
		specs = append(specs, s)
	}
	return specs
}

func TestModel(t *testing.T) {
	const seeds, steps = 5, 1200
	for _, spec := range modelSpecs() {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%v memory=%v seed=%d", spec.Kind, spec.InMemory, seed), func(t *testing.T) {
				t.Parallel()
				m := newModelRun(t, uint64(seed), spec)
				for range steps {
					m.step()
				}
				m.finish()
			})
		}
	}
}

// String makes a failure of a versioned model readable.
func (r modelRow) String() string {
	return strings.TrimSpace(fmt.Sprintf("%x@%d", r.value, r.time))
}
