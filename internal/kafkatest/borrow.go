package kafkatest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// lent are the brokers that tests have given back, by their configuration.
var lent struct {
	sync.Mutex
	free map[string][]*cluster
}

// Borrow returns the address of a broker that no other test uses until this one ends: for
// programs whose names of topics and groups are fixed. It has neither topics nor groups, as
// one that was just started, which takes longer. Config is added to the broker's configuration.
//
// Without a Kafka it skips or fails the test, as Brokers does; KAFKA_BOOTSTRAP does not count,
// for that Kafka is not the test's alone.
func Borrow(t testing.TB, config map[string]string) []string {
	t.Helper()
	kind := fmt.Sprint(config)
	c := takeLent(kind)
	if c == nil {
		var err error
		if c, err = start(Options{Config: config}, testJVM); err != nil {
			giveUp(t, err)
		}
	}
	t.Cleanup(func() {
		if err := empty(c.addrs()); err != nil {
			t.Logf("kafkatest: a borrowed broker is not used again: %v", err)
			c.close()
			return
		}
		lent.Lock()
		defer lent.Unlock()
		if lent.free == nil {
			lent.free = map[string][]*cluster{}
		}
		lent.free[kind] = append(lent.free[kind], c)
	})
	return c.addrs()
}

// takeLent returns a broker of a kind that nobody uses; nil: there is none.
func takeLent(kind string) *cluster {
	lent.Lock()
	defer lent.Unlock()
	free := lent.free[kind]
	if len(free) == 0 {
		return nil
	}
	c := free[len(free)-1]
	lent.free[kind] = free[:len(free)-1]
	return c
}

// empty deletes the topics and groups of a cluster. A group may have members for as long as
// the session of one that was killed lasts.
func empty(addrs []string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		err := deleteGroups(ctx, client)
		if err == nil {
			return deleteTopics(ctx, client)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func deleteGroups(ctx context.Context, client *kgo.Client) error {
	listed, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, client)
	if err != nil || len(listed.Groups) == 0 {
		return err
	}
	req := kmsg.NewPtrDeleteGroupsRequest()
	for _, g := range listed.Groups {
		req.Groups = append(req.Groups, g.Group)
	}
	res, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, g := range res.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return fmt.Errorf("delete group %s: %w", g.Group, err)
		}
	}
	return nil
}

// deleteTopics deletes all topics but Kafka's own.
func deleteTopics(ctx context.Context, client *kgo.Client) error {
	found, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client) // without a list: of all topics
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, t := range found.Topics {
		if name := *t.Topic; !strings.HasPrefix(name, "__consumer_offsets") && !strings.HasPrefix(name, "__transaction_state") {
			names[name] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 10_000
	for _, name := range slices.Sorted(maps.Keys(names)) {
		req.TopicNames = append(req.TopicNames, name)
		topic := kmsg.NewDeleteTopicsRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
	}
	res, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, t := range res.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("delete topic %s: %w", *t.Topic, err)
		}
	}
	return nil
}
