package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Publish says what the application consists of. It writes nothing if that is what before
// says already.
func (r *Registry) Publish(ctx context.Context, a Application, before Contents) error {
	a.Format, a.ID, a.Version, a.Published = Format, r.App, Version(), time.Now().UTC()
	if old := before.Application; old != nil {
		same := a
		same.Published = old.Published
		is, err := json.Marshal(same)
		if err != nil {
			return fmt.Errorf("registry: encode the application: %w", err)
		}
		if was, err := json.Marshal(old); err == nil && bytes.Equal(is, was) {
			return nil
		}
	}
	return r.put(ctx, applicationKey, a)
}

// Beat says that an instance runs.
func (r *Registry) Beat(ctx context.Context, i Instance) error {
	i.Format, i.Version, i.Beat = Format, Version(), time.Now().UTC()
	return r.put(ctx, instancePrefix+i.Process, i)
}

// Gone says that an instance has stopped.
func (r *Registry) Gone(ctx context.Context, process string) error {
	return r.put(ctx, instancePrefix+process, nil)
}

// SetTopics says which input topics the state is of.
func (r *Registry) SetTopics(ctx context.Context, ids map[string]string) error {
	return r.put(ctx, topicsKey, Topics{Format: Format, IDs: ids})
}

// SetEpoch says which resets there were.
func (r *Registry) SetEpoch(ctx context.Context, e Epoch) error {
	e.Format = Format
	return r.put(ctx, epochKey, e)
}

// SetReset says that a reset is under way, and how far; nil: that it is done.
func (r *Registry) SetReset(ctx context.Context, reset *Reset) error {
	if reset == nil {
		return r.put(ctx, resetKey, nil)
	}
	v := *reset
	v.Format = Format
	return r.put(ctx, resetKey, v)
}
