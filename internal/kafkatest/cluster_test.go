package kafkatest

import (
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestClusterOfThreeLosesABroker(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Brokers: 3})
	require.Len(t, c.Addrs(), 3)
	topic := Topic(t)
	createTopic(t, c.Addrs(), topic)
	produce(t, c.Addrs(), topic, "before")
	c.Kill(0)
	require.Error(t, knows(c.Addrs()[0], nil))
	produce(t, c.Addrs(), topic, "without it")
	c.Restart(0)
	require.NoError(t, knows(c.Addrs()[0], []int32{1}))
	require.Equal(t, []string{"before", "without it"}, consume(t, c.Addrs(), topic, 2))
}

func TestRestartKeepsAddressAndData(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	addrs, topic := c.Addrs(), Topic(t)
	createTopic(t, addrs, topic)
	produce(t, addrs, topic, "kept")
	c.Restart(0)
	require.Equal(t, addrs, c.Addrs())
	require.Equal(t, []string{"kept"}, consume(t, addrs, topic, 1))
}

func TestOptionsConfigReplacesAndAdds(t *testing.T) {
	t.Parallel()
	want := map[string]string{"offsets.topic.num.partitions": "7", "log.cleaner.backoff.ms": "123"}
	c := Start(t, Options{Config: want})
	admin, err := sarama.NewClusterAdmin(c.Addrs(), config())
	require.NoError(t, err)
	defer admin.Close()
	broker := &sarama.ConfigResource{Type: sarama.BrokerResource, Name: "1", ConfigNames: slices.Collect(maps.Keys(want))}
	results, err := admin.DescribeConfigs([]*sarama.ConfigResource{broker}, sarama.DescribeConfigsOptions{})
	require.NoError(t, err)
	require.Len(t, results, 1)
	got := map[string]string{}
	for _, e := range results[0].Configs {
		got[e.Name] = e.Value
	}
	require.Equal(t, want, got)
}

func TestClusterLeavesNoGoroutineAndNoFile(t *testing.T) {
	var addrs []string
	var dir string
	t.Run("test", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		c := Start(t, Options{})
		goleak.VerifyNone(t, before)
		addrs, dir = c.Addrs(), c.dir
		require.DirExists(t, dir)
	})
	require.NoDirExists(t, dir)
	require.Error(t, knows(addrs[0], nil))
}

func TestStartSaysWhatTheBrokerSaid(t *testing.T) {
	t.Parallel()
	needKafka(t)
	_, err := start(Options{Config: map[string]string{"process.roles": "nonsense"}}, testJVM)
	require.ErrorContains(t, err, "broker 1 did not start: its process ended")
	require.ErrorContains(t, err, "nonsense")

	_, err = start(Options{Brokers: 2}, testJVM)
	require.ErrorContains(t, err, "Options.Brokers must be 1 or 3")
}

func TestStartKnowsATakenPort(t *testing.T) {
	t.Parallel()
	needKafka(t)
	ports, err := freePorts(2)
	require.NoError(t, err)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])))
	require.NoError(t, err)
	defer l.Close()
	src, err := find()
	require.NoError(t, err)
	_, err = startOnce(src, ports, Options{}, testJVM)
	require.ErrorIs(t, err, errPortTaken)
}

// TestContainer runs a cluster the way it runs in Docker, with a stand-in for docker that runs
// the container's commands here.
func TestContainer(t *testing.T) {
	needKafka(t)
	src, err := find()
	require.NoError(t, err)
	if src.docker {
		t.Log("the other tests ran in a container already")
		return
	}
	bin, said := t.TempDir(), filepath.Join(t.TempDir(), "said")
	script(t, bin, "docker", `echo "$1" >>`+said+`
case $1 in
version) echo 28.0 ;;
run | rm) ;;
exec) shift 2; exec "$@" ;;
esac`)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	require.NoError(t, dockerAnswers())

	src.docker = true
	ports, err := freePorts(2)
	require.NoError(t, err)
	c, err := startOnce(src, ports, Options{Config: quickSessions}, testJVM)
	require.NoError(t, err)
	require.NoError(t, knows(c.addrs()[0], []int32{1}))
	(&Cluster{t, c}).Restart(0)
	require.NoError(t, knows(c.addrs()[0], []int32{1}))
	c.close()
	require.NoDirExists(t, c.dir)
	require.Error(t, knows(c.addrs()[0], nil))
	lines, err := os.ReadFile(said)
	require.NoError(t, err)
	require.Equal(t, "version\nrun\nexec\nexec\nexec\nexec\nrm\n", string(lines))
}

// script makes a program of the given name in a folder.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	_, err := exec.LookPath(filepath.Join(dir, name))
	require.NoError(t, err)
}
