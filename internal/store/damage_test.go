package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"
)

var (
	damageSeed  = flag.Uint64("damage.seed", 0, "first seed of the random damages; 0: another one each time")
	damageCases = flag.Int("damage.cases", 30, "random damages of each kind of store")
)

// TestRandomDamage damages files of stores at random, in several ways at once, some while
// the store is open. Whatever it is, a store must say that it is corrupt, or begin anew, or
// hold what it held at its offset. A seed damages the same again, but for files of an open
// store, which goleveldb merges and deletes in its own time.
func TestRandomDamage(t *testing.T) {
	first := *damageSeed
	if first == 0 {
		first = rand.Uint64N(1 << 32)
	}
	t.Logf("-damage.seed %d -damage.cases %d", first, *damageCases)
	for _, spec := range crashSpecs() {
		t.Run(spec.Kind.String(), func(t *testing.T) {
			t.Parallel()
			whole, end := filepath.Join(t.TempDir(), "whole"), int64(4000)
			buildForDamage(t, whole, spec, end)
			outcomes := map[string]int{}
			for seed := first; seed < first+uint64(*damageCases); seed++ {
				dir := filepath.Join(t.TempDir(), "case")
				outcome, err := damageOnce(t, whole, dir, spec, end, seed)
				require.NoError(t, err, "-damage.seed %d -damage.cases 1", seed)
				outcomes[outcome]++
				require.NoError(t, os.RemoveAll(dir))
			}
			t.Log(outcomes)
			require.NotZero(t, outcomes["wiped"]+outcomes["corrupt"])
		})
	}
}

// buildForDamage makes a store of several tables and, of a window store, segments: always the
// same files, since nothing is merged in the background.
func buildForDamage(t *testing.T, dir string, spec Spec, end int64) {
	s, err := Open(dir, spec, "origin", NewResources(ResourceLimits{WriteBuffers: 1, Level0: 1 << 20}))
	require.NoError(t, err)
	if g, ok := s.engine.(*segments); ok {
		g.young, g.lag = 10_000, 100_000
	}
	for i := range end {
		require.NoError(t, putCounter(s, i))
		if i%500 == 499 {
			require.NoError(t, s.Commit(i+1))
			require.NoError(t, s.Flush())
		}
		if d, ok := s.engine.(*database); ok && i == end/2 { // tables of two levels
			require.NoError(t, d.db.CompactRange(util.Range{}))
		}
	}
	require.NoError(t, s.Close())
}

// damageOnce damages a copy of a store and says what came of it.
func damageOnce(t *testing.T, whole, dir string, spec Spec, end int64, seed uint64) (outcome string, err error) {
	r := rand.New(rand.NewPCG(seed, 7))
	require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
	live := r.IntN(4) == 0
	damage := func() {
		for range 1 + r.IntN(3) {
			t.Log(seed, damageAny(t, r, dir))
		}
	}
	if !live {
		damage()
	}
	s, err := Open(dir, spec, "origin", NewResources(ResourceLimits{WriteBuffers: 1}))
	if err != nil {
		return "", fmt.Errorf("open must wipe the store instead: %w", err)
	}
	defer func() { err = errors.Join(err, s.Destroy()) }()
	if live {
		damage()
	}
	found := s.Offset()
	err = useDamaged(s, end, r.IntN(3))
	var c *CorruptError
	switch {
	case errors.As(err, &c):
		return "corrupt", nil
	case err != nil:
		return "", err
	case found == end:
		return "intact", nil
	case found < 0:
		return "wiped", nil
	}
	return "older", nil
}

// useDamaged reads, restores, writes and flushes: each may find damage, none may give
// anything else than what was written.
func useDamaged(s *Store, end int64, more int) error {
	found := s.Offset()
	if err := checkCounters(s, found, found); err != nil {
		return err
	}
	for i := max(0, found); i < end; i++ {
		if err := s.Restore(records(s.spec, i, i+1), i+1); err != nil {
			return err
		}
	}
	if err := s.FinishRestore(); err != nil {
		return err
	}
	for range more {
		for range 500 {
			if err := putCounter(s, end); err != nil {
				return err
			}
			end++
		}
		if err := s.Commit(end); err != nil {
			return err
		}
		if err := s.Flush(); err != nil {
			return err
		}
	}
	return checkCounters(s, end, end)
}

// damageAny does something to a file, or to two, and says what.
func damageAny(t *testing.T, r *rand.Rand, dir string) string {
	files := filesOf(t, dir)
	if len(files) == 0 {
		return "nothing left"
	}
	name := files[r.IntN(len(files))]
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return name + " is gone: the open store has merged it meanwhile"
	}
	require.NoError(t, err)
	n := len(b)
	switch kind := r.IntN(9); {
	case kind == 0:
		remains(t, os.Remove(path))
		return "delete " + name
	case kind == 1:
		to := r.IntN(n + 1)
		remains(t, os.Truncate(path, int64(to)))
		return fmt.Sprintf("cut %s at %d", name, to)
	case kind == 2:
		other := files[r.IntN(len(files))]
		swapFiles(t, path, filepath.Join(dir, other))
		return fmt.Sprintf("swap %s and %s", name, other)
	case kind == 3: // more likely to be believed
		other := alike(r, files, name)
		swapFiles(t, path, filepath.Join(dir, other))
		return fmt.Sprintf("swap %s and %s", name, other)
	case kind == 4:
		require.NoError(t, os.WriteFile(path, append(b, b[:min(n, 1+r.IntN(100))]...), 0o600))
		return "lengthen " + name
	case kind == 5 && n > 0:
		at := r.IntN(n)
		clear(b[at:min(n, at+4096)])
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return fmt.Sprintf("zeros in %s at %d", name, at)
	case n > 0:
		at := r.IntN(n)
		if r.IntN(2) == 0 { // where a table ends, and others begin
			at = n - 1 - r.IntN(min(n, 64))
		}
		bits := byte(1 + r.IntN(255))
		b[at] ^= bits
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return fmt.Sprintf("flip %x in %s at %d of %d", bits, name, at, n)
	}
	return "nothing to " + name
}

// alike is another file of the same kind, if there is one.
func alike(r *rand.Rand, files []string, name string) string {
	kind := func(n string) string { return strings.SplitN(filepath.Base(n), "-", 2)[0] }
	var same []string
	for _, f := range files {
		if f != name && (filepath.Ext(f) != "" && filepath.Ext(f) == filepath.Ext(name) || kind(f) == kind(name)) {
			same = append(same, f)
		}
	}
	if len(same) == 0 {
		return name
	}
	return same[r.IntN(len(same))]
}

func swapFiles(t *testing.T, a, b string) {
	if a == b {
		return
	}
	spare := filepath.Join(t.TempDir(), "spare")
	remains(t, os.Rename(a, spare))
	remains(t, os.Rename(b, a))
	remains(t, os.Rename(spare, b))
}

// remains allows that a file is not there any more: an open store deletes those that it has
// merged, at any time.
func remains(t *testing.T, err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
}

// Files that are whole and of the same size, but in each other's place: goleveldb alone
// would take older rows for newer ones, and the rows of another store for its own.
func TestSwappedTables(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	for i, dir := range dirs {
		writeTables(t, dir, owner{store: uint64(i)}, "first", fmt.Sprint("old ", i), fmt.Sprint("new ", i))
		require.Equal(t, fmt.Sprint("new ", i), readTables(t, dir, owner{store: uint64(i)}))
	}
	tables := tablesOf(t, dirs[0])
	require.Len(t, tables, 3)
	require.Equal(t, size(t, tables[1]), size(t, tables[2]))
	swapFiles(t, tables[1], tables[2])
	require.Equal(t, "corrupt", readTables(t, dirs[0], owner{store: 0}), "in one database")
	swapFiles(t, tables[1], tables[2])
	require.Equal(t, "new 0", readTables(t, dirs[0], owner{store: 0}))
	for i, table := range tablesOf(t, dirs[1]) {
		swapFiles(t, tables[i], table)
	}
	require.Equal(t, "corrupt", readTables(t, dirs[0], owner{store: 0}), "of two databases")
	require.Equal(t, "corrupt", readTables(t, dirs[0], owner{store: 1}), "its manifest is not theirs")
	require.Equal(t, "corrupt", readTables(t, dirs[1], owner{store: 1, segment: 1}))
}

// writeTables makes a database of one key, with a table for each value.
func writeTables(t *testing.T, dir string, o owner, values ...string) {
	d, err := openDatabase(dir, o, 1<<20, NewResources(ResourceLimits{}))
	require.NoError(t, err)
	for i, v := range values {
		require.NoError(t, d.put([]byte("\x01key"), []byte(v), 1))
		require.NoError(t, d.commit(position{int64(i), 1}))
		require.NoError(t, d.flush())
	}
	require.NoError(t, d.close())
}

func readTables(t *testing.T, dir string, o owner) string {
	d, err := openDatabase(dir, o, 1<<20, NewResources(ResourceLimits{}))
	if err == nil {
		var value []byte
		value, _, _, err = d.get([]byte("\x01key"))
		require.NoError(t, d.close())
		if err == nil {
			return string(value)
		}
	}
	require.True(t, isCorrupt(err), err)
	return "corrupt"
}

func tablesOf(t *testing.T, dir string) []string {
	tables, err := filepath.Glob(filepath.Join(dir, "*.ldb"))
	require.NoError(t, err)
	return tables
}

// A filter that is whole, but of other rows, would say "no" to rows that are there.
func TestSwappedFilters(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, windowSpec)
	for i := range int64(4) {
		putWindow(t, s, fmt.Sprint("key ", i), i*60_000-180_000)
	}
	require.NoError(t, s.Commit(1))
	require.NoError(t, s.Close())
	filters, err := filepath.Glob(filepath.Join(dir, "*"+bloomSuffix))
	require.NoError(t, err)
	require.Greater(t, len(filters), 1)
	swapFiles(t, filters[0], filters[1])
	s = openTest(t, dir, windowSpec)
	for i := int64(1); i < 4; i++ {
		_, ok, err := s.Get(AppendWindowKey(nil, fmt.Appendf(nil, "key %d", i), i*60_000-180_000))
		require.True(t, ok && err == nil, i)
	}
}

// The end of a table has no checksum, and says how much memory to take for its index.
func TestDamagedFooter(t *testing.T) {
	dir := t.TempDir()
	writeTables(t, dir, owner{}, "value")
	table := tablesOf(t, dir)[0]
	whole, err := os.ReadFile(table)
	require.NoError(t, err)
	for at := len(whole) - footerLen; at < len(whole); at++ {
		for _, bits := range []byte{0x01, 0x80, 0xFF} {
			b := bytes.Clone(whole)
			b[at] ^= bits
			require.NoError(t, os.WriteFile(table, b, 0o600))
			require.Contains(t, []string{"corrupt", "value"}, readTables(t, dir, owner{}))
		}
	}
	d, err := openFiles(machineDisk{}, dir, owner{})
	require.NoError(t, err)
	defer d.Close()
	const tooMuch = 1 << 36 // would be taken
	long := append(bytes.Clone(whole[:len(whole)-footerLen]), binary.AppendUvarint([]byte{0, 0, 0}, tooMuch)...)
	long = append(long, whole[len(long):]...)
	require.NoError(t, os.WriteFile(table, long, 0o600))
	fds, err := d.List(storage.TypeTable)
	require.NoError(t, err)
	_, err = d.Open(fds[0])
	require.True(t, isCorrupt(err), err)
}

// A table that is cut off while it is open must not give what a buffer held before.
func TestTableCutOffWhileOpen(t *testing.T) {
	disk := storage.NewMemStorage()
	fd := storage.FileDesc{Type: storage.TypeTable, Num: 1}
	w, err := files{Storage: disk}.Create(fd)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 100))
	require.NoError(t, errors.Join(err, w.Close()))
	r, err := disk.Open(fd)
	require.NoError(t, err)
	n, err := marked{r, fd}.ReadAt(make([]byte, 60), 40)
	require.True(t, n == 60 && err == nil)
	_, err = marked{r, fd}.ReadAt(make([]byte, 61), 40)
	require.True(t, isCorrupt(err), err)
}

// While two tables are merged, one of them is damaged and the one that is written is gone.
// The store must still be known to be corrupt.
func TestDamageIsKnownThoughCleaningUpFails(t *testing.T) {
	dir := t.TempDir()
	res := NewResources(ResourceLimits{Level0: 1 << 20})
	d, err := openDatabase(dir, owner{}, 1<<20, res)
	require.NoError(t, err)
	noise := rand.New(rand.NewPCG(1, 1))
	for n := range int64(2) {
		for i := range 300 {
			value := make([]byte, 1000)
			for j := range value {
				value[j] = byte(noise.Uint32())
			}
			require.NoError(t, d.put(fmt.Appendf(nil, "\x01key %03d", i), value, 1))
		}
		require.NoError(t, d.commit(position{n, 1}))
		require.NoError(t, d.flush())
	}
	require.NoError(t, d.close())
	table := tablesOf(t, dir)[0]
	b, err := os.ReadFile(table)
	require.NoError(t, err)
	b[len(b)-len(b)/4] ^= 1
	require.NoError(t, os.WriteFile(table, b, 0o600))

	old, err := openFiles(machineDisk{}, dir, owner{})
	require.NoError(t, err)
	db, err := leveldb.Open(fleeting{old, dir}, res.options(1<<20))
	require.NoError(t, err)
	require.Error(t, db.CompactRange(util.Range{}))
	for err = nil; err == nil; { // it chooses between the write and the error
		err = db.Put([]byte("key"), nil, nil)
	}
	require.True(t, isCorrupt(err), err)
	_ = db.Close() // it may say the same again
	require.NoError(t, old.Close())
}

// fleeting are files of which new tables are gone as soon as they are begun.
type fleeting struct {
	storage.Storage
	dir string
}

func (f fleeting) Create(fd storage.FileDesc) (storage.Writer, error) {
	w, err := f.Storage.Create(fd)
	if err == nil && fd.Type == storage.TypeTable {
		err = os.Remove(filepath.Join(f.dir, fd.String()))
	}
	return w, err
}
