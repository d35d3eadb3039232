package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// protocolType is what Kafka's tools look for when they show a group's partitions.
const protocolType = "consumer"

const (
	leaveTimeout = 5 * time.Second // how long a member that ends tries to say goodbye, at most
	roundTimeout = 2 * time.Second // how long a static one stays for others to come to a round that it is in
)

// GroupConfig describes a membership. The functions are called from Run's goroutine, and
// no heartbeat is sent meanwhile: they must return well within Session.
type GroupConfig struct {
	Group      string
	Protocol   string // name of the way to assign; all members must have the same
	InstanceID string // "": dynamic, leaves when Run ends. Else static: keeps its partitions through a restart within Session
	Former     string // the id of a dynamic member that died without leaving: it leaves when Run begins, so that nobody waits for its session

	Session   time.Duration // a member that is silent for so long is out; within the broker's limits, 6 s to 30 min by default
	Rebalance time.Duration // members that do not join within it are out
	Heartbeat time.Duration // also how soon a member notices that it must join again

	Topics []string

	// Joining is called before every JoinGroup, several times in one rebalance maybe. A
	// follower that asked for a rebalance gets one only if its bytes changed.
	Joining func() (userData []byte, owned []kafka.Partition)
	// Joined is called when the group has a new generation: commits of the old one are
	// refused from now on, and have to wait for Assigned, Lost or the end of Run.
	Joined func()
	// Plan is called on the leader: who gets what. Members it leaves out get nothing. After
	// an error it is called again, in another rebalance.
	Plan func(members []GroupMember) (map[string]Assignment, error)
	// Held is called when the coordinator has answered this member: nobody else is given its
	// partitions before until.
	Held func(until time.Time)
	// Assigned is called with what this member got.
	Assigned func(m Member, a Assignment)
	// Lost is called when the partitions belong to somebody else now, or may.
	Lost func(error)
}

// GroupMember is a member as the leader sees it.
type GroupMember struct {
	ID, InstanceID string
	UserData       []byte
	Owned          []kafka.Partition
	Generation     int32 // in which it owned them; -1: none
}

// Assignment is what a member gets: partitions, for all to see, and what the assignor adds.
type Assignment struct {
	Partitions []kafka.Partition
	UserData   []byte
}

// Group is one member of a consumer group, over a connection of its own: a waiting
// JoinGroup would hold up everything else on it.
type Group struct {
	c      *Client
	o      GroupConfig
	rejoin chan string
	hurry  chan struct{}

	mu      sync.Mutex
	waits   *conn  // for the answer to a JoinGroup or a SyncGroup; nil: does not
	waitsAs string // the member that asked

	// Of Run's goroutine.
	life       context.Context // of its connections
	conn       *conn
	id         string    // given by the coordinator; kept until it says that it does not know it
	generation int32     // -1: none
	answered   time.Time // by the coordinator, the last time
}

// NewGroup returns a membership that begins with Run.
func (c *Client) NewGroup(o GroupConfig) *Group {
	return &Group{c: c, o: o, rejoin: make(chan string, 1), hurry: make(chan struct{}, 1), generation: -1}
}

// Rejoin asks for a rebalance, for the reason that the broker's log will show. It may be
// called at any time, from any goroutine.
func (g *Group) Rejoin(reason string) {
	select {
	case g.rejoin <- cmp.Or(reason, "asked for"):
	default: // one is asked for already
	}
}

// Hurry makes the member look for a rebalance more often for some seconds, since one is
// expected: how long a hand-over takes depends on when the last member notices it.
func (g *Group) Hurry() { kick(g.hurry) }

// Refused says that the coordinator has refused offsets of this member. There is a rebalance
// to look for, or it does not know the member at all. Then it has forgotten what the member
// waits for, maybe for as long as a rebalance may take: it asks again, and is told.
func (g *Group) Refused(as Member, refusal error) {
	g.Hurry()
	g.mu.Lock()
	defer g.mu.Unlock()
	if errors.Is(refusal, sarama.ErrUnknownMemberId) && g.waits != nil && g.waitsAs == as.ID {
		g.waits.cut()
	}
}

// waiting notes that the member waits for an answer, until the function that it returns is
// called.
func (g *Group) waiting() (answered func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waits, g.waitsAs = g.conn, g.id
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waits = nil
	}
}

const (
	hurryInterval = 25 * time.Millisecond
	hurryFor      = 5 * time.Second
)

// errAgain means that the same has to be done again, at once.
var errAgain = errors.New("again")

// Run is a member of the group until ctx ends, which returns nil, or until an error that
// trying again does not cure: another process has the instance id, the group may not be
// joined. A dynamic member leaves then, a static one stays until its session expires. Lost
// is called before an error, if there was something to lose, and not when ctx ends.
func (g *Group) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(g.c.ctx, func() { cancel(errClosed) })()
	defer cancel(nil)
	defer func() { g.leave(g.id) }()
	life, end := g.lasting(ctx)
	defer end()
	g.life = life
	defer g.disconnect()
	g.leave(g.o.Former)
	reason := "first join"
	level := slog.LevelWarn
	for ctx.Err() == nil {
		reason = cmp.Or(g.checkSession(), reason)
		next, err := g.step(ctx, reason)
		switch {
		case err == nil:
			reason, level = next, slog.LevelWarn
		case ctx.Err() != nil, errors.Is(err, errAgain):
		case isFatalToMember(err):
			g.lose(err)
			return fmt.Errorf("broker: member of group %q: %w", g.o.Group, err)
		default: // the network, or another coordinator
			g.c.log.Log(ctx, level, "a request to the group's coordinator failed, trying until one succeeds", "group", g.o.Group, "error", err)
			level = slog.LevelDebug
			g.disconnect()
			sleep(ctx, later+rand.N(2*later))
		}
	}
	if g.c.ctx.Err() != nil {
		return errClosed
	}
	return nil
}

// lasting is how long the member's connections live: a static member's for as long as others
// may take to come to a round that it is in. It does not leave, so they would have to wait for
// its session if it ended in the middle, as the leader maybe.
func (g *Group) lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	if g.o.InstanceID == "" {
		return context.WithCancel(ctx)
	}
	life, end := context.WithCancel(g.c.ctx)
	context.AfterFunc(ctx, func() { time.AfterFunc(g.o.Heartbeat+roundTimeout, end) })
	return life, end
}

// step joins, for the given reason, or follows until there is one, which it returns.
func (g *Group) step(ctx context.Context, reason string) (next string, err error) {
	if err := g.connect(ctx); err != nil {
		return "", err
	}
	if reason != "" {
		return "", g.join(ctx, reason)
	}
	return g.follow(ctx)
}

// checkSession gives the partitions up when the coordinator has done so by now, and
// returns why a join is due. The member keeps its id: the coordinator tells what it is
// still worth.
func (g *Group) checkSession() string {
	if g.generation < 0 || time.Since(g.answered) < g.o.Session+g.o.Session/10 {
		return ""
	}
	g.lose(fmt.Errorf("broker: no answer from the coordinator of group %q for the session timeout of %v: %w", g.o.Group, g.o.Session, sarama.ErrUnknownMemberId))
	return "the session expired"
}

// lose tells the owner, once, that the partitions are gone.
func (g *Group) lose(err error) {
	if g.generation >= 0 {
		g.generation = -1
		g.o.Lost(err)
	}
}

// forget ends a membership that the coordinator knows nothing of.
func (g *Group) forget(code sarama.KError) {
	g.id = ""
	g.lose(fmt.Errorf("broker: group %q: %w", g.o.Group, code))
}

func (g *Group) connect(ctx context.Context) error {
	if g.conn != nil {
		return nil
	}
	search, end := g.c.bound(ctx, g.o.Session/4) // the session may expire, which must be noticed
	defer end()
	addr, err := g.c.findCoordinator(search, sarama.CoordinatorGroup, g.o.Group)
	if err != nil {
		return err
	}
	// A JoinGroup waits for the slowest member, a SyncGroup for the leader.
	cn := g.c.newConn(g.life, addr, g.o.Rebalance+readTimeout)
	stop := context.AfterFunc(search, cn.cut)
	err = cn.open()
	stop()
	if err != nil {
		return err
	}
	g.conn = cn
	return nil
}

func (g *Group) disconnect() {
	if g.conn != nil {
		g.conn.close()
		g.conn = nil
	}
}

func (g *Group) instance() *string { return Member{InstanceID: g.o.InstanceID}.instance() }

// follow sends heartbeats until a join is due, and returns why.
func (g *Group) follow(ctx context.Context) (reason string, err error) {
	beat := time.NewTicker(g.o.Heartbeat)
	defer beat.Stop()
	var hurried time.Time
	for {
		select {
		case <-ctx.Done():
			return "", nil
		case reason := <-g.rejoin:
			return reason, nil
		case <-g.hurry:
			hurried = time.Now()
			beat.Reset(min(hurryInterval, g.o.Heartbeat))
			continue
		case <-beat.C:
		}
		if !hurried.IsZero() && time.Since(hurried) > hurryFor {
			hurried = time.Time{}
			beat.Reset(g.o.Heartbeat)
		}
		sent := time.Now()
		r, err := g.heartbeat()
		if err != nil {
			return "", err
		}
		if r.Err == sarama.ErrNoError || r.Err == sarama.ErrRebalanceInProgress {
			g.answered = time.Now()
			g.o.Held(sent.Add(g.o.Session))
		}
		switch r.Err {
		case sarama.ErrNoError:
		case sarama.ErrRebalanceInProgress:
			return "the group is rebalancing", nil
		case sarama.ErrUnknownMemberId, sarama.ErrIllegalGeneration:
			g.forget(r.Err)
			return "the membership was lost", nil
		default:
			return "", fmt.Errorf("heartbeat: %w", explain(r.Err))
		}
	}
}

// heartbeat gives up before the session expires: the connection itself waits as long as a
// JoinGroup may take.
func (g *Group) heartbeat() (*sarama.HeartbeatResponse, error) {
	impatience := time.AfterFunc(g.o.Session/3, g.conn.cut)
	defer impatience.Stop()
	return g.conn.Heartbeat(&sarama.HeartbeatRequest{
		Version: 4, GroupId: g.o.Group, MemberId: g.id, GenerationId: g.generation, GroupInstanceId: g.instance(),
	})
}

// isFatalToMember reports an answer that stays the same however often one asks.
func isFatalToMember(err error) bool {
	for _, code := range []sarama.KError{
		sarama.ErrFencedInstancedId, sarama.ErrGroupAuthorizationFailed, sarama.ErrTopicAuthorizationFailed,
		sarama.ErrClusterAuthorizationFailed, sarama.ErrInvalidSessionTimeout, sarama.ErrInconsistentGroupProtocol,
		sarama.ErrInvalidGroupId, sarama.ErrGroupMaxSizeReached, sarama.ErrUnsupportedVersion, sarama.ErrSASLAuthenticationFailed,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// leave makes the coordinator give a dynamic member's partitions away now, and not when
// the session expires. It takes a new connection: on the old one a join may be pending.
func (g *Group) leave(id string) {
	if id == "" || g.o.InstanceID != "" || g.c.ctx.Err() != nil {
		return
	}
	ctx, end := g.c.bound(g.c.ctx, leaveTimeout)
	defer end()
	l := g.c.link(ctx, g.c.groupCoordinator(g.o.Group))
	defer l.close()
	err := l.ask(ctx, func(b *sarama.Broker) (sarama.KError, error) {
		r, err := b.LeaveGroup(&sarama.LeaveGroupRequest{Version: 4, GroupId: g.o.Group, Members: []sarama.MemberIdentity{{MemberId: id}}})
		if err != nil {
			return 0, err
		}
		return r.Err, nil
	})
	if err != nil && !errors.Is(err, sarama.ErrUnknownMemberId) {
		g.c.log.Warn("could not leave the group, its other members wait for the session timeout", "group", g.o.Group, "member", id, "error", err)
	}
}
