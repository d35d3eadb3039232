package kafkatest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// testJVM is for a broker that lives for seconds: Java's quick compiler alone has it
// up in three quarters of the time, with half the work.
var testJVM = []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}

// benchmarkJVM is for a broker whose speed counts.
var benchmarkJVM = []string{"-Xmx512m"}

// broker is one broker of a cluster, running or not.
type broker struct {
	id         int32
	port       int // for clients and the other brokers
	controller int // the port of its controller
	listeners  []int
	dir        string

	cmd  *exec.Cmd // nil while it is down
	life *os.File  // read end of a pipe that the process holds open: ends when it does
}

// run is what runs a broker: it formats the storage the first time, and writes down its
// process id for the janitor before anything else. A cluster's id may begin with a dash, hence
// the equals sign.
const run = `
java=$1 libs=$2 dir=$3 cluster=$4; shift 4
echo $$ >"$dir/pid"
[ -e "$dir/data/meta.properties" ] ||
	"$java" "$@" -cp "$libs/*" kafka.tools.StorageTool format --cluster-id="$cluster" --config "$dir/server.properties" || exit 1
exec "$java" "$@" -Dlog4j2.configurationFile="$dir/../log4j2.properties" -cp "$libs/*" kafka.Kafka "$dir/server.properties"`

// launch starts a broker's process. No goroutine is left to wait for it, so that a test may
// look for leaked goroutines while the shared broker runs.
func (c *cluster) launch(b *broker) error {
	log, err := os.OpenFile(b.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("kafkatest: open the log of broker %d: %w", b.id, err)
	}
	defer log.Close()
	life, held, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("kafkatest: start broker %d: %w", b.id, err)
	}
	defer held.Close()
	args := append([]string{"sh", "-c", run, "kafkatest", c.java, c.libs, b.dir, c.id}, c.jvm...)
	if c.classes != "" {
		args = append(args, "-XX:SharedArchiveFile="+c.classes)
	}
	cmd := c.command(c.container, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{held}
	detach(cmd)
	if err := cmd.Start(); err != nil {
		life.Close()
		return fmt.Errorf("kafkatest: start broker %d: %w", b.id, err)
	}
	b.cmd, b.life = cmd, life
	return nil
}

// kill kills a broker that runs, and returns when its process is gone.
func (c *cluster) kill(b *broker) {
	if b.cmd == nil {
		return
	}
	if c.container != "" {
		// The process here is only Docker's client. An error means that the broker is gone already.
		_ = c.command(c.container, "sh", "-c", `kill -9 "$(cat "$0")"`, b.pidFile()).Run()
	}
	_ = b.cmd.Process.Kill() // an error means the same here
	_ = b.cmd.Wait()         // says that it was killed
	b.life.Close()
	os.Remove(b.pidFile()) // the number may soon be another process's
	b.cmd, b.life = nil, nil
}

// stopLimit is how long a broker may take to end by itself.
const stopLimit = 2 * time.Minute

// stop has a broker that runs end in its own way, or kills it when that takes too long.
func (c *cluster) stop(b *broker) {
	if b.cmd == nil {
		return
	}
	// An error means that the broker is gone already.
	_ = c.command(c.container, "sh", "-c", `kill -TERM "$(cat "$0")"`, b.pidFile()).Run()
	b.ended(stopLimit)
	c.kill(b)
}

// errPortTaken says that another process listens on a port that was free a moment ago.
var errPortTaken = errors.New("another process took its port")

// await returns when the broker answers and knows the brokers with the given ids.
func (b *broker) await(ids []int32, deadline time.Time) error {
	for {
		err := knows(b.addr(), ids)
		if err == nil {
			return nil
		}
		if b.ended(50 * time.Millisecond) {
			return b.failed(errors.New("its process ended"))
		}
		if time.Now().After(deadline) {
			return b.failed(fmt.Errorf("it does not serve within %v: %w", startLimit, err))
		}
	}
}

// ended waits for the end of the broker's process, up to the given time, and says whether it came.
func (b *broker) ended(within time.Duration) bool {
	if err := b.life.SetReadDeadline(time.Now().Add(within)); err != nil {
		return true
	}
	_, err := b.life.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// failed adds the tail of the broker's log to the reason why it did not start.
func (b *broker) failed(reason error) error {
	log, err := os.ReadFile(b.log())
	if err != nil {
		return fmt.Errorf("kafkatest: broker %d did not start: %w; its log: %w", b.id, reason, err)
	}
	if text := string(log); strings.Contains(text, "Address already in use") {
		reason = fmt.Errorf("%w: %w", reason, errPortTaken)
	}
	return fmt.Errorf("kafkatest: broker %d did not start: %w; its log ends:\n%s", b.id, reason, tail(string(log), 30))
}

// tail returns the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (b *broker) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port)) }
func (b *broker) listener(i int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.listeners[i]))
}
func (b *broker) log() string     { return filepath.Join(b.dir, "log") }
func (b *broker) pidFile() string { return filepath.Join(b.dir, "pid") }
