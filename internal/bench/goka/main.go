// Goka runs the workloads of the benchmark as a user of goka writes them, with its defaults
// but for what the benchmark fixes: offsets are committed every 100 ms, inputs are read from
// their start, and keys have the partitions that Kafka's own clients give them. Each of its
// partitions has a goroutine, and it knows one guarantee: at least once.
//
// It is a module of its own, so that the framework does not depend on goka.
//
// Arguments: workload, brokers, group, state directory, guarantee, workers, output, inputs.
// It prints "begun" when the first record is read and "ready" when all state is restored, and
// ends when its standard input does.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/lovoo/goka"
	"github.com/lovoo/goka/codec"
	"github.com/lovoo/goka/storage"
)

func main() {
	workload, brokers, group, state, out, in := os.Args[1], strings.Split(os.Args[2], ","), os.Args[3], os.Args[4], os.Args[7], os.Args[8:]
	config := goka.DefaultConfig()
	config.Version = sarama.V2_8_0_0 // Kafka 4 does not know what its default speaks
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	goka.ReplaceGlobalConfig(config)
	goka.SetTableSuffix("-rows-changelog")
	topics := goka.NewTopicManagerConfig()
	topics.Table.Replication = -1 // the broker's default

	p, err := goka.NewProcessor(brokers, graph(workload, goka.Group(group), goka.Stream(out), in),
		goka.WithHasher(murmur2),
		goka.WithTopicManagerBuilder(goka.TopicManagerBuilderWithTopicManagerConfig(topics)),
		goka.WithStorageBuilder(storage.DefaultBuilder(state)))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	go func() {
		if p.WaitForReadyContext(ctx) == nil {
			fmt.Println("ready")
		}
	}()
	if workload == "restore" {
		begin()
	}
	if err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

func graph(workload string, group goka.Group, out goka.Stream, in []string) *goka.GroupGraph {
	input := func(each goka.ProcessCallback) goka.Edge { return goka.Input(goka.Stream(in[0]), new(metered), each) }
	output, bytes, number := goka.Output(out, new(codec.Bytes)), new(codec.Bytes), new(codec.Int64)
	switch workload {
	case "stateless":
		return goka.DefineGroup(group, output, input(func(c goka.Context, v any) {
			if binary.BigEndian.Uint64([]byte(c.Key()))%1000 != 0 {
				v.([]byte)[0] ^= 1
				c.Emit(out, c.Key(), v)
			}
		}))
	case "count":
		return goka.DefineGroup(group, goka.Output(out, number), goka.Persist(number), input(func(c goka.Context, _ any) {
			n, _ := c.Value().(int64)
			c.SetValue(n + 1)
			c.Emit(out, c.Key(), n+1)
		}))
	case "count-quiet":
		return goka.DefineGroup(group, goka.Persist(number), input(func(c goka.Context, _ any) {
			n, _ := c.Value().(int64)
			c.SetValue(n + 1)
		}))
	case "dedup": // what was seen is kept for ever: goka has no windows
		return goka.DefineGroup(group, output, goka.Persist(number), input(func(c goka.Context, v any) {
			now := c.Timestamp().UnixMilli()
			if last, seen := c.Value().(int64); !seen || now-last > time.Hour.Milliseconds() {
				c.SetValue(now)
				c.Emit(out, c.Key(), v)
			}
		}))
	case "join":
		table := goka.Table(in[1])
		return goka.DefineGroup(group, output, goka.Join(table, bytes), input(func(c goka.Context, _ any) {
			if row := c.Join(table); row != nil {
				c.Emit(out, c.Key(), row)
			}
		}))
	case "restore":
		return goka.DefineGroup(group, goka.Persist(bytes), input(func(c goka.Context, v any) { c.SetValue(v) }))
	}
	panic("no workload " + workload)
}

// metered says when the first record is read.
type metered struct{ codec.Bytes }

func (m *metered) Decode(data []byte) (any, error) {
	begin()
	return m.Bytes.Decode(data)
}

var begin = sync.OnceFunc(func() { fmt.Println("begun") })
