package broker

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-df18afd4/streams/internal/badnet"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

func TestDialToNobodyFailsSoonAndSaysWhatToCheck(t *testing.T) {
	t.Parallel() // it waits for long, and does next to nothing meanwhile
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close()) // nobody listens there now

	within(t, firstContact+5*time.Second, func() {
		_, err = Dial(t.Context(), Options{Brokers: []string{addr}})
	})
	require.ErrorContains(t, err, addr)
	require.ErrorContains(t, err, "check the addresses")
	require.ErrorContains(t, err, "refused", "the cause is named")
}

// A host that takes the connection and says nothing is the worst kind.
func TestDialToASilentHostFailsSoon(t *testing.T) {
	t.Parallel() // it waits for long, and does next to nothing meanwhile
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	within(t, firstContact+5*time.Second, func() {
		_, err = Dial(t.Context(), Options{Brokers: []string{l.Addr().String()}})
	})
	require.ErrorContains(t, err, l.Addr().String())
}

func TestDialPassesOverADeadAddress(t *testing.T) {
	b, err := embedded.Start()
	require.NoError(t, err)
	defer b.Close()
	for range 5 { // it begins anywhere
		c, err := Dial(t.Context(), Options{Brokers: append([]string{"127.0.0.1:1"}, b.Addrs()...)})
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
}

func TestDialWithoutAddresses(t *testing.T) {
	_, err := Dial(t.Context(), Options{})
	require.ErrorContains(t, err, "no broker address")
}

func TestDialHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Dial(ctx, Options{Brokers: []string{"127.0.0.1:1"}})
	require.ErrorIs(t, err, context.Canceled)
}

// The user's settings for sarama's own producer must not get in the way.
func TestUsersConfigurationIsCopiedAndCompleted(t *testing.T) {
	theirs := sarama.NewConfig()
	theirs.Producer.Idempotent = true // sarama would demand one open request
	theirs.Producer.MaxMessageBytes = 5000
	theirs.ClientID = "theirs"
	before := *theirs

	cfg := configure(Options{Sarama: theirs})
	require.NoError(t, cfg.Validate())
	require.Equal(t, 5000, cfg.Producer.MaxMessageBytes)
	require.Equal(t, "theirs", cfg.ClientID)
	require.Equal(t, maxInFlight, cfg.Net.MaxOpenRequests)
	require.True(t, cfg.Version.IsAtLeast(sarama.V3_9_0_0))
	require.Equal(t, before.Net, theirs.Net)
	require.Equal(t, before.Version, theirs.Version)
	require.Equal(t, "ours", configure(Options{Sarama: theirs, ClientID: "ours"}).ClientID)
}

// countingDialer is a user's own way to open sockets, such as a SOCKS proxy.
type countingDialer struct{ dialled chan string }

func (d countingDialer) Dial(network, addr string) (net.Conn, error) {
	d.dialled <- addr
	return net.Dial(network, addr)
}

func TestUsersProxyIsUsed(t *testing.T) {
	b, err := embedded.Start()
	require.NoError(t, err)
	defer b.Close()
	cfg := sarama.NewConfig()
	d := countingDialer{make(chan string, 10)}
	cfg.Net.Proxy.Enable, cfg.Net.Proxy.Dialer = true, d
	c, err := Dial(t.Context(), Options{Brokers: b.Addrs(), Sarama: cfg})
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, b.Addrs()[0], <-d.dialled)
}

// The socket is caught below TLS, so that what waits can be interrupted there as well.
func TestOverTLSRecordsPassAndCloseIsPrompt(t *testing.T) {
	direct := onEmbedded(t)
	to := kafka.Partition{Topic: createTopic(t, direct, 1, nil)}
	px, config := badnet.BeforeTLS(t, direct.seeds[0])
	cfg := sarama.NewConfig()
	cfg.Net.TLS.Enable, cfg.Net.TLS.Config = true, config
	c, err := Dial(t.Context(), Options{Brokers: []string{px.Addr()}, Sarama: cfg})
	require.NoError(t, err)
	defer c.Close()
	p := newProducer(t, c, ProducerOptions{TransactionalID: to.Topic})
	add(t, p, to, "v", 3)
	require.NoError(t, p.Commit(Member{Group: to.Topic, Generation: -1}, map[kafka.Partition]kafka.Offset{to: {At: 3}}))
	f := newFetcher(t, c, FetchOptions{ReadCommitted: true})
	require.Equal(t, values("v", 3), read(t, f, to, 0).to(4))
	defer px.Freeze()() // the next answer will not come
	within(t, readTimeout/2, f.Close)
}

func TestDialWithoutTheTLSThatIsNeededSaysSo(t *testing.T) {
	t.Parallel() // it waits for long, and does next to nothing meanwhile
	px, _ := badnet.BeforeTLS(t, onEmbedded(t).seeds[0])
	_, err := Dial(t.Context(), Options{Brokers: []string{px.Addr()}})
	require.ErrorContains(t, err, "TLS")
}

func TestCloseEndsWhatWaitsAndLeavesNothing(t *testing.T) {
	kafkatest.Each(t, func(t *testing.T, brokers []string) {
		before := goleak.IgnoreCurrent()
		c, err := Dial(t.Context(), Options{Brokers: brokers})
		require.NoError(t, err)
		name := createTopic(t, c, 2, nil)
		to := kafka.Partition{Topic: name}
		p, err := c.NewProducer(t.Context(), ProducerOptions{TransactionalID: name})
		require.NoError(t, err)
		add(t, p, to, "v", 3)
		require.NoError(t, p.Commit(Member{}, nil))
		f := c.NewFetcher(FetchOptions{ReadCommitted: true})
		read(t, f, to, 0).to(4)
		_, err = c.Committed(t.Context(), name, []kafka.Partition{to})
		require.NoError(t, err)
		joined := make(chan struct{})
		g := c.NewGroup(testGroup(name, name, func(Member, Assignment) { close(joined) }))
		ran := make(chan error)
		go func() { ran <- g.Run(context.Background()) }()
		<-joined

		// Nothing else is closed: the client's end is theirs.
		within(t, readTimeout/2, func() { c.Close() })
		require.ErrorIs(t, <-ran, errClosed)
		// All it was given is acknowledged, so Wait may say so once more before the producer knows.
		eventually(t, "the producer has ended", func() bool { return errors.Is(p.Wait(), errClosed) })
		require.ErrorIs(t, p.Commit(Member{}, nil), errClosed)
		require.ErrorIs(t, p.Abort(), errClosed)
		_, err = c.Topics(context.Background(), name)
		require.ErrorIs(t, err, errClosed)
		require.ErrorIs(t, c.CommitOffsets(Member{Group: name, Generation: -1}, map[kafka.Partition]kafka.Offset{to: {}}), errClosed)
		p.Close()
		f.Close()
		// sarama's metrics library starts one goroutine in a process, for all meters and for ever.
		tick := goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")
		eventually(t, "all goroutines have ended", func() bool { return goleak.Find(before, tick) == nil })
	})
}
