package kafkatest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
)

// startLimit is how long a cluster may take to start. It takes two seconds on an idle
// machine; this is for one that runs many tests at once.
const startLimit = 5 * time.Minute

// Options say what cluster Start starts.
type Options struct {
	Brokers int               // 1 or 3; 0 means 1
	Config  map[string]string // added to every broker's configuration, or in place of what stands there
	Racks   []string          // of each broker; none by default

	// Listeners are protocols, such as SASL_SSL, that brokers take clients with, each on a
	// port of its own. Brokers among each other, and Addrs, stay at PLAINTEXT.
	Listeners []string
}

// quickSessions are for three brokers, which are killed: another takes over, and the broker itself may
// come back, only when its session with the controller has ended. Kafka's 9 seconds are safer
// where a busy machine makes heartbeats late.
var quickSessions = map[string]string{
	"broker.heartbeat.interval.ms": "500",
	"broker.session.timeout.ms":    "3000",
}

// Cluster is a running Kafka of a test's own. Each broker is a controller as well. With three,
// topics have three replicas, of which two must be in sync.
//
// Its methods end the test when they fail, so they belong on the test's own goroutine.
type Cluster struct {
	t testing.TB
	*cluster
}

// Start starts a cluster that ends with the test. It returns when every broker answers and
// knows the others. Without a Kafka it skips or fails the test, as Brokers does;
// KAFKA_BOOTSTRAP does not count, for that Kafka is not the test's to kill.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Brokers == 3 {
		config := maps.Clone(quickSessions)
		maps.Copy(config, o.Config)
		o.Config = config
	}
	c, err := start(o, testJVM)
	if err != nil {
		giveUp(t, err)
	}
	t.Cleanup(c.close)
	return &Cluster{t, c}
}

// Addrs are the addresses of the brokers, also of those that are down.
func (c *Cluster) Addrs() []string { return c.addrs() }

// ListenerAddrs are the addresses at which the brokers have the i-th of Options.Listeners.
func (c *Cluster) ListenerAddrs(i int) []string {
	addrs := make([]string, len(c.brokers))
	for j, b := range c.brokers {
		addrs[j] = b.listener(i)
	}
	return addrs
}

// Kill kills broker i, the one at Addrs()[i], with no chance to say good-bye (kill -9). It
// returns when the process is gone. A broker that is down stays down.
func (c *Cluster) Kill(i int) { c.kill(c.brokers[i]) }

// Stop asks broker i to end and returns when it has: it hands over first what it leads.
func (c *Cluster) Stop(i int) { c.stop(c.brokers[i]) }

// Restart starts broker i again, at its old address and with what it had stored, and returns
// when it serves. A broker that runs is killed first.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	b := c.brokers[i]
	c.kill(b)
	if err := c.launch(b); err != nil {
		c.t.Fatal(err)
	}
	if err := b.await([]int32{b.id}, time.Now().Add(startLimit)); err != nil {
		c.t.Fatal(err)
	}
}

// cluster is a running Kafka, of a test or not.
type cluster struct {
	source
	id        string   // Kafka's name for it
	dir       string   // holds all its files
	container string   // where it runs; "" is this machine
	jvm       []string // flags of its brokers' Java
	brokers   []*broker
	janitor   *janitor
}

// start starts a cluster. Another process may take a port between the choice of it and the
// broker's start, so that is tried again.
func start(o Options, jvm []string) (*cluster, error) {
	if o.Brokers == 0 {
		o.Brokers = 1
	}
	if o.Brokers != 1 && o.Brokers != 3 {
		return nil, fmt.Errorf("kafkatest: a cluster of %d brokers: Options.Brokers must be 1 or 3", o.Brokers)
	}
	src, err := find()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		var c *cluster
		ports, err := freePorts((2 + len(o.Listeners)) * o.Brokers)
		if err == nil {
			c, err = startOnce(src, ports, o, jvm)
		}
		if err == nil || try == 3 || !errors.Is(err, errPortTaken) {
			return c, err
		}
	}
}

func startOnce(src source, ports []int, o Options, jvm []string) (*cluster, error) {
	dir, err := os.MkdirTemp("", "kafkatest-")
	if err != nil {
		return nil, fmt.Errorf("kafkatest: make a folder for the cluster: %w", err)
	}
	clusterID := uuid.New()
	c := &cluster{source: src, id: base64.RawURLEncoding.EncodeToString(clusterID[:]), dir: dir, jvm: jvm}
	if src.docker {
		c.container = filepath.Base(dir)
	}
	if c.janitor, err = hireJanitor(dir, c.container); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err = c.prepare(ports, o); err == nil {
		err = c.bringUp()
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// prepare gives every broker its ports and a folder, and opens the container if there is one.
func (c *cluster) prepare(ports []int, o Options) error {
	for each := range slices.Chunk(ports, 2+len(o.Listeners)) {
		id := int32(len(c.brokers) + 1)
		c.brokers = append(c.brokers, &broker{
			id: id, port: each[0], controller: each[1], listeners: each[2:],
			dir: filepath.Join(c.dir, fmt.Sprintf("broker-%d", id)),
		})
	}
	if err := os.WriteFile(filepath.Join(c.dir, "log4j2.properties"), []byte(logConfig), 0o644); err != nil {
		return fmt.Errorf("kafkatest: configure the log: %w", err)
	}
	for i, b := range c.brokers {
		o := o
		if i < len(o.Racks) {
			o.Config = maps.Clone(o.Config)
			if o.Config == nil {
				o.Config = map[string]string{}
			}
			o.Config["broker.rack"] = o.Racks[i]
		}
		if err := c.configure(b, o); err != nil {
			return err
		}
	}
	if c.container != "" {
		return c.openContainer(ports)
	}
	return nil
}

// bringUp starts all brokers, and returns when each knows them all.
func (c *cluster) bringUp() error {
	all := make([]int32, len(c.brokers))
	for i, b := range c.brokers {
		all[i] = b.id
		if err := c.launch(b); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(startLimit)
	for _, b := range c.brokers {
		if err := b.await(all, deadline); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) addrs() []string {
	addrs := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		addrs[i] = b.addr()
	}
	return addrs
}

// close ends the cluster and removes its files.
func (c *cluster) close() {
	for _, b := range c.brokers {
		c.kill(b)
	}
	c.janitor.dismiss()
}
