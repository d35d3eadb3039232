package streams

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/seed-df18afd4/streams/internal/registry"
)

const (
	// beatInterval is how often an instance says in the registry that it runs.
	beatInterval = 10 * time.Second
	// goodbyeTimeout bounds how long it tries to say there that it has stopped.
	goodbyeTimeout = 2 * time.Second
)

// presence keeps the registry told what the application is and that this instance runs. It
// does so beside the processing, which never waits for it: what fails is logged and tried
// again at the next beat.
type presence struct {
	registry    *registry.Registry
	before      registry.Contents
	application registry.Application
	instance    registry.Instance
	log         *slog.Logger
	cancel      context.CancelFunc
	running     sync.WaitGroup
}

// start begins to tell.
func (p *presence) start() {
	p.instance.Host, _ = os.Hostname() // a name for people; none is as good
	p.instance.PID, p.instance.Started, p.instance.Every = os.Getpid(), time.Now().UTC(), beatInterval
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	p.running.Go(func() {
		tick := time.NewTicker(beatInterval)
		defer tick.Stop()
		published := false
		for ctx.Err() == nil {
			published = p.beat(ctx, published)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
}

func (p *presence) beat(ctx context.Context, published bool) bool {
	if !published {
		if err := p.registry.Publish(ctx, p.application, p.before); err != nil {
			p.complain(ctx, "describe the application in its registry", err)
			return false
		}
	}
	if err := p.registry.Beat(ctx, p.instance); err != nil {
		p.complain(ctx, "say in the registry that this instance runs", err)
	}
	return true
}

func (p *presence) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		p.log.Warn(what, "error", err)
	}
}

// stop says that the instance has stopped.
func (p *presence) stop() {
	p.cancel()
	p.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	defer cancel()
	if err := p.registry.Gone(ctx, p.instance.Process); err != nil {
		p.log.Warn("say in the registry that this instance has stopped", "error", err)
	}
}
