package kafkatest

import (
	"bytes"
	"os/exec"
	"path/filepath"
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
	none := new(noKafkaError)
	java, err := findJava()
	var libs string
	if err == nil {
		libs, err = fetched(Version+"-streams", streamsPom)
	}
	if err != nil {
		none.tried = append(none.tried, err.Error())
		giveUp(t, none)
	}
	classes, path := t.TempDir(), filepath.Join(libs, "*")
	command := append([]string{java}, testJVM...)
	output(t, append(command, "-cp", path, "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-classpath", jarsIn(t, libs), "-d", classes, file))
	class := strings.TrimSuffix(filepath.Base(file), ".java")
	return append(command, "-cp", classes+string(filepath.ListSeparator)+path, class)
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

// jarsIn are the jars of a folder as a class path: unlike Java, its compiler knows no "*".
func jarsIn(t testing.TB, libs string) string {
	t.Helper()
	jars, err := filepath.Glob(filepath.Join(libs, "*.jar"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(jars, string(filepath.ListSeparator))
}
