package kafkatest

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Java runs a Java program of one file, as JavaCommand says, and returns what it prints. The
// program starts no broker.
func Java(t testing.TB, file string, args ...string) string {
	t.Helper()
	return output(t, append(JavaCommand(t, file), args...))
}

// JavaCommand compiles a Java program of one file, and returns the command that runs it, with
// Kafka Streams and its test driver on the class path, for as long as the test runs.
//
// Without Java 17 or newer and Maven, which fetches the jars once, it skips the test, or fails
// it when the environment says CI=true. A Java that only runs programs will do.
func JavaCommand(t testing.TB, file string) []string {
	t.Helper()
	command, err := compile(file, t.TempDir(), testJVM)
	if err != nil {
		giveUp(t, err)
	}
	return command
}

// JavaForMain is JavaCommand for a program such as a benchmark: the classes go to a folder of
// its own, and Java is made to run fast, not to start fast.
func JavaForMain(file, classes string) (command []string, err error) {
	return compile(file, classes, benchmarkJVM)
}

// compile compiles a Java program of one file, and returns the command that runs it.
func compile(file, classes string, jvm []string) (command []string, err error) {
	java, err := findJava()
	var libs string
	if err == nil {
		libs, err = fetched(Version+"-streams", streamsPom)
	}
	if err != nil {
		return nil, &noKafkaError{tried: []string{err.Error()}}
	}
	jars, err := filepath.Glob(filepath.Join(libs, "*.jar")) // the compiler knows no "*"
	if err != nil {
		return nil, err
	}
	path, separator := filepath.Join(libs, "*"), string(filepath.ListSeparator)
	args := slices.Concat(testJVM, []string{"-cp", path, "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-classpath", strings.Join(jars, separator), "-d", classes, file})
	if out, err := exec.Command(java, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile %s: %w: %s", file, err, tail(string(out), 20))
	}
	class := strings.TrimSuffix(filepath.Base(file), ".java")
	return slices.Concat([]string{java}, jvm, []string{"-cp", classes + separator + path, class}), nil
}

// output is what a command prints. One that fails fails the test.
func output(t testing.TB, command []string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s%s", cmd, err, tail(string(out), 20), tail(failed.String(), 20))
	}
	return string(out)
}
