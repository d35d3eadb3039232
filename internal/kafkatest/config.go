package kafkatest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// logConfig sends Kafka's log to its standard output, without the list of all settings,
// which would push what matters out of the tail that errors show.
const logConfig = `rootLogger.level = info
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %-5p %m (%c)%n
logger.settings.name = org.apache.kafka.common.config.AbstractConfig
logger.settings.level = warn
`

// configure writes the configuration of one broker into its folder.
func (c *cluster) configure(b *broker, o Options) error {
	config := c.config(b, o.Listeners)
	maps.Copy(config, o.Config)
	var text strings.Builder
	for _, k := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&text, "%s=%s\n", k, config[k])
	}
	err := os.MkdirAll(b.dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.dir, "server.properties"), []byte(text.String()), 0o644)
	}
	if err != nil {
		return fmt.Errorf("kafkatest: configure broker %d: %w", b.id, err)
	}
	return nil
}

func (c *cluster) config(b *broker, protocols []string) map[string]string {
	var voters []string
	for _, v := range c.brokers {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", v.id, v.controller))
	}
	listen := "127.0.0.1"
	if c.container != "" {
		listen = "0.0.0.0" // a published port does not reach the container's loopback
	}
	listeners := fmt.Sprintf("PLAINTEXT://%s:%d,CONTROLLER://127.0.0.1:%d", listen, b.port, b.controller)
	advertised := "PLAINTEXT://" + b.addr()
	for i, protocol := range protocols {
		listeners += fmt.Sprintf(",%s://%s:%d", protocol, listen, b.listeners[i])
		advertised += fmt.Sprintf(",%s://%s", protocol, b.listener(i))
	}
	replicas := strconv.Itoa(len(c.brokers))
	inSync := strconv.Itoa((len(c.brokers) + 1) / 2)
	return map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(int(b.id)),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"controller.listener.names":      "CONTROLLER",
		"listeners":                      listeners,
		"advertised.listeners":           advertised,
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
		"log.dirs":                       filepath.Join(b.dir, "data"),

		"auto.create.topics.enable":                "false",
		"log.retention.ms":                         "-1", // tests write records of long ago
		"group.initial.rebalance.delay.ms":         "0",
		"default.replication.factor":               replicas,
		"min.insync.replicas":                      inSync,
		"offsets.topic.num.partitions":             "4",
		"offsets.topic.replication.factor":         replicas,
		"transaction.state.log.num.partitions":     "4",
		"transaction.state.log.replication.factor": replicas,
		"transaction.state.log.min.isr":            inSync,
	}
}

// freePorts finds n ports that nobody listens on. They are below the range from which systems
// take the ports of outgoing connections (32768 and up on Linux, 49152 on others): there, a
// client that tries to reach a broker that is down could itself be given the broker's port.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range 100 * n {
		port := 20_000 + rand.IntN(32_768-20_000)
		if slices.Contains(ports, port) {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("kafkatest: found no %d free ports from 20000 to 32767 on 127.0.0.1", n)
}
