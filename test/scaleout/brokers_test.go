//go:build unix

package scaleout

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// brokerFaults: brokers die and come back, and partitions move between them.
func brokerFaults(t *testing.T, cluster *kafkatest.Cluster, g streams.Guarantee) {
	f := newFleet(t, cluster, spec{Topology: "count", Guarantee: g})
	f.begin("a", "b")
	f.during("the group's coordinator is killed", func() { f.killCoordinator(0, f.spec.App) })
	if *full {
		f.moreBrokerFaults(g)
	}
	f.verify()
}

func (f *fleet) moreBrokerFaults(g streams.Guarantee) {
	f.t.Helper()
	f.during("a broker is killed", func() {
		f.cluster.Kill(0)
		f.check.flows()
	})
	f.during("the broker is there again", func() {
		f.cluster.Restart(0)
		f.AwaitInSync()
		f.check.flows()
	})
	f.during("brokers are restarted one by one", func() {
		for i := range f.cluster.Addrs() {
			f.cluster.Stop(i)
			f.cluster.Restart(i)
			f.AwaitInSync()
		}
		f.check.flows()
	})
	if g == streams.ExactlyOnce {
		id := f.spec.App + "-" + f.processOf("a") + "-0"
		f.during("a transaction coordinator is killed", func() { f.killCoordinator(1, id) })
	}
	f.during("partitions move to other brokers", func() {
		f.reassign(f.topic("in"), f.topic("out"), f.topic("counts-changelog"))
		f.check.flows()
	})
}

// killCoordinator kills the broker that coordinates a group (kind 0) or a transaction (1),
// and starts it again once everything flows without it.
func (f *fleet) killCoordinator(kind int8, key string) {
	f.t.Helper()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = kind, key, []string{key}
	var broker int32
	e2etest.Await(f.t, patience, func() bool {
		res := f.Request(req).(*kmsg.FindCoordinatorResponse)
		broker = res.NodeID
		if len(res.Coordinators) > 0 {
			broker = res.Coordinators[0].NodeID
		}
		return broker >= 1
	}, "there is a coordinator of %s", key)
	f.cluster.Kill(int(broker) - 1)
	f.check.flows()
	f.cluster.Restart(int(broker) - 1)
	f.AwaitInSync()
	f.check.flows()
}

// reassign moves every partition of topics to the two brokers that do not lead it, and back
// to all three.
func (f *fleet) reassign(topics ...string) {
	f.t.Helper()
	for _, n := range []int{2, 3} {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.TimeoutMillis = 30_000
		for topic, leaders := range f.Leaders(topics...) {
			t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
			t.Topic = topic
			for p, leader := range leaders {
				part := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
				part.Partition = p
				part.Replicas = slices.DeleteFunc([]int32{1, 2, 3}, func(id int32) bool { return n == 2 && id == leader })
				t.Partitions = append(t.Partitions, part)
			}
			req.Topics = append(req.Topics, t)
		}
		res := f.Request(req).(*kmsg.AlterPartitionAssignmentsResponse)
		require.Zero(f.t, res.ErrorCode)
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				require.Zero(f.t, p.ErrorCode, "reassign %s/%d", t.Topic, p.Partition)
			}
		}
		e2etest.Await(f.t, patience, func() bool {
			return len(f.Request(kmsg.NewPtrListPartitionReassignmentsRequest()).(*kmsg.ListPartitionReassignmentsResponse).Topics) == 0
		}, "the partitions have moved")
		f.AwaitInSync()
		f.check.flows()
		time.Sleep(time.Second)
	}
}
