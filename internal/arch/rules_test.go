package arch

import (
	"os"
	"slices"
	"testing"
)

// The rules of this module's structure. To change one, change its row here, in the same
// commit as the code, and say why.
//
// A package is named by its folder, and stands for the folders below it as well; "." is the
// root package alone. A package of another module, or of Go, is named by its import path, and
// stands for those below it as well. Rules hold for code, not for tests, and a rule about a
// folder that is not there yet holds as soon as it is.

// dsl is what a program is written with.
var dsl = []string{"kstream", "ktable", "dedup"}

// meaning is what a topology means.
var meaning = append([]string{"topology", "state", "window", "aggregate", "serde"}, dsl...)

// runtime is what runs one.
var runtime = []string{"internal/worker", "internal/cluster", "internal/broker", "internal/changelog", "internal/task", "internal/assign", "internal/registry"}

// Arrows that are not to be, not even by way of other packages of the module.
var never = []struct {
	who, imports []string
	because      string
}{
	{meaning, append([]string{".", "internal/embedded"}, runtime...), "what a topology means does not depend on how it runs"},
	{runtime, dsl, "the runtime knows plans, not how they were written"},
}

// Imports that few packages may have.
var only = []struct {
	who     []string
	imports string
	because string
}{
	{[]string{"internal/broker", ".", "internal/bench", "examples"}, "github.com/IBM/sarama", "one package speaks to Kafka; the root names sarama's settings, a benchmark compares, an example is its user's"},
	{[]string{"internal/store"}, "github.com/syndtr/goleveldb", "one package knows how state is kept on disk"},
	{[]string{"internal/embedded", "internal/e2etest", "internal/kafkatest"}, "github.com/twmb/franz-go", "it is here for the broker in the process, and as a client for tests that must not trust the framework's own"},
	{testTools, "internal/kafkatest", "a product starts no Kafka"},
	{testTools, "testing", "a product is no test"},
	{testTools, "github.com/stretchr/testify", "a product is no test"},
	{testTools, "go.uber.org/goleak", "a product is no test"},
}

// testTools are packages for tests and benchmarks that are not in test files.
var testTools = []string{"streamstest", "internal/kafkatest", "internal/e2etest", "internal/badnet", "internal/bench"}

// Packages that import Go's own packages and nothing else.
var plain = []struct {
	who     []string
	because string
}{
	{[]string{"internal/kafka"}, "it is plain data that everybody shares"},
}

// Packages that only compute.
var pure = []struct {
	who     []string
	without []ban
	because string
}{
	{[]string{"internal/task"}, []ban{network, system, clock, goroutines, channels}, "a task computes, and its worker does the rest; so a simulation can run it from a seed"},
	{[]string{"internal/worker", "internal/changelog"}, []ban{goroutines}, "internal/sched starts them, so a simulation can choose their order"},
	{[]string{"internal/plan", "internal/assign", "window", "aggregate", "serde"}, []ban{network, system, clock, goroutines}, "what comes out depends on what goes in alone"},
}

// maxLines is how long a function may be: what fits on a screen.
const maxLines = 70

func TestImports(t *testing.T)   { report(t, checkImports(source(t))) }
func TestPure(t *testing.T)      { report(t, checkPure(source(t))) }
func TestFunctions(t *testing.T) { report(t, checkFunctions(source(t))) }

// The map in README.md names every folder with a package, as "folder/", and no folder that is not there.
func TestMap(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatalf("the map of the packages stands in README.md: %v", err)
	}
	report(t, checkMap(source(t), string(readme)))
}

// The comment of every exported field of streams.Config says its default, or that it is required.
func TestConfig(t *testing.T) { report(t, checkConfig(source(t))) }

// source is this module.
func source(t *testing.T) *module {
	t.Helper()
	m, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// report makes every breach of a rule an error of the test.
func report(t *testing.T, breaches []string) {
	t.Helper()
	slices.Sort(breaches)
	for _, b := range breaches {
		t.Error(b)
	}
}
