//go:build unix

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/topology"
)

// says reads an application's registry.
func (k *kafka) says(app string) registry.Contents {
	k.t.Helper()
	c, err := broker.Dial(k.t.Context(), broker.Options{Brokers: k.addrs})
	require.NoError(k.t, err)
	defer c.Close()
	r, err := registry.Open(k.t.Context(), c, app)
	require.NoError(k.t, err)
	says, err := r.Read(k.t.Context())
	require.NoError(k.t, err)
	return says
}

// An application that runs is described in Kafka, and its instances are there while they run.
func TestRegistry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c := newCounter(k, name)
		topo := counting(t, name, nil)
		one, other := config(t, k, name), config(t, k, name)
		one.InstanceID = "one"
		a, b := run(t, topo, one), run(t, topo, other)
		a.awaitReady(patience)
		b.awaitReady(patience)
		c.count(10, 1)
		await(t, patience, func() bool { return len(k.says(name).Instances) == 2 }, "both instances have said that they run")

		says := k.says(name)
		require.Equal(t, topo.Describe(), (*topology.Topology)(says.Application.Plan).Describe())
		require.Equal(t, (*plan.Plan)(topo).Fingerprint(), says.Application.Fingerprint)
		require.Equal(t, "exactly-once", says.Application.Guarantee)
		require.Equal(t, map[string]int32{name + "-lines": 2, name + "-totals": 2, name + "-words-repartition": 2, name + "-counts-changelog": 2}, says.Application.Partitions)
		for _, i := range says.Instances {
			require.True(t, i.Alive(time.Now()), i)
			require.Equal(t, 2, i.Workers)
		}
		a.stop()
		says = k.says(name)
		require.Len(t, says.Instances, 1, "an instance that has stopped says so")
		require.Empty(t, says.Instances[0].InstanceID)
		b.stop()
		require.Empty(t, k.says(name).Instances)
	})
}
