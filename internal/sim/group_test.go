package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// phase is the state of a group, by Kafka's names.
type phase string

const (
	stable     phase = "stable"
	preparing  phase = "preparing"  // members are joining
	completing phase = "completing" // the leader is planning
)

// group is the coordinator of the one group that there is.
type group struct {
	w          *world
	state      phase
	generation int32
	members    []*member // the first leads
	deadline   time.Time // for those who have not joined
	named      int       // members so far
	expired    int       // sessions so far
	committed  map[kafka.Partition]kafka.Offset
	pending    map[int64]map[kafka.Partition]kafka.Offset // in transactions, by producer id

	sloppyInstances bool // a mistake that is planted: an instance id is taken over under the same member id
}

// member is one, as the coordinator sees it.
type member struct {
	broker.GroupMember
	session    time.Duration
	heard      time.Time
	process    *process
	joining    bool
	assignment *broker.Assignment // nil: not planned yet
}

func newGroup(w *world) *group {
	return &group{w: w, state: stable, committed: map[kafka.Partition]kafka.Offset{}, pending: map[int64]map[kafka.Partition]kafka.Offset{}}
}

func (g *group) find(id string) *member {
	for _, m := range g.members {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// static finds the member of an instance id.
func (g *group) static(instance string) *member {
	for _, m := range g.members {
		if instance != "" && m.InstanceID == instance {
			return m
		}
	}
	return nil
}

// known finds a member. Another one that has its instance id by now has fenced it.
func (g *group) known(id, instance string) (*member, error) {
	if m := g.static(instance); m != nil && m.ID != id {
		return nil, sarama.ErrFencedInstancedId
	}
	if m := g.find(id); m != nil {
		return m, nil
	}
	return nil, sarama.ErrUnknownMemberId
}

// join takes a member in, and begins a rebalance; but not if it comes back under its
// instance id while nothing else changes: then it has what it had.
func (g *group) join(p *process, id string, c broker.GroupConfig, data []byte, owned []kafka.Partition) (m *member, err error) {
	back := false
	switch {
	case id != "":
		if m, err = g.known(id, c.InstanceID); err != nil {
			return nil, err
		}
	case g.static(c.InstanceID) != nil:
		m = g.replace(g.static(c.InstanceID))
		back = g.state == stable
	default:
		m = g.add(c.InstanceID)
	}
	m.process, m.UserData, m.Owned, m.session, m.heard, m.joining = p, data, owned, c.Session, g.w.now, !back
	if back {
		g.w.counts["came back under its instance id"]++
		return m, nil
	}
	g.rebalance(c.Rebalance)
	g.gather()
	return m, nil
}

func (g *group) add(instance string) *member {
	g.named++
	m := &member{GroupMember: broker.GroupMember{ID: fmt.Sprintf("member-%d", g.named), InstanceID: instance}}
	g.members = append(g.members, m)
	return m
}

// replace gives the place of a static member to another process.
func (g *group) replace(old *member) *member {
	g.named++
	m := &member{GroupMember: old.GroupMember, assignment: old.assignment}
	if m.ID = fmt.Sprintf("member-%d", g.named); g.sloppyInstances {
		m.ID = old.ID
	}
	g.w.tracef("group: %s is %s now", old.ID, m.ID)
	g.members[slices.Index(g.members, old)] = m
	return m
}

func (g *group) rebalance(patience time.Duration) {
	if g.state != preparing {
		g.state, g.deadline = preparing, g.w.now.Add(patience)
	}
}

// gather ends the joining when all have joined, or the others are too late.
func (g *group) gather() {
	if g.state != preparing {
		return
	}
	if !g.w.now.Before(g.deadline) {
		g.members = slices.DeleteFunc(g.members, func(m *member) bool { return !m.joining })
	}
	if len(g.members) == 0 || slices.ContainsFunc(g.members, func(m *member) bool { return !m.joining }) {
		return
	}
	g.generation++
	g.state = completing
	for _, m := range g.members {
		m.joining, m.assignment, m.heard = false, nil, g.w.now
	}
	g.w.tracef("group: generation %d, %d members, led by %s", g.generation, len(g.members), g.members[0].ID)
}

// assign ends the rebalance with the leader's plan.
func (g *group) assign(generation int32, plan map[string]broker.Assignment) {
	if g.state != completing || generation != g.generation {
		return
	}
	g.state = stable
	for _, m := range g.members {
		a := plan[m.ID]
		m.assignment = &a
	}
}

// remove puts a member out, and begins a rebalance among the others.
func (g *group) remove(id string) {
	n := len(g.members)
	g.members = slices.DeleteFunc(g.members, func(m *member) bool { return m.ID == id })
	if len(g.members) < n {
		g.w.tracef("group: %s is out", id)
		g.rebalance(rebalancePatience)
		g.gather()
	}
}

const rebalancePatience = time.Minute

// expire puts out who is silent. What keeps them from writing, when their tasks are somebody
// else's, is their transactions' epoch, and without transactions their lease.
func (g *group) expire() {
	for _, m := range slices.Clone(g.members) {
		if !m.joining && g.w.now.Sub(m.heard) > m.session {
			g.expired++
			g.remove(m.ID)
		}
	}
	g.gather()
}

// check says whether a member may commit offsets. Who claims to be none may, in a
// transaction: the broker leaves it to the transaction's epoch then.
func (g *group) check(m broker.Member, transaction bool) error {
	known, err := g.known(m.ID, m.InstanceID)
	switch {
	case transaction && m.ID == "" && m.Generation < 0:
		return nil
	case errors.Is(err, sarama.ErrUnknownMemberId):
		return fmt.Errorf("%w: %w", broker.ErrStaleGeneration, err)
	case err != nil:
		return err
	case m.Generation != g.generation:
		return fmt.Errorf("%w: %w", broker.ErrStaleGeneration, sarama.ErrIllegalGeneration)
	case g.state == completing && !transaction:
		return fmt.Errorf("%w: %w", broker.ErrStaleGeneration, sarama.ErrRebalanceInProgress)
	}
	known.heard = g.w.now
	return nil
}

// membership is a member, as broker.Group is one.
type membership struct {
	client *client
	c      broker.GroupConfig
	rejoin chan struct{}

	id         string
	generation int32 // -1: none
	answered   time.Time
}

func (c *client) newMembership(g broker.GroupConfig) *membership {
	return &membership{client: c, c: g, rejoin: make(chan struct{}, 1), generation: -1}
}

// Rejoin asks for a rebalance.
func (m *membership) Rejoin(string) {
	select {
	case m.rejoin <- struct{}{}:
	default:
	}
}

// Hurry does nothing: here heartbeats are as frequent as the seed wants.
func (m *membership) Hurry() {}

// Refused does nothing: here no answer is waited for.
func (m *membership) Refused(broker.Member, error) {}

var errJoinAgain = errors.New("join again")

// Run is a member until ctx ends, or another process has its instance id.
func (m *membership) Run(ctx context.Context) error {
	p := m.client.p
	m.leave(m.c.Former)
	due := true
	for ctx.Err() == nil {
		if m.generation >= 0 && p.w.now.Sub(m.answered) > m.c.Session*11/10 {
			m.lose(errors.New("no answer for the session timeout"))
			due = true
		}
		var err error
		if due {
			if err = m.join(ctx); err == nil {
				due = false
			}
		} else {
			due, err = m.follow(ctx)
		}
		if errors.Is(err, sarama.ErrFencedInstancedId) {
			m.lose(err)
			return err
		}
		if err != nil && !errors.Is(err, errJoinAgain) && ctx.Err() == nil {
			p.Wait(ctx, nil, 300*time.Millisecond)
		}
	}
	m.leave(m.id)
	return nil
}

// leave ends a dynamic membership. A static one lasts for its session.
func (m *membership) leave(id string) {
	if id != "" && m.c.InstanceID == "" {
		_ = m.client.call("LeaveGroup", func() error { m.client.k.group.remove(id); return nil })
	}
}

func (m *membership) lose(err error) {
	if m.generation >= 0 {
		m.generation = -1
		m.c.Lost(err)
	}
}

// join runs JoinGroup and SyncGroup.
func (m *membership) join(ctx context.Context) error {
	p, g := m.client.p, m.client.k.group
	data, owned := m.c.Joining()
	var self *member
	sent := p.w.now
	if err := m.client.call("JoinGroup", func() (err error) {
		self, err = g.join(p, m.id, m.c, data, owned)
		return err
	}); err != nil {
		return m.refused(err)
	}
	m.id = self.ID
	p.member = m.id
	for self.joining && g.find(m.id) == self {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.pause(func() bool { return !self.joining || g.find(m.id) != self || ctx.Err() != nil }, time.Time{})
	}
	m.answered = p.w.now
	if g.find(m.id) != self {
		return m.refused(m.gone())
	}
	m.c.Held(sent.Add(m.c.Session))
	m.c.Joined()
	return m.sync(ctx, self, g.generation)
}

// gone is why this is no member any more.
func (m *membership) gone() error {
	_, err := m.client.k.group.known(m.id, m.c.InstanceID)
	return cmp.Or(err, error(sarama.ErrUnknownMemberId))
}

func (m *membership) sync(ctx context.Context, self *member, generation int32) error {
	p, g := m.client.p, m.client.k.group
	var plan map[string]broker.Assignment
	if g.state == completing && g.members[0] == self {
		var members []broker.GroupMember
		for _, o := range g.members {
			members = append(members, o.GroupMember)
		}
		var err error
		if plan, err = m.c.Plan(members); err != nil {
			return err
		}
	}
	if err := m.client.call("SyncGroup", func() error {
		if _, err := g.known(m.id, m.c.InstanceID); err != nil {
			return err
		}
		if plan != nil {
			g.assign(generation, plan)
		}
		return nil
	}); err != nil {
		return m.refused(err)
	}
	planned := func() bool {
		return g.generation != generation || g.state != completing || g.find(m.id) != self || ctx.Err() != nil
	}
	for !planned() {
		p.pause(planned, time.Time{})
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case g.find(m.id) != self:
		return m.refused(m.gone())
	case g.generation != generation || self.assignment == nil:
		m.generation = generation
		return errJoinAgain
	}
	m.answered, m.generation, self.Generation = p.w.now, generation, generation
	p.w.tracef("%s: %s of generation %d", p.name, m.id, generation)
	m.c.Assigned(broker.Member{Group: m.c.Group, ID: m.id, InstanceID: m.c.InstanceID, Generation: generation}, *self.assignment)
	return nil
}

// refused forgets a membership that the coordinator does not know.
func (m *membership) refused(err error) error {
	if errors.Is(err, sarama.ErrUnknownMemberId) || errors.Is(err, sarama.ErrIllegalGeneration) {
		m.id = ""
		m.lose(err)
		return errJoinAgain
	}
	return err
}

// follow sends a heartbeat when it is time, and says whether a join is due.
func (m *membership) follow(ctx context.Context) (due bool, err error) {
	p, g := m.client.p, m.client.k.group
	if p.Wait(ctx, m.rejoin, m.c.Heartbeat) {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, nil
	}
	sent := p.w.now
	err = m.client.call("Heartbeat", func() error {
		self, err := g.known(m.id, m.c.InstanceID)
		switch {
		case err != nil:
			return err
		case m.generation != g.generation:
			return sarama.ErrIllegalGeneration
		}
		self.heard = p.w.now
		if g.state == preparing {
			return sarama.ErrRebalanceInProgress
		}
		return nil
	})
	switch {
	case err == nil:
		m.answered = p.w.now
		m.c.Held(sent.Add(m.c.Session))
		return false, nil
	case errors.Is(err, sarama.ErrRebalanceInProgress):
		m.answered = p.w.now
		m.c.Held(sent.Add(m.c.Session))
		return true, nil
	}
	if err = m.refused(err); errors.Is(err, errJoinAgain) {
		return true, nil
	}
	return false, err
}

// pend keeps offsets until their transaction ends.
func (g *group) pend(producer int64, offsets map[kafka.Partition]kafka.Offset) {
	if g.pending[producer] == nil {
		g.pending[producer] = map[kafka.Partition]kafka.Offset{}
	}
	maps.Copy(g.pending[producer], offsets)
}
