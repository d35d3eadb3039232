// Package registry is what an application says about itself in Kafka, so that tools know it
// without its program: what it consists of, which instances run, and what is being done to
// it. It lies in a compacted topic of one partition, whose records are JSON:
//
//	application         what it consists of (Application)
//	instance/<process>  an instance that runs (Instance); a tombstone after a clean stop
//	epoch               the last reset, by which instances know state that is older (Epoch)
//	reset               a reset that is under way (Reset); a tombstone when it is done
//
// A reader passes over keys and fields that it does not know, and refuses a value whose
// Format is newer than its own.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/kafka"
)

// suffix of the topic's name. No other topic that an application creates ends so, and a
// topic that ends so belongs to the application whose id is before it.
const suffix = "-streams-registry"

// TopicName is the name of an application's registry.
func TopicName(app string) string { return app + suffix }

// ErrNone says that an application has no registry: it never ran, or was written with
// something else.
var ErrNone = errors.New("no application of this id has left a description in this cluster")

// Registry is one application's. One goroutine at a time writes to it.
type Registry struct {
	App      string
	client   *broker.Client
	at       kafka.Partition
	producer *broker.Producer // nil until something is written, and after an error
}

// Open finds the registry of an application. It fails with ErrNone if there is none.
func Open(ctx context.Context, c *broker.Client, app string) (*Registry, error) {
	r := &Registry{App: app, client: c, at: kafka.Partition{Topic: TopicName(app)}}
	found, err := c.Topics(ctx, r.at.Topic)
	switch {
	case err != nil:
		return nil, err
	case found[r.at.Topic].Partitions == 0:
		return nil, fmt.Errorf("application %s: %w: topic %q does not exist", app, ErrNone, r.at.Topic)
	case found[r.at.Topic].Partitions > 1:
		return nil, fmt.Errorf("topic %q has %d partitions and needs one: it is not the registry of application %s; delete it, or choose another id", r.at.Topic, found[r.at.Topic].Partitions, app)
	}
	return r, nil
}

// Create is Open that creates the registry unless it exists.
func Create(ctx context.Context, c *broker.Client, app string) (*Registry, error) {
	r, err := Open(ctx, c, app)
	if !errors.Is(err, ErrNone) {
		return r, err
	}
	// Small segments: the newest one is never compacted, and whoever reads reads it all.
	err = c.CreateTopic(ctx, broker.TopicSpec{Name: TopicName(app), Partitions: 1, Replication: -1, Config: map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.1", "message.timestamp.type": "CreateTime",
	}})
	if err != nil && !errors.Is(err, broker.ErrTopicExists) {
		return nil, err
	}
	return &Registry{App: app, client: c, at: kafka.Partition{Topic: TopicName(app)}}, nil
}

// Applications are the ids of the applications that have a registry, in order.
func Applications(ctx context.Context, c *broker.Client) ([]string, error) {
	topics, err := c.AllTopics(ctx)
	if err != nil {
		return nil, err
	}
	var apps []string
	for name, t := range topics {
		if app, ok := strings.CutSuffix(name, suffix); ok && app != "" && t.Partitions == 1 {
			apps = append(apps, app)
		}
	}
	slices.Sort(apps)
	return apps, nil
}

// Close ends the connections that Registry has opened. What was written stays.
func (r *Registry) Close() {
	if r.producer != nil {
		r.producer.Close()
		r.producer = nil
	}
}

// put writes the value of a key; nil deletes it. It returns when the record is there for
// every reader.
func (r *Registry) put(ctx context.Context, key string, value any) (err error) {
	var text []byte
	if value != nil {
		if text, err = json.Marshal(value); err != nil {
			return fmt.Errorf("registry: encode %s: %w", key, err)
		}
	}
	if r.producer == nil {
		if r.producer, err = r.client.NewProducer(ctx, broker.ProducerOptions{Timeout: writeTimeout}); err != nil {
			return fmt.Errorf("registry of %s: %w", r.App, err)
		}
	}
	defer context.AfterFunc(ctx, r.producer.Close)()
	err = r.producer.Add(r.producer.Target(r.at), []byte(key), text, nil, time.Now().UnixMilli())
	if err == nil {
		err = r.producer.Wait()
	}
	if err != nil {
		r.Close()
		return fmt.Errorf("registry of %s: write %s: %w", r.App, key, err)
	}
	return nil
}

// writeTimeout bounds one write.
const writeTimeout = 30 * time.Second
