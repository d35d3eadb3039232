package conformance

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/topology"
)

// file is a file of vectors: one topology, and cases of it.
type file struct {
	Spec     string     `json:"spec"`
	Topology string     `json:"topology"` // in words
	Cases    []testCase `json:"cases"`
}

// testCase is steps that start from nothing, and what stores hold after the last one.
type testCase struct {
	Steps  []step           `json:"steps"`
	Stores map[string][]row `json:"stores"`
}

// step is a record that is sent, or moves the wall clock, and what comes out.
type step struct {
	answer
	Advance int64    `json:"advance"` // ms
	Out     []answer `json:"out"`
}

// answer is a record.
type answer struct {
	Topic   string      `json:"topic"`
	Key     *string     `json:"key"`
	Value   *string     `json:"value"`
	Time    int64       `json:"ts"`
	Headers [][2]string `json:"headers"`
}

// row is a row of a store. It has the fields that its kind of store has.
type row struct {
	Key   string `json:"key"`
	Start *int64 `json:"start"`
	End   *int64 `json:"end"`
	Value string `json:"value"`
	Time  *int64 `json:"ts"`
}

// vectors reads the files of testdata, or of the folder that the environment names.
func vectors(t *testing.T) []file {
	t.Helper()
	return read(t, cmp.Or(os.Getenv("CONFORMANCE_VECTORS"), "testdata"))
}

// read reads the files of a folder.
func read(t *testing.T, dir string) (files []file) {
	t.Helper()
	for _, pattern := range []string{"*.json", "*.json.gz"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			f, err := open(name)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		t.Fatalf("no vectors in %s: it has no *.json and no *.json.gz", dir)
	}
	return files
}

func open(name string) (f file, err error) {
	raw, err := os.Open(name)
	if err != nil {
		return f, err
	}
	defer raw.Close()
	var text io.Reader = raw
	if strings.HasSuffix(name, ".gz") {
		if text, err = gzip.NewReader(raw); err != nil {
			return f, err
		}
	}
	d := json.NewDecoder(text)
	d.DisallowUnknownFields()
	err = d.Decode(&f)
	return f, err
}

// outputs are the topics to be compared: those that the vectors name, and those that the
// topology writes.
func (f file) outputs(topo *topology.Topology) (topics []string) {
	for _, c := range f.Cases {
		for _, s := range c.Steps {
			for _, a := range s.Out {
				topics = append(topics, a.Topic)
			}
		}
	}
	for _, s := range (*plan.Plan)(topo).Subtopologies {
		for _, sink := range s.Sinks {
			if !sink.Repartition {
				topics = append(topics, sink.Name)
			}
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// answers are the records that should come out in a topic, as text.
func (s step) answers(topic string) (texts []string) {
	for _, a := range s.Out {
		if a.Topic == topic {
			texts = append(texts, a.String())
		}
	}
	return texts
}

func (s step) String() string {
	if s.Advance > 0 {
		return fmt.Sprintf("the wall clock moves by %d ms", s.Advance)
	}
	return "a record in " + s.Topic + ", " + s.answer.String()
}

func (a answer) String() string {
	text := fmt.Sprintf("%s=%s@%d", quoted(a.Key), quoted(a.Value), a.Time)
	if len(a.Headers) > 0 {
		text += fmt.Sprint(a.Headers)
	}
	return text
}

// quoted tells a null from the text null.
func quoted(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}

func (r row) String() string {
	text := fmt.Sprintf("%q", r.Key)
	if r.Start != nil {
		text += fmt.Sprintf(" from %d", *r.Start)
	}
	if r.End != nil {
		text += fmt.Sprintf(" to %d", *r.End)
	}
	text += fmt.Sprintf("=%q", r.Value)
	if r.Time != nil {
		text += fmt.Sprintf("@%d", *r.Time)
	}
	return text
}

func texts(rows []row) (s []string) {
	for _, r := range rows {
		s = append(s, r.String())
	}
	return s
}
