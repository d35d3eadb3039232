//go:build unix

package chaos

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/topology"
)

// spec is what an instance is to do.
type spec struct {
	App, Prefix string
	Brokers     []string
	State       string
	Guarantee   streams.Guarantee
}

// session is the shortest that brokers allow.
const session = 6 * time.Second

func TestMain(m *testing.M) { e2etest.Main(m, runInstance) }

// runInstance runs until ctx ends.
func runInstance(ctx context.Context, s spec) error {
	b := topology.NewBuilder()
	everything(b, s.Prefix, s.App)
	topo, err := b.Build()
	if err != nil {
		return err
	}
	app, err := streams.New(topo, streams.Config{
		ApplicationID: s.App, Brokers: s.Brokers, StateDir: s.State, Guarantee: s.Guarantee, Workers: 2, SessionTimeout: session, StandbyReplicas: 1,
		OnBadRecord: func(streams.BadRecord) streams.Decision { return streams.Skip },
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	return app.Run(ctx)
}
