package kafkatest

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Java compiles a Java program of one file, runs it with Kafka Streams and its test driver on
// the class path, and returns what it prints. The program starts no broker.
//
// Without Java 17 or newer and Maven, which fetches the jars once, it skips the test, or fails
// it when the environment says CI=true.
func Java(t testing.TB, file string, args ...string) string {
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
	run := func(args ...string) string {
		cmd := exec.Command(java, args...)
		var failed bytes.Buffer
		cmd.Stderr = &failed
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s%s", cmd, err, tail(string(out), 20), tail(failed.String(), 20))
		}
		return string(out)
	}
	run("-cp", path, "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-classpath", jarsIn(t, libs), "-d", classes, file)
	class := strings.TrimSuffix(filepath.Base(file), ".java")
	return run(append([]string{"-cp", classes + string(filepath.ListSeparator) + path, class}, args...)...)
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
