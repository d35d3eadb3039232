// Package embedded runs a Kafka broker in this process, for examples, tests and
// demonstrations. It keeps everything in memory and is no place for data that matters.
package embedded

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is a running broker.
type Broker struct{ cluster *kfake.Cluster }

// Start starts a broker on a free port of the loopback interface.
func Start() (*Broker, error) {
	c, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.GroupMinSessionTimeout(100*time.Millisecond),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}),
	)
	if err != nil {
		return nil, fmt.Errorf("embedded: start the broker: %w", err)
	}
	return &Broker{c}, nil
}

// Addrs are the broker's addresses.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// Compact compacts the compacted topics now, as the log cleaner would one day.
func (b *Broker) Compact() { b.cluster.Compact() }

// Close stops the broker and drops what it held.
func (b *Broker) Close() { b.cluster.Close() }
