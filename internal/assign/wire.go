package assign

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// wireVersion is that of the format in which members talk.
const wireVersion = 1

// Subscription is what a member tells the leader.
type Subscription struct {
	Version    int                   `json:"version"`
	Process    string                `json:"process"`  // the id that the state directory has
	Topology   string                `json:"topology"` // fingerprint
	Shape      Shape                 `json:"shape"`
	Workers    int                   `json:"workers"`
	Rack       string                `json:"rack,omitempty"`
	Generation int32                 `json:"generation"`
	Tasks      []plan.TaskID         `json:"tasks"`
	Restoring  []plan.TaskID         `json:"restoring,omitempty"`
	Copies     map[plan.TaskID]int64 `json:"copies,omitempty"`
	Round      int                   `json:"round"` // makes every subscription differ, so that the broker notices it
}

// Assignment is what the leader tells a member.
type Assignment struct {
	Version   int            `json:"version"`
	Tasks     []plan.TaskID  `json:"tasks"`
	Standbys  []plan.TaskID  `json:"standbys,omitempty"`
	Warmups   []plan.TaskID  `json:"warmups,omitempty"`
	Waiting   bool           `json:"waiting,omitempty"` // another round is to come
	Processes map[string]int `json:"processes"`         // all members' processes, and how many workers they have
	Refused   string         `json:"refused,omitempty"`
}

// member is a subscription as a plan sees it.
func (s Subscription) member(id string) Member {
	return Member{
		ID: id, Workers: s.Workers, Rack: s.Rack, Generation: s.Generation,
		Owned: s.Tasks, Restoring: s.Restoring, Copies: s.Copies,
	}
}

// Leader is what the leader itself knows.
type Leader struct {
	Topology string // its own
	Tasks    []Task // of its own topology
	Standbys int    // copies of each task's state
}

// Lead is the leader's work: an assignment for every member. Those of another topology than
// the group's are refused; if that is the leader itself, everybody keeps what he has until
// another one leads.
func (l Leader) Lead(subs map[string]Subscription) (out map[string]Assignment, waiting int) {
	running := Topology(subs)
	var members []Member
	var shape Shape
	processes, given := map[string]int{}, map[string]Given{}
	for id, s := range subs {
		if s.Topology == running {
			members = append(members, s.member(id))
			given[id] = Given{Tasks: s.Tasks}
			processes[s.Process], shape = s.Workers, s.Shape
		}
	}
	if l.Topology == running {
		given, waiting = Plan(members, l.Tasks, l.Standbys)
	}
	out = map[string]Assignment{}
	for id, s := range subs {
		g := given[id]
		a := Assignment{Tasks: g.Tasks, Standbys: g.Standbys, Warmups: g.Warmups, Waiting: waiting > 0, Processes: processes}
		if s.Topology != running {
			a.Refused = "the application runs with another topology: a changed program needs another ApplicationID, or all instances of the old one stopped first. " +
				"Changed, with - what runs and with + this program:\n" + shape.Diff(s.Shape)
		}
		out[id] = a
	}
	return out, waiting
}

// Topology is the fingerprint of the topology that the group runs: that of the members
// who were assigned tasks last, or at a start that of the first by id.
func Topology(members map[string]Subscription) string {
	var topology string
	last := int32(-1)
	for _, id := range slices.Sorted(maps.Keys(members)) {
		generation := int32(0)
		if s := members[id]; len(s.Tasks) > 0 {
			generation = s.Generation
		}
		if generation > last {
			topology, last = members[id].Topology, generation
		}
	}
	return topology
}

// Encode is the format of the group's metadata.
func (s Subscription) Encode() []byte { s.Version = wireVersion; return encode(s) }

// Encode is the format of the group's metadata.
func (a Assignment) Encode() []byte { a.Version = wireVersion; return encode(a) }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("assign: encode %T: %v", v, err)) // numbers and strings always encode
	}
	return b
}

// maxWorkers is more than any instance has: what says more is not to be believed.
const maxWorkers = 1 << 16

func believable(workers int) bool { return workers >= 0 && workers <= maxWorkers }

// DecodeSubscription reads what Encode wrote.
func DecodeSubscription(b []byte) (s Subscription, err error) {
	if err := decode(b, &s); err != nil || s.Version != wireVersion || !believable(s.Workers) {
		return Subscription{}, fmt.Errorf("assign: the group has a member that is not of this library, or of another version of it (%.100q): every application needs an id of its own: %w", b, foreign(err, s.Version))
	}
	return s, nil
}

// DecodeAssignment reads what Encode wrote.
func DecodeAssignment(b []byte) (a Assignment, err error) {
	err = decode(b, &a)
	for _, workers := range a.Processes {
		if !believable(workers) {
			err = fmt.Errorf("a process of %d workers", workers)
		}
	}
	if err != nil || a.Version != wireVersion {
		return Assignment{}, fmt.Errorf("assign: the group's leader is not of this library, or of another version of it (%.100q): every application needs an id of its own: %w", b, foreign(err, a.Version))
	}
	return a, nil
}

func decode(b []byte, v any) error { return json.Unmarshal(b, v) }

func foreign(err error, version int) error {
	if err != nil {
		return err
	}
	if version == wireVersion {
		return errors.New("it has a number of workers that cannot be")
	}
	return fmt.Errorf("version %d, not %d", version, wireVersion)
}
