package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// epochName is the file of a state directory that says which reset of the application its
// stores are of.
const epochName = "epoch"

// Rewind brings a state directory to an epoch: it deletes the stores that a reset wiped
// since the directory's own, of all tasks, and returns their names. Wiped is, for each store
// that ever was, the number of the last reset that did. A directory of a later epoch is of
// another history, and all its stores are deleted. No store may be open.
//
// When the epoch is written down the stores are gone for good; what is interrupted before is
// done again.
func Rewind(dir string, epoch int64, wiped map[string]int64) (stores []string, err error) {
	own, err := readEpoch(dir)
	if err != nil {
		return nil, fmt.Errorf("store: the epoch of %q: %w", dir, err)
	}
	if own == epoch {
		return nil, nil
	}
	paths, err := storesIn(dir)
	if err != nil {
		return nil, fmt.Errorf("store: list the stores in %q: %w", dir, err)
	}
	seen := map[string]bool{}
	for _, path := range paths {
		name := filepath.Base(path)
		if own < epoch && wiped[name] <= own {
			continue
		}
		if err := errors.Join(os.RemoveAll(path), syncDir(filepath.Dir(path))); err != nil {
			return nil, fmt.Errorf("store: wipe %q: %w", path, err)
		}
		if !seen[name] {
			seen[name], stores = true, append(stores, name)
		}
	}
	if err := writeEpoch(dir, epoch); err != nil {
		return nil, fmt.Errorf("store: write the epoch of %q: %w", dir, err)
	}
	return stores, nil
}

// taskDir is the name of a task's directory: "0_3".
var taskDir = regexp.MustCompile(`^[0-9]+_[0-9]+$`)

// storesIn are the directories of the stores of all tasks in a state directory.
func storesIn(dir string) (paths []string, err error) {
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		if !t.IsDir() || !taskDir.MatchString(t.Name()) {
			continue
		}
		stores, err := os.ReadDir(filepath.Join(dir, t.Name()))
		if err != nil {
			return nil, err
		}
		for _, s := range stores {
			paths = append(paths, filepath.Join(dir, t.Name(), s.Name()))
		}
	}
	return paths, nil
}

// readEpoch is 0 for a directory that says nothing.
func readEpoch(dir string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(dir, epochName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

func writeEpoch(dir string, epoch int64) error {
	path, disk := filepath.Join(dir, epochName), machineDisk{}
	if err := disk.WriteFile(path+".new", fmt.Appendf(nil, "%d\n", epoch), true); err != nil {
		return err
	}
	if err := disk.Rename(path+".new", path); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}
