package kafkatest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// source is what a broker is run with.
type source struct {
	java   string // the program
	libs   string // the folder of Kafka's jars
	docker bool   // both are those of the image, and commands run in a container

	classes string // see classes; "" for none
}

// image is the Docker image with Kafka in it.
const image = "apache/kafka:" + Version

// find looks for something to run Kafka with, once in a process.
var find = sync.OnceValues(func() (source, error) {
	none := new(noKafkaError)
	if _, err := exec.LookPath("sh"); err != nil {
		none.tried = append(none.tried, fmt.Sprintf("no shell: %v", err))
		return source{}, none
	}
	java, err := findJava()
	if err == nil {
		var libs string
		if libs, err = jars(); err == nil {
			s := source{java: java, libs: libs}
			s.classes = classes(s)
			return s, nil
		}
	}
	none.tried = append(none.tried, err.Error())
	if err = dockerAnswers(); err == nil {
		return source{java: "java", libs: "/opt/kafka/libs", docker: true}, nil
	}
	none.tried = append(none.tried, err.Error())
	return source{}, none
})

// findJava returns the path of a Java that Kafka runs on: that of JAVA_HOME, or on the PATH.
func findJava() (string, error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(java)
	if err != nil {
		return "", fmt.Errorf("no Java: %w", err)
	}
	out, err := exec.Command(path, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s -version: %w: %s", path, err, bytes.TrimSpace(out))
	}
	if v := javaVersion(string(out)); v < 17 {
		return "", fmt.Errorf("%s is Java %d, and Kafka needs 17", path, v)
	}
	return path, nil
}

var javaVersionLine = regexp.MustCompile(`version "(\d+)`)

// javaVersion reads the major version out of what java -version prints. Java 8 and older call
// themselves 1.8, which is old enough to be 1. It is 0 where there is none.
func javaVersion(printed string) int {
	m := javaVersionLine.FindStringSubmatch(printed)
	if m == nil {
		return 0
	}
	v, _ := strconv.Atoi(m[1]) // digits, by the pattern
	return v
}

// dockerAnswers returns nil when a Docker daemon answers.
func dockerAnswers() error {
	path, err := exec.LookPath("docker")
	if err != nil {
		return fmt.Errorf("no Docker: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "version", "--format", "{{.Server.Version}}").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker version: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// command returns a command that runs where the cluster does: in the container, or here where
// that is "".
func (s source) command(container string, args ...string) *exec.Cmd {
	if container != "" {
		args = append([]string{"docker", "exec", container}, args...)
	}
	return exec.Command(args[0], args[1:]...)
}

// openContainer starts the container that all brokers of a cluster run in, as commands of
// their own. The cluster's folder has the same path inside.
func (c *cluster) openContainer(ports []int) error {
	args := []string{"run", "--detach", "--rm", "--name", c.container,
		"--user", fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()),
		"--volume", c.dir + ":" + c.dir}
	for _, p := range ports {
		args = append(args, "--publish", fmt.Sprintf("127.0.0.1:%d:%d", p, p))
	}
	args = append(args, "--entrypoint", "tail", image, "-f", "/dev/null")
	if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("kafkatest: start a container of %s: %w: %s", image, err, bytes.TrimSpace(out))
	}
	return nil
}
