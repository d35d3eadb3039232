package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/google/uuid"
)

// StateDir is the directory of an application's stores, held by this process alone.
type StateDir struct {
	Path    string
	Process string // an id that stays with the directory
	unlock  func()
}

const (
	stateName   = "STATE"
	stateFormat = 1
)

// OpenStateDir locks the state directory of an application, which it creates. It refuses
// the directory of another application, and what a newer version of the library left there.
// The topology is a fingerprint; that of the last time was another one, or the file that
// says so is damaged, is only logged: stores know themselves what they are the state of.
func OpenStateDir(path, app, topology string, log *slog.Logger) (*StateDir, error) {
	unlock, err := LockDir(path)
	if err != nil {
		return nil, err
	}
	d := &StateDir{Path: path, unlock: unlock}
	if err := d.open(app, topology, log); err != nil {
		unlock()
		return nil, fmt.Errorf("store: the state directory %q: %w", path, withRoom(err))
	}
	return d, nil
}

// Close lets another process have the directory.
func (d *StateDir) Close() { d.unlock() }

func (d *StateDir) open(app, topology string, log *slog.Logger) error {
	if err := ownersOnly(d.Path, log); err != nil {
		return err
	}
	was, err := readState(d.Path)
	switch {
	case errors.Is(err, errState):
		log.Warn("what the state directory says of itself is damaged; it gets another process id", "dir", d.Path, "file", stateName)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && was.app != app:
		return fmt.Errorf("it is that of application %q, not of %q: give each application a directory of its own", was.app, app)
	case err == nil && was.topology != topology:
		log.Info("the topology is another one than the last time in this state directory", "dir", d.Path, "before", was.topology, "now", topology)
	case err == nil:
		d.Process = was.process
		return nil
	}
	if d.Process = was.process; d.Process == "" {
		d.Process = uuid.NewString()
	}
	return state{app, d.Process, topology}.write(d.Path)
}

// ownersOnly closes the directory to other users.
func ownersOnly(path string, log *slog.Logger) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	if err := os.Chmod(path, 0o700); err != nil {
		log.Warn("other users of this machine may read the state directory", "dir", path, "mode", info.Mode().Perm().String(), "error", err)
	}
	return nil
}

// state is what the file STATE says.
type state struct{ app, process, topology string }

var errState = errors.New("the file " + stateName + " is damaged")

func (s state) encode() []byte {
	b := fmt.Appendf(nil, "streams state %d\napplication %s\nprocess %s\ntopology %s\n", stateFormat, s.app, s.process, s.topology)
	return fmt.Appendf(b, "checksum %08x\n", crc32.Checksum(b, castagnoli))
}

var stateText = regexp.MustCompile(`^streams state (\d+)\n(?:[^\n]*\n)*checksum ([0-9a-f]{8})\n$`)
var stateFields = regexp.MustCompile(`^[^\n]*\napplication ([^\n]*)\nprocess ([^\n]*)\ntopology ([^\n]*)\n`)

const checksumLine = len("checksum 12345678\n")

// decodeState reads what encode wrote. Every format has the first and the last line, so
// that a newer one is not taken for damage.
func decodeState(b []byte) (state, error) {
	m := stateText.FindSubmatch(b)
	if m == nil || fmt.Sprintf("%08x", crc32.Checksum(b[:len(b)-checksumLine], castagnoli)) != string(m[2]) {
		return state{}, errState
	}
	if format, err := strconv.Atoi(string(m[1])); err != nil || format > stateFormat {
		return state{}, fmt.Errorf("a newer version of this library wrote it, in format %s where this one knows %d: run that version again, or delete the directory, and the stores are restored from their changelogs", m[1], stateFormat)
	}
	f := stateFields.FindSubmatch(b)
	if f == nil || uuid.Validate(string(f[2])) != nil {
		return state{}, errState
	}
	return state{string(f[1]), string(f[2]), string(f[3])}, nil
}

func readState(dir string) (state, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return state{}, err
	}
	return decodeState(b)
}

// write replaces the file at once or not at all.
func (s state) write(dir string) error {
	path := filepath.Join(dir, stateName)
	if err := (machineDisk{}).WriteFile(path+".new", s.encode(), true); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}
