//go:build unix

package e2e

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
)

// Whatever happens to files of the state directory while the application is away, its
// counts are right: it restores what is damaged.
func TestDamagedStateDirectory(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		seed := rand.Uint64N(1 << 32)
		t.Log("seed", seed)
		r := rand.New(rand.NewPCG(seed, 1))
		c := newCounter(k, name)
		settings := config(t, k, name)
		for range 8 {
			a := run(t, counting(t, name, nil), settings)
			c.count(vocabulary, 1)
			a.stop()
			for range 4 {
				t.Log(damage(t, r, settings.StateDir))
			}
		}
	})
}

// damage changes, cuts, deletes or exchanges files below a directory, and says which.
func damage(t *testing.T, r *rand.Rand, dir string) string {
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	}))
	path, other := files[r.IntN(len(files))], files[r.IntN(len(files))]
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	switch kind := r.IntN(4); {
	case kind == 0:
		require.NoError(t, os.Remove(path))
		return "delete " + path
	case kind == 1:
		c, err := os.ReadFile(other)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, c, 0o600))
		require.NoError(t, os.WriteFile(other, b, 0o600))
		return "swap " + path + " and " + other
	case kind == 2 && len(b) > 0:
		require.NoError(t, os.Truncate(path, r.Int64N(int64(len(b)))))
		return "cut " + path
	case len(b) > 0:
		b[r.IntN(len(b))] ^= byte(1 + r.IntN(255))
		require.NoError(t, os.WriteFile(path, b, 0o600))
		return "flip bits in " + path
	}
	return "nothing to " + path
}

// Nobody but the owner gets at the stores, and one process at a time has them.
func TestStateDirectoryIsPrivate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c := newCounter(k, name)
		settings := config(t, k, name)
		dir := filepath.Join(settings.StateDir, name)
		require.NoError(t, os.Mkdir(dir, 0o755)) // as an administrator may have made it
		a := run(t, counting(t, name, nil), settings)
		c.count(vocabulary, 1)
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			if d.IsDir() {
				info, err := d.Info()
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
			}
			return nil
		}))
		requireSays(t, run(t, counting(t, name, nil), settings).wait(soon), name, dir, "in use by another process", "a state directory of its own")
		a.stop()

		require.NoError(t, os.Rename(dir, dir+"-copy"))
		settings.ApplicationID += "-copy"
		requireSays(t, run(t, counting(t, name, nil), settings).wait(soon), dir+"-copy", `of application "`+name+`"`, "a directory of its own")
	})
}

// A name that is a path must not lead out of the state directory.
func TestNamesThatArePaths(t *testing.T) {
	for _, id := range []string{"../up", "a/b", "..", ".", `a\b`, "a\x00b", "", strings.Repeat("a", 201)} {
		_, err := streams.New(counting(t, "app", nil), streams.Config{ApplicationID: id, Brokers: []string{"127.0.0.1:1"}, StateDir: t.TempDir()})
		requireSays(t, err, "ApplicationID", "letters, digits")
	}
}
