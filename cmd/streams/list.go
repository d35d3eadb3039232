package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/registry"
)

// contents is what an application says about itself.
func contents(ctx context.Context, c *broker.Client, app string) (registry.Contents, error) {
	r, err := registry.Open(ctx, c, app)
	if err != nil {
		return registry.Contents{}, err
	}
	defer r.Close()
	return r.Read(ctx)
}

// follow keeps up with what an application says about itself.
func follow(ctx context.Context, c *broker.Client, app string) (*registry.Watch, error) {
	r, err := registry.Open(ctx, c, app)
	if err != nil {
		return nil, err
	}
	return r.Watch(ctx)
}

// latest is what an application says about itself; that it has not said what it consists of
// is an error.
func latest(ctx context.Context, w *registry.Watch, app string) (registry.Contents, error) {
	says, err := w.Latest(ctx)
	if err == nil && says.Application == nil {
		err = fmt.Errorf("application %s: %w", app, registry.ErrNone)
	}
	return says, err
}

// application is what an application consists of; that nobody knows is an error.
func application(ctx context.Context, c *broker.Client, app string) (*registry.Application, error) {
	found, err := contents(ctx, c, app)
	if err != nil {
		return nil, err
	}
	if found.Application == nil {
		return nil, fmt.Errorf("application %s: %w", app, registry.ErrNone)
	}
	return found.Application, nil
}

// listed is an application as list shows it.
type listed struct {
	Application string     `json:"application"`
	Guarantee   string     `json:"guarantee"`
	Version     string     `json:"version"`
	Tasks       int        `json:"tasks"`
	Stores      int        `json:"stores"`
	Resetting   bool       `json:"resetting"`
	Instances   []instance `json:"instances"`
}

// instance is an instance as list shows it.
type instance struct {
	Process  string    `json:"process"`
	Host     string    `json:"host"`
	PID      int       `json:"pid"`
	Workers  int       `json:"workers"`
	Version  string    `json:"version"`
	StateDir string    `json:"state_dir"`
	Started  time.Time `json:"started"`
	Beat     time.Time `json:"heartbeat"`
	Alive    bool      `json:"alive"`
}

func newList(t *tool) *cobra.Command {
	return &cobra.Command{
		Use:   "list [APP...]",
		Short: "List applications and their instances",
		Long: `List applications and their instances, as they describe themselves in topics whose names end in
-streams-registry. An instance that has not been heard of for three heartbeats is silent: it died,
or does not reach Kafka.`,
		RunE: func(cmd *cobra.Command, apps []string) error {
			ctx := cmd.Context()
			c, err := t.dial(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			if len(apps) == 0 {
				if apps, err = registry.Applications(ctx, c); err != nil {
					return err
				}
			}
			all := []listed{}
			for _, app := range apps {
				found, err := contents(ctx, c, app)
				if err != nil {
					return err
				}
				all = append(all, list(app, found, time.Now()))
			}
			return t.print(all, func(w io.Writer) { writeList(w, all, time.Now()) })
		},
	}
}

func list(app string, found registry.Contents, now time.Time) listed {
	l := listed{Application: app, Resetting: found.Reset != nil, Instances: []instance{}}
	if a := found.Application; a != nil {
		l.Guarantee, l.Version, l.Stores = a.Guarantee, a.Version, len(a.Stores())
		l.Tasks = tasks(a)
	}
	for _, i := range found.Instances {
		l.Instances = append(l.Instances, instance{i.Process, i.Host, i.PID, i.Workers, i.Version, i.StateDir, i.Started, i.Beat, i.Alive(now)})
	}
	slices.SortFunc(l.Instances, func(a, b instance) int { return a.Started.Compare(b.Started) })
	return l
}

// tasks is how many tasks an application has.
func tasks(a *registry.Application) (n int) {
	for _, s := range a.Plan.Subtopologies {
		width := int32(0)
		for _, src := range s.Sources {
			width = max(width, a.Partitions[src.In(a.ID)])
		}
		n += int(width)
	}
	return n
}

func writeList(w io.Writer, all []listed, now time.Time) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no application has described itself in this cluster")
		return
	}
	rows := [][]string{{"APPLICATION", "INSTANCES", "TASKS", "STORES", "GUARANTEE", "VERSION", ""}}
	instances := [][]string{{"APPLICATION", "PROCESS", "HOST", "PID", "WORKERS", "STARTED", "STATE"}}
	for _, l := range all {
		alive, note := 0, ""
		for _, i := range l.Instances {
			state := "silent for " + now.Sub(i.Beat).Round(time.Second).String()
			if i.Alive {
				alive++
				state = "running"
			}
			instances = append(instances, []string{l.Application, i.Process, i.Host, strconv.Itoa(i.PID), strconv.Itoa(i.Workers), i.Started.Format(time.RFC3339), state})
		}
		if l.Resetting {
			note = "a reset is under way"
		}
		rows = append(rows, []string{l.Application, strconv.Itoa(alive), strconv.Itoa(l.Tasks), strconv.Itoa(l.Stores), l.Guarantee, l.Version, note})
	}
	table(w, rows)
	if len(instances) > 1 {
		fmt.Fprintln(w)
		table(w, instances)
	}
}
