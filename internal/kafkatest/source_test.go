package kafkatest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJavaVersion(t *testing.T) {
	for printed, want := range map[string]int{
		`openjdk version "17.0.15" 2025-04-15`: 17,
		`openjdk version "21" 2023-09-19`:      21,
		`java version "1.8.0_402"`:             1,
		`command not found`:                    0,
	} {
		require.Equal(t, want, javaVersion(printed), printed)
	}
}

func TestJavaMustBe17(t *testing.T) {
	home := t.TempDir()
	t.Setenv("JAVA_HOME", home)
	_, err := findJava()
	require.ErrorContains(t, err, "no Java")

	bin := filepath.Join(home, "bin")
	require.NoError(t, os.Mkdir(bin, 0o755))
	script(t, bin, "java", `echo 'openjdk version "11.0.2" 2019-01-15' >&2`)
	_, err = findJava()
	require.ErrorContains(t, err, "is Java 11, and Kafka needs 17")

	script(t, bin, "java", `echo 'openjdk version "25" 2025-09-16' >&2`)
	java, err := findJava()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(bin, "java"), java)
}

// fakeMaven puts a stand-in for Maven on the PATH, and the cache into a folder of the test's.
func fakeMaven(t *testing.T, text string) (cache string) {
	t.Helper()
	bin, home := t.TempDir(), t.TempDir()
	script(t, bin, "mvn", text)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", home)
	cache, err := cacheDir()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(cache, home), cache)
	return cache
}

func TestJarsAreFetchedOnce(t *testing.T) {
	cache := fakeMaven(t, `echo fetched >>"$HOME/said"
for a; do case $a in -DoutputDirectory=*) mkdir "${a#*=}"; echo jar >"${a#*=}/kafka.jar" ;; esac; done`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			libs, err := jars()
			if err != nil {
				t.Error(err)
			} else if _, err := os.Stat(filepath.Join(libs, "kafka.jar")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fetches := func() string {
		said, err := os.ReadFile(filepath.Join(os.Getenv("HOME"), "said"))
		require.NoError(t, err)
		return string(said)
	}
	require.Equal(t, "fetched\n", fetches())

	// Jars of another pom are not these.
	require.NoError(t, os.WriteFile(filepath.Join(cache, Version, "pom.xml"), []byte("<project/>"), 0o644))
	_, err := jars()
	require.NoError(t, err)
	require.Equal(t, "fetched\nfetched\n", fetches())
}

func TestJarsThatCannotBeFetchedLeaveNothing(t *testing.T) {
	cache := fakeMaven(t, `for a; do case $a in -DoutputDirectory=*) mkdir "${a#*=}"; echo jar >"${a#*=}/kafka.jar" ;; esac; done
echo 'no route to host'; exit 1`)
	_, err := jars()
	require.ErrorContains(t, err, "no route to host")
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(cache, "lock")}, left)
}

func TestBrokersOfRefusesAnAnswerCutShort(t *testing.T) {
	answer := []byte{
		0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, // the request's number, no throttle, two brokers:
		0, 0, 0, 1, 0, 1, 'a', 0, 0, 35, 132, 255, 255, // 1, at a:9092, in no rack
		0, 0, 0, 7, 0, 1, 'b', 0, 0, 35, 132, 0, 1, 'r', // 7, at b:9092, in rack r
	}
	ids, err := brokersOf(answer)
	require.NoError(t, err)
	require.Equal(t, []int32{1, 7}, ids)
	for n := range answer {
		_, err := brokersOf(answer[:n])
		require.Error(t, err, "of %d bytes", n)
	}
}

func TestKafkasClassesComeFromTheArchive(t *testing.T) {
	t.Parallel()
	needKafka(t)
	src, err := find()
	require.NoError(t, err)
	if src.docker {
		require.Empty(t, src.classes, "in a container Java has no archive")
		return
	}
	require.FileExists(t, src.classes)
	args := slices.Concat(testJVM, []string{"-XX:SharedArchiveFile=" + src.classes, "-Xlog:class+load", "-cp", filepath.Join(src.libs, "*"), "kafka.tools.StorageTool", "random-uuid"})
	out, err := exec.Command(src.java, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `org\.apache\.kafka\.\S+ source: shared objects file`, string(out))
}
