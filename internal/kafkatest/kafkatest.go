// Package kafkatest starts a real Apache Kafka for tests.
//
// Most tests share one broker and keep apart by their topics' names:
//
//	func TestPayments(t *testing.T) {
//		brokers := kafkatest.Brokers(t)
//		payments := kafkatest.Topic(t) + "-payments"
//		...
//	}
//
// A test that kills brokers starts a cluster of its own with [Start]; one whose topics' names
// are fixed has one lent to it, with [Borrow]. A test that should
// hold on the embedded broker as well is run on both by [Each].
//
// Kafka runs on this machine's Java 17 or newer, with its jars fetched once by Maven; where
// one of the two is missing, in a Docker container. Where neither works the test is skipped,
// or fails when the environment says CI=true. A broker ends with the process that started it,
// however that process ends, and leaves no file behind but the jars in the user's cache
// directory.
package kafkatest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/seed-df18afd4/streams/internal/embedded"
)

// Version is the version of Apache Kafka that runs.
const Version = "4.3.1"

// bootstrap names the variable of the environment that holds the addresses of a Kafka that runs already.
const bootstrap = "KAFKA_BOOTSTRAP"

// shared starts the broker of this process, once.
var shared = sync.OnceValues(func() (*cluster, error) { return start(Options{}, testJVM) })

// Brokers returns the addresses of a broker that all tests of this process share: those in
// KAFKA_BOOTSTRAP, a list with commas, or that of one broker which the first call starts. It
// creates no topic by itself, and no group waits before its first rebalance.
//
// Without a Kafka it skips the test, or fails it when the environment says CI=true. It fails
// the test when a broker was started and did not come up.
func Brokers(t testing.TB) []string {
	t.Helper()
	if brokers := running(); len(brokers) > 0 {
		return brokers
	}
	c, err := shared()
	if err != nil {
		giveUp(t, err)
	}
	return c.addrs()
}

// Each runs f twice: as the subtest "embedded" on an embedded broker of its own, and as the
// subtest "kafka" on the broker that Brokers gives.
func Each(t *testing.T, f func(t *testing.T, brokers []string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		b, err := embedded.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		f(t, b.Addrs())
	})
	t.Run("kafka", func(t *testing.T) { f(t, Brokers(t)) })
}

// Main runs the tests of a package, several of those that are parallel at once however few
// processors there are: with Kafka they wait for most of their time. -parallel has the last
// word.
func Main(m *testing.M) (code int) {
	if runtime.GOMAXPROCS(0) < atOnce {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce)) // what the command line says comes later
	}
	return m.Run()
}

// atOnce is how many tests, and so brokers, a machine of two processors and 8 GiB can bear.
const atOnce = 6

// Topic returns a prefix for names of topics and groups that no other call returns, in this
// process or another. It is a legal topic name itself, of at most 73 characters.
func Topic(t testing.TB) string {
	name := illegal.ReplaceAllString(t.Name(), "-")
	return name[:min(len(name), 64)] + "-" + uuid.NewString()[:8]
}

// illegal is what a topic's name may not hold. A dot and an underscore may stand in one, but
// Kafka warns of them.
var illegal = regexp.MustCompile(`[^a-zA-Z0-9-]+`)

// ForMain gives a program, such as a benchmark, the addresses of a broker: those in
// KAFKA_BOOTSTRAP, or that of a broker it starts, which runs until stop. Unlike a test's
// broker, which is made to start fast, this one is made to run fast.
//
// The program calls stop when it is done; more than once does no harm. If it dies before,
// the broker stops all the same.
func ForMain() (brokers []string, stop func(), err error) {
	if brokers := running(); len(brokers) > 0 {
		return brokers, func() {}, nil
	}
	c, err := start(Options{}, benchmarkJVM)
	if err != nil {
		return nil, nil, err
	}
	return c.addrs(), sync.OnceFunc(c.close), nil
}

// running returns the addresses in the environment; none where there is no such variable.
func running() []string {
	addrs := strings.Split(os.Getenv(bootstrap), ",")
	for i := range addrs {
		addrs[i] = strings.TrimSpace(addrs[i])
	}
	return slices.DeleteFunc(addrs, func(a string) bool { return a == "" })
}

// giveUp ends a test that has no Kafka.
func giveUp(t testing.TB, err error) {
	t.Helper()
	if none := new(noKafkaError); errors.As(err, &none) && !inCI() {
		t.Skip(err)
	}
	t.Fatal(err)
}

// inCI says whether a test that needs Kafka must not be skipped.
func inCI() bool {
	ci, err := strconv.ParseBool(os.Getenv("CI"))
	return ci && err == nil
}

// noKafkaError says that this machine has nothing to run Kafka with.
type noKafkaError struct{ tried []string }

func (e *noKafkaError) Error() string {
	return fmt.Sprintf("kafkatest: nothing here can run Kafka %s: %s. "+
		"Install Java 17 or newer and Maven (Debian: apt-get install default-jre-headless maven), "+
		"or start Docker, or set %s to the address of a Kafka that runs",
		Version, strings.Join(e.tried, "; "), bootstrap)
}
