//go:build unix

package chaos

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-df18afd4/streams/serde"
)

var stringSerde = serde.String

// wipe deletes all that is in a directory, and not the directory.
func wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = os.RemoveAll(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
	}
	return err
}

// damage spoils one of the files of the stores in a directory, and says how.
func damage(dir string, r *rand.Rand) (how string, err error) {
	var files []string
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.Size() > 0 && filepath.Base(filepath.Dir(path)) != filepath.Base(dir) {
			files = append(files, path)
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		return "nothing to damage", err
	}
	path := files[r.IntN(len(files))]
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	name, _ := filepath.Rel(dir, path)
	if r.IntN(2) == 0 {
		n := r.IntN(len(b))
		return fmt.Sprintf("%s is cut to %d of %d bytes", name, n, len(b)), os.Truncate(path, int64(n))
	}
	i, bit := r.IntN(len(b)), byte(1)<<r.IntN(8)
	b[i] ^= bit
	return fmt.Sprintf("a bit of byte %d of %d of %s is turned", i, len(b), name), os.WriteFile(path, b, 0o600)
}

// fill writes a file until its disk is full, and returns what removes it.
func fill(dir string) (empty func(), err error) {
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	f.Close()
	return func() { os.Remove(path) }, nil
}

// smallDisk is a directory on a disk of 64 MiB, or says why there is none.
func smallDisk(t *testing.T) (dir string, err error) {
	dir = t.TempDir()
	if err := mountSmall(dir); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir, nil
}
