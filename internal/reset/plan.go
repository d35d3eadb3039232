// Package reset rewinds an application: its positions in its input topics, its own topics,
// and the local state of all its instances, so that what is read again gives what a first
// run would have given.
//
// A Plan says everything that a reset will do, before anything is done (plan.go, reach.go,
// target.go; foreign.go for applications of Kafka Streams). Execute does it, step by step;
// what is interrupted is finished or undone later (execute.go, steps.go).
package reset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/registry"
)

// Options say what to reset.
type Options struct {
	App       string
	To        Target
	Topics    []string // the inputs to move; none: all, or those of the file
	Internal  []string // of an application of Kafka Streams: its own topics; none: those that its id and their names tell
	KeepState bool     // positions move, and nothing else
}

// Plan is all that a reset does.
type Plan struct {
	App       string   `json:"application"`
	Target    string   `json:"target"` // how it was asked for
	Topics    []string `json:"topics"`
	Foreign   bool     `json:"foreign"` // an application of Kafka Streams: its group and its topics' names are all that is known
	KeepState bool     `json:"keep_state"`

	Moves  []Move   `json:"moves"`
	Delete []string `json:"delete"` // topics of the application, which it creates again
	Empty  []string `json:"empty"`  // and those whose records are deleted
	Stores []string `json:"stores"` // to be wiped on the disk of every instance

	Rewrites []string `json:"rewrites"` // topics downstream that results are written to again
	Readers  []string `json:"readers"`  // applications that read these, as "application reads topic"
	Notes    []string `json:"notes"`

	// Of the execution.
	Epoch  int64      `json:"epoch"`            // the number of the reset
	Before []Position `json:"before,omitempty"` // what was committed when the instances had stopped

	ids map[string]string // of the topics, which the positions are of
}

// Move is what happens to the position in one partition.
type Move struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // what is committed; -1: nothing
	To        int64  `json:"to"`
	Again     int64  `json:"again"`   // offsets that are read again; markers and compacted records are among them
	Skipped   int64  `json:"skipped"` // offsets that are not read at all
	Note      string `json:"note,omitempty"`
}

// Position is a committed position.
type Position struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	At        int64  `json:"at"`
	Metadata  string `json:"metadata,omitempty"`
}

// filled is the plan with lists where it has none, for JSON.
func (p *Plan) filled() *Plan {
	for _, l := range []*[]string{&p.Topics, &p.Delete, &p.Empty, &p.Stores, &p.Rewrites, &p.Readers, &p.Notes} {
		if *l == nil {
			*l = []string{}
		}
	}
	if p.Moves == nil {
		p.Moves = []Move{}
	}
	return p
}

// Records are how many records are read again, at most.
func (p *Plan) Records() (n int64) {
	for _, m := range p.Moves {
		n += m.Again
	}
	return n
}

// Make looks at the application and plans its reset. It changes nothing.
func Make(ctx context.Context, c *broker.Client, o Options) (*Plan, error) {
	r, err := registry.Open(ctx, c, o.App)
	if errors.Is(err, registry.ErrNone) {
		return makeForeign(ctx, c, o)
	}
	if err != nil {
		return nil, err
	}
	says, err := r.Read(ctx)
	if err != nil {
		return nil, err
	}
	if says.Application == nil {
		return nil, fmt.Errorf("application %s has not described itself yet: start it once", o.App)
	}
	if len(o.Internal) > 0 {
		return nil, fmt.Errorf("application %s says which topics are its own; naming them is for applications of Kafka Streams", o.App)
	}
	p := &Plan{App: o.App, Target: o.To.Say, KeepState: o.KeepState, Epoch: says.Epoch.Number + 1}
	if p.Topics, err = choose(*says.Application, o); err != nil {
		return nil, err
	}
	if err := p.plan(ctx, c, says.Application, o.To); err != nil {
		return nil, err
	}
	if err := p.neighbours(ctx, c); err != nil {
		return nil, err
	}
	return p.filled(), nil
}

// choose picks the input topics.
func choose(a registry.Application, o Options) (topics []string, err error) {
	var inputs []string
	for _, t := range a.Topics() {
		if t.Role == registry.Input {
			inputs = append(inputs, t.Name)
		}
	}
	asked := o.Topics
	if len(asked) == 0 {
		asked = o.To.topics()
	}
	if len(asked) == 0 {
		return inputs, nil
	}
	for _, t := range asked {
		if !slices.Contains(inputs, t) {
			return nil, fmt.Errorf("application %s does not read topic %q: it reads %s", o.App, t, strings.Join(inputs, ", "))
		}
	}
	asked = slices.Clone(asked)
	slices.Sort(asked)
	return slices.Compact(asked), nil
}

func (p *Plan) plan(ctx context.Context, c *broker.Client, a *registry.Application, to Target) error {
	found, err := c.Topics(ctx, p.Topics...)
	if err != nil {
		return err
	}
	var ps []kafka.Partition
	p.ids = map[string]string{}
	for _, t := range p.Topics {
		p.ids[t] = found[t].ID
		if found[t].Partitions == 0 {
			return fmt.Errorf("input topic %q does not exist any more", t)
		}
		for i := range found[t].Partitions {
			ps = append(ps, kafka.Partition{Topic: t, Index: i})
		}
	}
	if err := p.move(ctx, c, ps, to, a.Guarantee == "exactly-once"); err != nil {
		return err
	}
	r := reachOf(a.ID, a.Plan, p.Topics)
	if p.Records() > 0 {
		p.Rewrites = r.outputs
	}
	if r.named {
		p.Notes = append(p.Notes, "results also go to topics that records name; which is not known here")
	}
	if p.KeepState {
		p.Notes = append(p.Notes, "state is kept: what is read again is added to what it made before")
		return nil
	}
	if len(r.mixed) > 0 {
		return mixed(r.mixed)
	}
	return p.wipe(ctx, c, a, r)
}

// mixed refuses a reset that would lose what other inputs have made.
func mixed(all []mixture) error {
	var what, others []string
	for _, m := range all {
		what = append(what, fmt.Sprintf("%s is also fed by %s", m.name, strings.Join(m.others, " and ")))
		others = append(others, m.others...)
	}
	slices.Sort(others)
	others = slices.Compact(others)
	return fmt.Errorf("%s, and the reset would lose what that has made: move %s as well, or keep the state",
		strings.Join(what, "; "), strings.Join(others, " and "))
}

// move plans the positions.
func (p *Plan) move(ctx context.Context, c *broker.Client, ps []kafka.Partition, to Target, readCommitted bool) error {
	if to.at == nil {
		return errors.New("the reset has no target: say where the inputs are to begin again")
	}
	for at := range to.partitions {
		if slices.Contains(p.Topics, at.Topic) && !slices.Contains(ps, at) {
			return fmt.Errorf("%s: there is no partition %s", to.Say, at)
		}
	}
	l, err := look(ctx, c, p.App, ps, readCommitted)
	if err != nil {
		return err
	}
	target, notes, err := to.at(ctx, l)
	if err != nil {
		return err
	}
	for _, at := range ps {
		t, ok := target[at]
		if !ok {
			if !p.KeepState {
				return fmt.Errorf("%s: it does not name %s; a reset of the state needs all partitions of a topic", to.Say, at)
			}
			continue
		}
		m := Move{Topic: at.Topic, Partition: at.Index, From: -1, Note: notes[at]}
		clamped := ""
		if m.To, clamped = l.clamp(at, t); clamped != "" {
			m.Note = clamped
		}
		if from, ok := l.committed[at]; ok {
			m.From = from.At
			m.Again, m.Skipped = max(m.From-m.To, 0), max(m.To-m.From, 0)
		}
		p.Moves = append(p.Moves, m)
	}
	slices.SortFunc(p.Moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return nil
}

// wipe plans what becomes of the application's own topics and stores.
func (p *Plan) wipe(ctx context.Context, c *broker.Client, a *registry.Application, r reach) error {
	p.Stores, p.Empty = r.stores, r.repartition
	var names []string
	for _, st := range a.Stores() {
		if st.Subtopology >= 0 && slices.Contains(r.stores, st.Name) && st.Topic == st.Changelog(a.ID) {
			names = append(names, st.Topic)
		}
	}
	found, err := c.Topics(ctx, append(slices.Clone(names), p.Empty...)...)
	if err != nil {
		return err
	}
	gone := func(t string) bool { return found[t].Partitions == 0 }
	p.Delete, p.Empty = slices.DeleteFunc(names, gone), slices.DeleteFunc(p.Empty, gone)
	slices.Sort(p.Stores)
	slices.Sort(p.Delete)
	slices.Sort(p.Empty)
	return nil
}

// neighbours looks at the other applications: none may own what is deleted, and some may
// read what is written again.
func (p *Plan) neighbours(ctx context.Context, c *broker.Client) error {
	apps, err := registry.Applications(ctx, c)
	if err != nil {
		return err
	}
	for _, app := range apps {
		if app == p.App {
			continue
		}
		r, err := registry.Open(ctx, c, app)
		if err != nil {
			return err
		}
		says, err := r.Read(ctx)
		if err != nil {
			p.Notes = append(p.Notes, fmt.Sprintf("what application %s reads is not known: %v", app, err))
			continue
		}
		if says.Application == nil {
			continue
		}
		for _, t := range says.Application.Topics() {
			switch {
			case t.Role.Own() && (slices.Contains(p.Delete, t.Name) || slices.Contains(p.Empty, t.Name)):
				return fmt.Errorf("topic %q belongs to application %s as well as to %s: give a store or a repartition topic of one of them another name", t.Name, app, p.App)
			case (t.Role == registry.Input || t.Role == registry.Global) && slices.Contains(p.Rewrites, t.Name):
				p.Readers = append(p.Readers, fmt.Sprintf("%s reads %s", app, t.Name))
			}
		}
	}
	return nil
}
