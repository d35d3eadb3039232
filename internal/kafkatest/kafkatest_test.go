package kafkatest

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

// helper, in the environment, makes this binary the program of TestBrokerEndsWithItsProcess.
const helper = "KAFKATEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helper) != "" {
		helperMain()
		return
	}
	os.Exit(Main(m))
}

func TestEachServesRecords(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, brokers []string) {
		topic := Topic(t) + "-records"
		createTopic(t, brokers, topic)
		produce(t, brokers, topic, "hello")
		require.Equal(t, []string{"hello"}, consume(t, brokers, topic, 1))
	})
}

func TestBrokersAreShared(t *testing.T) {
	require.Equal(t, Brokers(t), Brokers(t))
}

// What a test leaves in a broker that was lent to it, the next one does not find.
func TestBorrowedBrokersAreEmpty(t *testing.T) {
	var first, second []string
	admin := func(t *testing.T, brokers []string) sarama.ClusterAdmin {
		a, err := sarama.NewClusterAdmin(brokers, config())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, a.Close()) })
		return a
	}
	t.Run("first", func(t *testing.T) {
		first = Borrow(t, nil)
		a := admin(t, first)
		require.NoError(t, a.CreateTopic("orders", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
		offsets, err := sarama.NewOffsetManagerFromClient("shop", client(t, first))
		require.NoError(t, err)
		p, err := offsets.ManagePartition("orders", 0)
		require.NoError(t, err)
		p.MarkOffset(7, "")
		offsets.Commit()
		require.NoError(t, p.Close())
		require.NoError(t, offsets.Close())
		groups, err := a.ListConsumerGroups()
		require.NoError(t, err)
		require.Contains(t, groups, "shop")
	})
	t.Run("second", func(t *testing.T) {
		second = Borrow(t, nil)
		other := Borrow(t, nil)
		require.NotEqual(t, second, other, "it is lent to one test at a time")
		a := admin(t, second)
		topics, err := a.ListTopics()
		require.NoError(t, err)
		require.NotContains(t, topics, "orders")
		groups, err := a.ListConsumerGroups()
		require.NoError(t, err)
		require.Empty(t, groups)
	})
	require.Equal(t, first, second, "a start was saved")
}

func client(t *testing.T, brokers []string) sarama.Client {
	c, err := sarama.NewClient(brokers, config())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestBrokerCreatesNoTopicByItself(t *testing.T) {
	client, err := sarama.NewClient(Brokers(t), config())
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Partitions(Topic(t))
	require.ErrorIs(t, err, sarama.ErrUnknownTopicOrPartition)
}

func TestBrokersInTheEnvironmentAreUsedAsTheyAre(t *testing.T) {
	t.Setenv(bootstrap, "one:9092, two:9092,")
	require.Equal(t, []string{"one:9092", "two:9092"}, Brokers(t))
	brokers, stop, err := ForMain()
	require.NoError(t, err)
	require.Equal(t, []string{"one:9092", "two:9092"}, brokers)
	stop()
}

func TestTopicIsLegalAndNeverTheSame(t *testing.T) {
	legal := regexp.MustCompile(`^[a-zA-Z0-9-]{1,73}$`)
	t.Run("a name/with ünusual_signs."+strings.Repeat("long", 40), func(t *testing.T) {
		one, two := Topic(t), Topic(t)
		require.Regexp(t, legal, one)
		require.Regexp(t, legal, two)
		require.NotEqual(t, one, two)
	})
}

// recorder is a test that writes down how it ended.
type recorder struct {
	testing.TB
	skipped, failed bool
	said            []any
}

func (r *recorder) Helper()           {}
func (r *recorder) Skip(args ...any)  { r.skipped, r.said = true, args }
func (r *recorder) Fatal(args ...any) { r.failed, r.said = true, args }

func TestWithoutKafkaTheTestIsSkippedButNotInCI(t *testing.T) {
	none := &noKafkaError{tried: []string{"no Java: reason", "no Docker: reason"}}
	ended := func(ci string, err error) *recorder {
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		giveUp(r, err)
		return r
	}
	r := ended("", none)
	require.True(t, r.skipped)
	for _, part := range []string{"no Java: reason", "no Docker: reason", "apt-get install", bootstrap} {
		require.ErrorContains(t, r.said[0].(error), part)
	}
	// Skip of a real test does not return, as the recorder's does: Fatal may follow it here.
	require.True(t, ended("false", none).skipped)
	require.False(t, ended("true", none).skipped)
	require.True(t, ended("true", none).failed)
	require.False(t, ended("", os.ErrPermission).skipped, "a broker that was started and failed")
}

// helperMain starts a broker, says where, and waits to be killed.
func helperMain() {
	c, err := start(Options{}, testJVM)
	if err != nil {
		os.Stdout.WriteString("error: " + err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString(c.addrs()[0] + " " + c.dir + "\n")
	select {}
}

func TestBrokerEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	needKafka(t)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helper+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.NotContains(t, line, "error:")
	addr, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	require.NoError(t, knows(addr, []int32{1}))

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait(), "it was killed")
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err) && knows(addr, nil) != nil
	}, time.Minute, 20*time.Millisecond, "the broker or its folder %s outlives its process", dir)
}

func TestForMainRunsUntilStop(t *testing.T) {
	t.Parallel()
	needKafka(t)
	brokers, stop, err := ForMain()
	require.NoError(t, err)
	topic := Topic(t)
	createTopic(t, brokers, topic)
	produce(t, brokers, topic, "hello")
	require.Equal(t, []string{"hello"}, consume(t, brokers, topic, 1))
	stop()
	stop()
	if os.Getenv(bootstrap) == "" {
		require.Error(t, knows(brokers[0], nil))
	}
}

// needKafka skips or fails the test where nothing can run Kafka.
func needKafka(t *testing.T) {
	t.Helper()
	if _, err := find(); err != nil {
		giveUp(t, err)
	}
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_9_0_0
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Retry.Max, c.Metadata.Retry.Max = 100, 100 // a killed leader is replaced when its session has ended
	c.Admin.Timeout = time.Minute
	return c
}

// createTopic creates a topic of one partition, with as many replicas as the brokers choose.
func createTopic(t *testing.T, brokers []string, topic string) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(brokers, config())
	require.NoError(t, err)
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: -1}
	require.NoError(t, admin.CreateTopic(topic, detail, false))
}

func produce(t *testing.T, brokers []string, topic, value string) {
	t.Helper()
	p, err := sarama.NewSyncProducer(brokers, config())
	require.NoError(t, err)
	defer p.Close()
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	require.NoError(t, err)
}

// consume reads the first n values of a topic.
func consume(t *testing.T, brokers []string, topic string, n int) (values []string) {
	t.Helper()
	c, err := sarama.NewConsumer(brokers, config())
	require.NoError(t, err)
	defer c.Close()
	p, err := c.ConsumePartition(topic, 0, sarama.OffsetOldest)
	require.NoError(t, err)
	defer p.Close()
	limit := time.After(time.Minute)
	for len(values) < n {
		select {
		case m := <-p.Messages():
			values = append(values, string(m.Value))
		case <-limit:
			t.Fatalf("read %q from %s within a minute, want %d values", values, topic, n)
		}
	}
	return values
}
