package kafkatest

import (
	"os"
	"path/filepath"
	"slices"
)

// classes returns an archive of Kafka's classes, loaded and verified, beside its jars: with it
// Java has a broker up with half the work. The first call on a machine makes it, which takes
// some seconds: a broker writes it when it ends. Where that fails the answer is "", and brokers
// start without; so does a Java that is not the one that wrote it.
func classes(s source) string {
	dir := filepath.Dir(s.libs)
	file := filepath.Join(dir, "classes.jsa")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return ""
	}
	defer unlock()
	if _, err := os.Stat(file); err == nil {
		return file // made while this process waited
	}
	unfinished := file + ".unfinished"
	if archive(s, unfinished) != nil || os.Rename(unfinished, file) != nil {
		return ""
	}
	return file
}

// archive has a broker start and end, and write its classes to a file.
func archive(s source, file string) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	c, err := startOnce(s, ports, Options{}, slices.Concat(testJVM, []string{"-XX:ArchiveClassesAtExit=" + file}))
	if err != nil {
		return err
	}
	defer c.close()
	c.stop(c.brokers[0])
	return nil
}
