package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// The changelog of these tests is known in advance: its record i counts how often a
// counter was written up to i, so what a store must hold at an offset can be computed.

const counters = 500

func counterRecord(s Spec, i int64) kafka.Record {
	c := int64(mix(uint64(i)) % counters)
	r := kafka.Record{Key: fmt.Appendf(nil, "counter-%03d", c), Time: i, Offset: i}
	if s.Kind == Window {
		r.Key = appendChangelogWindowKey(nil, r.Key, c*1000, 0)
	}
	r.Value = append(binary.BigEndian.AppendUint64(nil, uint64(i)), make([]byte, 100)...)
	return r
}

// putCounter writes record i as a task would.
func putCounter(s *Store, i int64) error {
	r := counterRecord(s.spec, i)
	switch s.spec.Kind {
	case Versioned:
		_, _, err := s.PutVersion(r.Key, r.Value, r.Time)
		return err
	case Window:
		key, start, _, err := splitChangelogWindowKey(r.Key)
		if err != nil {
			return err
		}
		r.Key = AppendWindowKey(nil, key, start)
	}
	_, err := s.Put(r.Key, r.Value, r.Time)
	return err
}

// checkCounters compares the counters with what they must be at an offset. Those of a
// store that is ahead may be newer, but no newer than ahead.
func checkCounters(s *Store, offset, ahead int64) error {
	want := map[string]int64{}
	for i := range max(0, offset) {
		r := counterRecord(Spec{}, i)
		want[string(r.Key)] = i
	}
	for _, q := range []Query{all, {Start: all.Start, End: all.End, Backward: true}} {
		rows := 0
		for row, err := range s.Scan(q) {
			if err != nil {
				return err
			}
			rows++
			key := row.Key
			if s.spec.Kind == Window {
				key, _ = SplitWindowKey(key)
			}
			w, ok := want[string(key)]
			i := int64(binary.BigEndian.Uint64(row.Value))
			if i != w && (i < max(w, offset) || i >= ahead) || !ok && i < offset {
				return fmt.Errorf("%s is %d at offset %d, not %d", key, i, offset, w)
			}
			if r := counterRecord(Spec{}, i); string(r.Key) != string(key) || row.Time != i {
				return fmt.Errorf("%s has the value of %s, time %d", key, r.Key, row.Time)
			}
			if got, ok, err := s.Get(row.Key); err != nil || !ok || got.Time != row.Time {
				return fmt.Errorf("get %q: %v, %v, %w", key, got, ok, err)
			}
		}
		if rows < len(want) {
			return fmt.Errorf("%d counters of %d at offset %d", rows, len(want), offset)
		}
	}
	return nil
}

// records are those of the changelog from one offset to another.
func records(s Spec, from, to int64) (log []kafka.Record) {
	for i := from; i < to; i++ {
		log = append(log, counterRecord(s, i))
	}
	return log
}

// restoreCounters brings a store to an offset and checks that it is exactly there.
func restoreCounters(t *testing.T, s *Store, end int64) {
	t.Helper()
	require.NoError(t, s.Restore(records(s.spec, max(0, s.Offset()), end), end))
	require.NoError(t, s.FinishRestore())
	require.NoError(t, checkCounters(s, end, end))
}

func crashSpecs() []Spec {
	return []Spec{
		{Name: "plain", Kind: KeyValue},
		{Name: "windows", Kind: Window, Retention: 600_000},
		{Name: "versions", Kind: Versioned, History: 2000},
	}
}

const crashEnv = "STORE_CRASH_DIR"

// TestKill kills a process that writes and commits, and looks at what it leaves behind.
func TestKill(t *testing.T) {
	if dir := os.Getenv(crashEnv); dir != "" {
		writeUntilKilled(dir)
		return
	}
	const rounds = 4
	for i, spec := range crashSpecs() {
		t.Run(spec.Kind.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for range rounds {
				acked := runUntilKilled(t, dir, i, 50+r.IntN(200))
				s, err := Open(dir, spec, "origin", NewResources(ResourceLimits{WriteBuffers: 1}))
				require.NoError(t, err)
				t.Logf("killed at about %d, found offset %d", acked, s.Offset())
				// One more commit may have been made than was heard of.
				require.LessOrEqual(t, s.Offset(), acked+2*perCommit)
				ahead := s.Offset()
				if spec.Kind == Window { // some segments may be
					ahead = acked + 2*perCommit
				}
				require.NoError(t, checkCounters(s, s.Offset(), ahead))
				restoreCounters(t, s, max(acked, s.Offset()))
				require.NoError(t, s.Close())
			}
		})
	}
}

const perCommit = 200

// runUntilKilled starts the writer and kills it after some commits. It returns the last
// offset that it heard of.
func runUntilKilled(t *testing.T, dir string, spec, commits int) (acked int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), crashEnv+"="+strconv.Itoa(spec)+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f, ok := strings.CutPrefix(lines.Text(), "offset "); ok {
			acked, err = strconv.ParseInt(f, 10, 64)
			require.NoError(t, err)
			if commits--; commits == 0 {
				require.NoError(t, cmd.Process.Kill())
			}
		} else {
			t.Log(lines.Text())
		}
	}
	require.Error(t, cmd.Wait(), "the process must have been killed")
	require.LessOrEqual(t, commits, 0, "the process ended by itself")
	return acked
}

// writeUntilKilled is the process that is killed.
func writeUntilKilled(arg string) {
	err := func() error {
		s, err := Open(arg[1:], crashSpecs()[arg[0]-'0'], "origin", NewResources(ResourceLimits{WriteBuffers: 1}))
		if err != nil {
			return err
		}
		if g, ok := s.engine.(*segments); ok {
			g.lag, g.young = 400_000, 100_000
		}
		for i := max(0, s.Offset()); ; {
			for range perCommit {
				if err := putCounter(s, i); err != nil {
					return err
				}
				i++
			}
			if err := s.Commit(i); err != nil {
				return err
			}
			fmt.Println("offset", i)
		}
	}()
	fmt.Println("failed:", err)
}

// TestDamage damages every file of a store in many ways. The store must say so, or be
// empty, or hold what it held at its offset: never wrong rows.
func TestDamage(t *testing.T) {
	const end = 4000
	outcomes := map[string]int{}
	for _, spec := range crashSpecs() {
		t.Run(spec.Kind.String(), func(t *testing.T) {
			whole := t.TempDir()
			buildDamaged(t, whole, spec, end)
			for _, file := range filesOf(t, whole) {
				for _, d := range damages {
					t.Run(d.name+" "+file, func(t *testing.T) {
						dir := filepath.Join(t.TempDir(), "store")
						require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
						d.do(t, filepath.Join(dir, file))
						outcomes[openDamaged(t, dir, spec, end)]++
					})
				}
			}
		})
	}
	t.Log(outcomes)
	require.NotZero(t, outcomes["wiped"])
	require.NotZero(t, outcomes["corrupt"])
}

func buildDamaged(t *testing.T, dir string, spec Spec, end int64) {
	s, err := Open(dir, spec, "origin", NewResources(ResourceLimits{}))
	require.NoError(t, err)
	for i := range end {
		require.NoError(t, putCounter(s, i))
		if i%1000 == 999 {
			require.NoError(t, s.Commit(i+1))
			require.NoError(t, s.Flush())
		}
	}
	require.NoError(t, s.Close())
}

func filesOf(t *testing.T, dir string) (files []string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			files = append(files, rel)
		}
		return err
	})
	require.NoError(t, err)
	return files
}

type damaging struct {
	name string
	do   func(t *testing.T, path string)
}

var damages = append(flips(),
	damaging{"delete", func(t *testing.T, path string) { remove(t, path) }},
	damaging{"empty", func(t *testing.T, path string) { truncate(t, path, 0) }},
	damaging{"cut in half", func(t *testing.T, path string) { truncate(t, path, size(t, path)/2) }},
	damaging{"cut at 80 %", func(t *testing.T, path string) { truncate(t, path, size(t, path)*8/10) }},
	damaging{"cut by 1", func(t *testing.T, path string) { truncate(t, path, max(0, size(t, path)-1)) }},
)

// flips flip one bit at places all over a file.
func flips() (d []damaging) {
	for i := range 8 {
		d = append(d, damaging{fmt.Sprintf("flip %d", i), func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			if len(b) > 0 {
				b[(len(b)-1)*i/7] ^= 1 << (i % 8)
				require.NoError(t, os.WriteFile(path, b, 0o600))
			}
		}})
	}
	return d
}

func size(t *testing.T, path string) int64 {
	f, err := os.Stat(path)
	require.NoError(t, err)
	return f.Size()
}

func truncate(t *testing.T, path string, n int64) { require.NoError(t, os.Truncate(path, n)) }

// openDamaged opens a damaged store, reads and writes it and says what came of it.
func openDamaged(t *testing.T, dir string, spec Spec, end int64) string {
	s, err := Open(dir, spec, "origin", NewResources(ResourceLimits{}))
	require.NoError(t, err, "Open must wipe the store instead")
	defer func() { require.NoError(t, s.Destroy()) }()
	found := s.Offset()
	err = checkCounters(s, found, found)
	var c *CorruptError
	if errors.As(err, &c) {
		require.Equal(t, spec.Name, c.Store)
		require.Equal(t, dir, c.Dir)
		return "corrupt"
	}
	require.NoError(t, err)
	restoreCounters(t, s, end)
	switch {
	case found == end:
		return "intact"
	case found < 0:
		return "wiped"
	}
	return "older"
}

// To rebuild a filter reads a segment, so damage there is found by Open.
func TestDamageFoundByOpen(t *testing.T) {
	dir := t.TempDir()
	spec := crashSpecs()[1]
	buildDamaged(t, dir, spec, 2000)
	for _, file := range filesOf(t, dir) {
		switch filepath.Ext(file) {
		case bloomSuffix:
			remove(t, filepath.Join(dir, file))
		case ".ldb":
			truncate(t, filepath.Join(dir, file), 100)
		}
	}
	s := openTest(t, dir, spec)
	require.EqualValues(t, -1, s.Offset())
	restoreCounters(t, s, 2000)
}
