package kafkatest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// pom names what Maven fetches: Kafka's server, and what carries its log to log4j.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafkatest</groupId>
  <artifactId>kafkatest</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>` + Version + `</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
`

// streamsPom names what a Java program of a test needs: Kafka Streams with its test driver,
// and a compiler, which a Java that only runs programs has not.
const streamsPom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafkatest</groupId>
  <artifactId>kafkatest-streams</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-streams-test-utils</artifactId>
      <version>` + Version + `</version>
    </dependency>
    <dependency>
      <groupId>org.eclipse.jdt</groupId>
      <artifactId>ecj</artifactId>
      <version>3.42.0</version>
    </dependency>
  </dependencies>
</project>
`

// copyJars is Maven's goal that copies a project's jars into a folder. The version is given so
// that Maven does not look for the newest.
const copyJars = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

// mavenLimit is how long Maven may take to fetch 100 MB.
const mavenLimit = 10 * time.Minute

// jars returns the folder with Kafka's jars.
func jars() (string, error) { return fetched(Version, pom) }

// fetched returns the folder with the jars of a pom. The first call on a machine fetches them
// with Maven, into a folder of the user's cache directory. Test binaries that need them at
// once wait for one of them to fetch.
func fetched(name, pom string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", cache, err)
	}
	defer unlock()
	dir := filepath.Join(cache, name)
	if have, err := os.ReadFile(filepath.Join(dir, "pom.xml")); err == nil && string(have) == pom {
		return filepath.Join(dir, "libs"), nil
	}
	if err := fetch(dir, pom); err != nil {
		return "", err
	}
	return filepath.Join(dir, "libs"), nil
}

// fetch makes dir hold the pom and its jars, whole or not at all. The caller holds the lock.
func fetch(dir, pom string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("no Maven: %w", err)
	}
	unfinished := dir + ".unfinished" // one that is there was left by a process that was killed
	defer os.RemoveAll(unfinished)
	err = os.RemoveAll(unfinished)
	if err == nil {
		err = os.Mkdir(unfinished, 0o755)
	}
	if err != nil {
		return err
	}
	project := filepath.Join(unfinished, "pom.xml")
	if err := os.WriteFile(project, []byte(pom), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), mavenLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, mvn, "--batch-mode", "--quiet", "--file", project, copyJars,
		"-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(unfinished, "libs")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mvn: %w: %s", err, tail(string(bytes.TrimSpace(out)), 10))
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

// cacheDir returns the folder for what outlives a run: in the user's cache directory, or with
// the temporary files where there is no such directory to write to.
func cacheDir() (string, error) {
	parent, err := os.UserCacheDir()
	if err == nil {
		dir := filepath.Join(parent, "streams-kafkatest")
		if err = os.MkdirAll(dir, 0o755); err == nil {
			return dir, nil
		}
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("streams-kafkatest-%d", os.Getuid()))
	return dir, os.MkdirAll(dir, 0o755)
}
