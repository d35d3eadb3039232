//go:build unix && !race

// These tests measure memory, and the race detector takes memory of its own.

package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafkatest"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

const mib = 1 << 20

// peak samples what Go's runtime has of the machine's memory, and returns the most.
func peak() (most func() uint64) {
	var top atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		for {
			metrics.Read(s)
			top.Store(max(top.Load(), s[0].Value.Uint64()-s[1].Value.Uint64()))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		return top.Load()
	}
}

// Two hundred tasks, each with a table, find more waiting than there is memory for. They
// work it off within a limit of Go's runtime, and so do those who restore the tables.
func TestManyTasksShareMemory(t *testing.T) {
	const tasks, rows, size = 200, 800, 1000 // 160 MB
	const limit = 224 * mib
	k, name := connect(t, kafkatest.Brokers(t)), kafkatest.Topic(t)
	k.create(nil, tasks, name+"-in", name+"-out")
	k.fill(name+"-in", tasks, rows, size)
	latest := state.Store[string, string]{Name: "latest", Key: serde.String, Value: serde.String}
	topo := build(t, func(b *topology.Builder) {
		in := kstream.GroupByKey(kstream.From(b, text(name+"-in")))
		table := kstream.Reduce(in, func(_, v string) string { return v }, latest)
		ktable.To(ktable.MapValues(table, func(string) string { return "" }), text(name+"-out"))
	})
	runtime.GC()
	debug.FreeOSMemory()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	settings := config(t, k, name)
	settings.MemoryLimit = 64 * mib
	if os.Getenv("NO_MEMORY_LIMIT") != "" { // to see what it would be
		settings.MemoryLimit = 8 << 30
	}
	begin := func(what string, records int64) {
		most := peak()
		a := run(t, topo, settings)
		await(t, 4*patience, func() bool { return k.processed(name, name+"-in") == records }, "all of it is %s", what)
		a.awaitReady(patience)
		a.stop()
		used := most()
		t.Logf("%s with at most %d MiB", what, used/mib)
		require.Less(t, used, uint64(limit+limit/2), "Go's limit is a soft one") // without MemoryLimit it is 1,300 MiB
	}
	begin("processed", tasks*rows)
	settings.StateDir = t.TempDir()
	k.fill(name+"-in", tasks, 1, size)
	begin("restored", tasks*(rows+1))
}

// fill writes rows of a size to every partition of a topic.
func (k *kafka) fill(topic string, partitions int32, rows, size int) {
	k.t.Helper()
	c := clientConfig()
	c.Producer.Partitioner = sarama.NewManualPartitioner
	value := strings.Repeat("x", size)
	for p := range partitions {
		batch := make([]*sarama.ProducerMessage, rows)
		for i := range batch {
			batch[i] = &sarama.ProducerMessage{Topic: topic, Partition: p, Key: sarama.StringEncoder(fmt.Sprint(p, "/", i)), Value: sarama.StringEncoder(value)}
		}
		k.produce(c, batch...)
	}
}

// An output that takes nothing makes the application wait, and not grow. When it takes
// records again, all of the burst that has come meanwhile goes through.
func TestStalledOutput(t *testing.T) {
	const tasks, rows, size = 8, 20_000, 1000 // 160 MB
	const limit = 128 * mib
	k, name := connect(t, kafkatest.Brokers(t)), kafkatest.Topic(t)
	k.create(nil, tasks, name+"-in", name+"-out")
	k.fill(name+"-in", tasks, rows, size)
	topo := build(t, func(b *topology.Builder) { kstream.To(kstream.From(b, text(name+"-in")), text(name+"-out")) })
	runtime.GC()
	debug.FreeOSMemory()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	settings := config(t, k, name)
	settings.MemoryLimit = 64 * mib
	settings.Sarama = sarama.NewConfig()
	stalled := stall{flows: make(chan struct{})}
	settings.Sarama.Net.Proxy.Enable, settings.Sarama.Net.Proxy.Dialer = true, stalled
	most := peak()
	a := run(t, topo, settings) // it need not become ready: a worker that waits for a commit begins no more tasks
	flow := sync.OnceFunc(func() { close(stalled.flows) })
	t.Cleanup(flow) // else it could not end
	time.Sleep(8 * time.Second)
	require.Zero(t, k.processed(name, name+"-in"))
	flow()
	await(t, patience, func() bool { return k.processed(name, name+"-in") == tasks*rows }, "all of it is copied")
	a.stop()
	used := most()
	t.Logf("at most %d MiB", used/mib)
	require.Less(t, used, uint64(limit+limit/4))
}

// stall dials connections on which no records are sent before it flows.
type stall struct{ flows chan struct{} }

func (s stall) Dial(network, addr string) (net.Conn, error) {
	c, err := net.Dial(network, addr)
	return stalledConn{c, s.flows}, err
}

type stalledConn struct {
	net.Conn
	flows chan struct{}
}

// Write is given one request at a time: its length, then its kind, 0 for a Produce.
func (c stalledConn) Write(p []byte) (int, error) {
	if len(p) > 6 && binary.BigEndian.Uint16(p[4:]) == 0 {
		<-c.flows
	}
	return c.Conn.Write(p)
}

// Records as large as brokers may be told to take pass through stores and outputs, one
// after the other, within little more memory than a few of them need.
func TestHugeRecords(t *testing.T) {
	const size, records, limit = 15_000_000, 20, 384 * mib
	k, name := connect(t, kafkatest.Brokers(t)), kafkatest.Topic(t)
	most := map[string]string{"max.message.bytes": fmt.Sprint(size + 1_000_000)}
	k.create(most, 1, name+"-in", name+"-out", name+"-latest-changelog")
	require.NoError(t, k.admin().IncrementalAlterConfig(sarama.TopicResource, name+"-latest-changelog", map[string]sarama.IncrementalAlterConfigsEntry{
		"cleanup.policy": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: new("compact")}}, false))
	c := clientConfig()
	c.Producer.MaxMessageBytes = size + 1_000_000
	value := strings.Repeat("x", size)
	for i := range records {
		k.produce(c, &sarama.ProducerMessage{Topic: name + "-in", Key: sarama.StringEncoder(fmt.Sprint(i % 3)), Value: sarama.StringEncoder(value)})
	}
	latest := state.Store[string, string]{Name: "latest", Key: serde.String, Value: serde.String}
	topo := build(t, func(b *topology.Builder) {
		in := kstream.GroupByKey(kstream.From(b, text(name+"-in")))
		ktable.To(kstream.Reduce(in, func(_, v string) string { return v }, latest), text(name+"-out"))
	})
	runtime.GC()
	debug.FreeOSMemory()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	settings := config(t, k, name)
	settings.MemoryLimit = 64 * mib
	settings.Sarama = sarama.NewConfig()
	settings.Sarama.Producer.MaxMessageBytes = size + 1_000_000
	used := peak()
	a := run(t, topo, settings)
	await(t, patience, func() bool { return k.processed(name, name+"-in") == records }, "all of them are processed")
	a.stop()
	n := used()
	t.Logf("at most %d MiB", n/mib)
	require.Less(t, n, uint64(limit+limit/4))
}
