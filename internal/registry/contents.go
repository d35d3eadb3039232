package registry

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// Format is the version of what is written. Raise it when an old reader would
// misunderstand a new value; a field more needs no new one.
const Format = 1

// The keys of the records.
const (
	applicationKey = "application"
	instancePrefix = "instance/"
	topicsKey      = "topics"
	epochKey       = "epoch"
	resetKey       = "reset"
)

// Contents are all that a registry says.
type Contents struct {
	Application *Application // nil: no instance has ever started
	Instances   []Instance   // by process; those that died without a word are among them
	Topics      *Topics      // nil: not known
	Epoch       Epoch
	Reset       *Reset // nil: none is under way
}

// Instance is a process that runs the application.
type Instance struct {
	Format     int
	Process    string // the id of its state directory
	Host       string
	PID        int
	StateDir   string
	InstanceID string // of a static member
	Version    string // of this module
	Workers    int
	Started    time.Time
	Beat       time.Time     // when it said this
	Every      time.Duration // how often it says so
}

// Alive says whether the instance has been heard of lately.
func (i Instance) Alive(now time.Time) bool { return now.Sub(i.Beat) < 3*i.Every }

// Topics are the input topics that the application's state is of. One that was deleted and
// made anew has another id.
type Topics struct {
	Format int
	IDs    map[string]string // by name
}

// Epoch numbers the resets that wiped state.
type Epoch struct {
	Format int
	Number int64
	// Wiped is, for a store that was ever wiped, the number of the last reset that did.
	// State of a directory from before it is not to be used.
	Wiped map[string]int64
}

// Reset is a reset under way. While it is there, no instance may process.
type Reset struct {
	Format  int
	ID      string // tells it from every other reset
	Begun   time.Time
	By      string            // who began it, for people
	Process string            // the instance that began it by itself, and finishes it when it comes back; empty: it was a person
	Restart bool              // running instances stop, and begin again when it is done
	Step    string            // the last one that is done
	Topics  map[string]string // the ids of the topics that it moves
	Plan    json.RawMessage
}

// apply takes one record in.
func (c *Contents) apply(r kafka.Record) error {
	key := string(r.Key)
	process, isInstance := strings.CutPrefix(key, instancePrefix)
	switch {
	case key == applicationKey:
		return decode(key, r.Value, &c.Application)
	case key == topicsKey:
		return decode(key, r.Value, &c.Topics)
	case key == epochKey:
		var e *Epoch
		if err := decode(key, r.Value, &e); err != nil {
			return err
		}
		c.Epoch = Epoch{}
		if e != nil {
			c.Epoch = *e
		}
	case key == resetKey:
		return decode(key, r.Value, &c.Reset)
	case isInstance:
		var i *Instance
		if err := decode(key, r.Value, &i); err != nil {
			return err
		}
		c.Instances = slices.DeleteFunc(c.Instances, func(o Instance) bool { return o.Process == process })
		if i != nil {
			i.Process = process
			c.Instances = append(c.Instances, *i)
		}
	}
	return nil
}

// decode reads a value into a new T; of a tombstone it makes nil.
func decode[T any](key string, value []byte, into **T) error {
	*into = nil
	if value == nil {
		return nil
	}
	var head struct{ Format int }
	if err := json.Unmarshal(value, &head); err != nil {
		return fmt.Errorf("registry: %s: %w", key, err)
	}
	if head.Format > Format {
		return fmt.Errorf("registry: %s is of format %d, and this program knows formats up to %d: use a newer version of it", key, head.Format, Format)
	}
	v := new(T)
	if err := json.Unmarshal(value, v); err != nil {
		return fmt.Errorf("registry: %s: %w", key, err)
	}
	*into = v
	return nil
}
