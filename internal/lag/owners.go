package lag

import (
	"context"

	"github.com/seed-df18afd4/streams/internal/assign"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/registry"
)

// Instance is a process of the application.
type Instance struct {
	Process string `json:"process"`        // the id of its state directory
	Host    string `json:"host,omitempty"` // empty, as PID is 0, where it has not said so yet
	PID     int    `json:"pid,omitempty"`
}

// owners are the instances that the group has given the tasks to, by task. While the group
// rebalances the broker does not say, and none are known.
func owners(ctx context.Context, c *broker.Client, says registry.Contents) (map[string]*Instance, error) {
	g, err := c.DescribeGroup(ctx, says.Application.ID)
	if err != nil {
		return nil, err
	}
	of := map[string]*Instance{}
	for _, m := range g.Members {
		s, err := assign.DecodeSubscription(m.Subscription)
		if err != nil {
			continue // not a member of this library, or of a version that this one does not know
		}
		a, err := assign.DecodeAssignment(m.Assignment)
		if err != nil {
			continue
		}
		owner := &Instance{Process: s.Process}
		for _, i := range says.Instances {
			if i.Process == s.Process {
				owner.Host, owner.PID = i.Host, i.PID
			}
		}
		for _, task := range a.Tasks {
			of[task.String()] = owner
		}
	}
	return of, nil
}
