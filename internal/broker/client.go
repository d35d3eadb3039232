package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

const (
	// dialTimeout bounds opening one TCP connection: a host that is gone must not hold up
	// the search for one that is there.
	dialTimeout = 2 * time.Second
	// readTimeout bounds the wait for one answer. It is above produceTimeout, so that a
	// broker's own "timed out" arrives before the connection is given up.
	readTimeout = 15 * time.Second
	// firstContact bounds Dial.
	firstContact = 5 * time.Second
)

var errClosed = errors.New("broker: the client is closed")

// Options say how to reach Kafka.
type Options struct {
	Brokers  []string       // host:port of one broker or more; the others are found through them
	ClientID string         // shows in the broker's logs and in member ids; empty: that of Sarama
	Rack     string         // read from brokers of the same rack where the cluster allows it; empty: that of Sarama
	Sarama   *sarama.Config // copied, for TLS, SASL, the network and Producer.MaxMessageBytes; nil: sarama's defaults
	Log      *slog.Logger   // nil: silent
}

// Client knows the cluster: which brokers there are, who leads what, topics and offsets.
// Fetchers, producers and groups are made from it. It is safe for concurrent use.
type Client struct {
	cfg    *sarama.Config
	log    *slog.Logger
	ctx    context.Context // ends with Close; every connection is cut then
	cancel context.CancelCauseFunc
	conns  sync.WaitGroup // open connections

	any        *link // metadata, coordinators, topic configurations
	controller *link

	mu      sync.Mutex
	seeds   []string         // as the user named them
	known   []string         // as the cluster named them last
	brokers map[int32]string // their addresses by id
	turn    int              // of the next address to try
	leaders map[string]*link // by address, for questions to a partition's leader
	groups  map[string]*link // by group, to its coordinator
	endsOf  map[endKind]*together[kafka.Partition, int64]
	commits map[string]*together[kafka.Partition, kafka.Offset] // by group
	led     together[string, map[int32]leader]                  // topics' leaders
	limits  map[string]int                                      // bytes of a batch, by topic, where it was learnt that they are fewer
}

// Dial connects to the cluster. It fails within about five seconds when no broker
// answers.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if len(o.Brokers) == 0 {
		return nil, errors.New("broker: no broker address given: name at least one as host:port")
	}
	cfg := configure(o)
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("broker: the sarama configuration: %w", err)
	}
	c := &Client{
		cfg: cfg, log: o.Log,
		seeds:   slices.Clone(o.Brokers),
		turn:    rand.IntN(len(o.Brokers)), // not every client begins at the same broker
		leaders: map[string]*link{},
		groups:  map[string]*link{},
		endsOf:  map[endKind]*together[kafka.Partition, int64]{},
		commits: map[string]*together[kafka.Partition, kafka.Offset]{},
		limits:  map[string]int{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.led.once = c.leadersOf
	c.any = c.link(c.ctx, c.nextAddress)
	c.any.wait = firstContact // any broker has these answers at hand, so another one is tried soon
	c.controller = c.link(c.ctx, c.findController)
	ctx, cancel := context.WithTimeout(ctx, firstContact)
	defer cancel()
	// Any topic would do: what is wanted is an answer, and the brokers it names.
	if _, err := c.metadata(ctx, []string{"__consumer_offsets"}); err != nil {
		c.Close()
		return nil, fmt.Errorf("broker: connect to %s: %w: check the addresses, that a broker runs there, and the TLS and SASL settings",
			strings.Join(o.Brokers, ", "), err)
	}
	return c, nil
}

// configure copies the user's configuration and sets what this package relies on.
func configure(o Options) *sarama.Config {
	defaults := sarama.NewConfig()
	cfg := *defaults
	if o.Sarama != nil {
		cfg = *o.Sarama
	}
	if o.ClientID != "" {
		cfg.ClientID = o.ClientID
	}
	if o.Rack != "" {
		cfg.RackID = o.Rack
	}
	// Only a version of 2.5 or later sends the group's generation with a transaction's
	// offsets. The broker's own versions are asked for, so an older one still works.
	if !cfg.Version.IsAtLeast(sarama.V3_9_0_0) {
		cfg.Version = sarama.V3_9_0_0
	}
	cfg.ApiVersionsRequest = true
	withScram(&cfg)
	cfg.Net.DialTimeout = dialTimeout
	cfg.Net.ReadTimeout = readTimeout
	cfg.Net.WriteTimeout = readTimeout
	cfg.Net.MaxOpenRequests = maxInFlight
	// sarama's own consumer and producer are not used. Their settings must not make its
	// validation fail: Idempotent, say, demands one open request.
	size := cfg.Producer.MaxMessageBytes
	cfg.Producer, cfg.Consumer = defaults.Producer, defaults.Consumer
	cfg.Producer.MaxMessageBytes = size
	return &cfg
}

// Close cuts every connection, also those of the client's fetchers, producers and groups:
// their pending calls return with an error.
func (c *Client) Close() error {
	c.mu.Lock()
	c.cancel(errClosed)
	c.mu.Unlock()
	c.conns.Wait()
	return nil
}

// bound returns a context that ends with ctx and with the client, and after d.
func (c *Client) bound(ctx context.Context, d time.Duration) (context.Context, func()) {
	ctx, end := context.WithTimeoutCause(ctx, d, fmt.Errorf("no success within %v: %w", d, context.DeadlineExceeded))
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	return ctx, func() {
		stop()
		cancel(nil)
		end()
	}
}

// sleep waits for d, less if ctx ends before.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
