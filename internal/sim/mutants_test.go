package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// enough is the number of seeds within which a mistake has to be found.
const enough = 1000

// mutant is a mistake in the code that runs over Kafka: in a file, something is replaced.
type mutant struct {
	name, file string
	replace    [][2]string
}

var mutants = []mutant{
	{"the stores take the rows before they are committed", "internal/worker/commit.go", [][2]string{{
		"	if w.c.ExactlyOnce {\n		if err := w.producer.Commit(",
		"	for _, e := range w.order {\n		for _, s := range e.stores {\n			if err := s.Commit(-1); err != nil {\n				return err\n			}\n		}\n	}\n	if w.c.ExactlyOnce {\n		if err := w.producer.Commit(",
	}}},
	{"a store's offset is in a file of its own", "internal/store/database.go", [][2]string{
		{"	at    position\n", "	at    position\n	dir   string\n"},
		{"d := &database{files: files, res: res, at: noPosition}", "d := &database{files: files, res: res, at: noPosition, dir: dir}"},
		{"	d.at = p\n	return nil", "	d.at = p\n	if d.dir == \"\" {\n		return nil\n	}\n	return d.res.disk.WriteFile(d.dir+\"/OFFSET\", buf[:], true)"},
		{"	b, err := d.db.Get(positionKey, nil)\n", "	if b, err := d.res.disk.ReadFile(d.dir + \"/OFFSET\"); err == nil {\n		d.at, err = readPosition(b)\n		return err\n	}\n	b, err := d.db.Get(positionKey, nil)\n"},
	}},
	{"offsets are committed by no member and of no generation", "internal/worker/commit.go", [][2]string{{
		"w.producer.Commit(member, offsets)",
		"w.producer.Commit(broker.Member{Group: member.Group, Generation: -1}, offsets)",
	}}},
	{"offsets are committed before the results are acknowledged", "internal/worker/commit.go", [][2]string{
		{"	return w.producer.Wait()\n", "	return w.producer.Flush()\n"},
		{"			if err := w.producer.Wait(); err != nil {", "			if err := w.producer.Flush(); err != nil {"},
	}},
	{"the changelog is written before the results are acknowledged", "internal/worker/commit.go", [][2]string{
		{"	return w.producer.Wait()\n", "	return nil\n"},
	}},
	{"an unknown outcome is taken for a commit", "internal/worker/commit.go", [][2]string{{
		"if err := w.producer.Commit(member, offsets); err != nil {",
		"if err := w.producer.Commit(member, offsets); err != nil && broker.Fenced(err) {",
	}}},
	{"a task that was lost is kept", "internal/worker/end.go", [][2]string{{
		"	for _, e := range w.entries() {\n		w.release(e)\n	}\n	return w.renew()",
		"	return w.renew()",
	}}},
	{"a store is restored to the end of what is committed", "internal/worker/start.go", [][2]string{
		{"w.c.Client.ListOffsets(e.ctx, own, broker.Latest, false)", "w.c.Client.ListOffsets(e.ctx, own, broker.Latest, true)"},
	}},
	{"a store is restored with what was aborted", "internal/worker/instance.go", [][2]string{
		{"ReadCommitted: true, MaxBytes", "ReadCommitted: false, MaxBytes"},
	}},
	{"a task that ends keeps its uncommitted rows", "internal/task/commit.go", [][2]string{
		{"		s.Abort()\n", "		_ = s\n"},
	}},
	{"a task is given on while its owner has it", "internal/assign/assign.go", [][2]string{
		{"	case owned:\n", "	case false:\n"},
	}},
	{"a revoked task is dropped without a commit and then committed", "internal/worker/end.go", [][2]string{
		{"if e.leaving && (e.task == nil || !e.task.Changed()) {", "if e.leaving {"},
	}},
	{"without transactions a member sends though others have its tasks", "internal/worker/commit.go", [][2]string{
		{"o.Lease = func() (time.Time, bool) { return w.gate.lease(losses) }", "_ = losses"},
	}},
	{"a copy has what was aborted", "internal/worker/copies.go", [][2]string{
		{"FetchOptions{ReadCommitted: true, ", "FetchOptions{ReadCommitted: false, "},
	}},
	{"a copy of a source topic is ahead of the task", "internal/worker/copy.go", [][2]string{
		{"(c.convert == nil || c.queue[0].Next <= c.limit)", "true"},
	}},
	{"a record that has met its partner still waits for one", "kstream/joinstream.go", [][2]string{
		{"		if p.alone != nil {\n			if err := p.alone.met", "		if false {\n			if err := p.alone.met"},
	}},
	{"with at least once, the cache holds back what may have been sent once", "internal/task/task.go", [][2]string{
		{"(ctx.Again || ctx.Cache.Full())", "ctx.Cache.Full()"},
	}},
	{"with at least once, a delete is written before what took the row over", "internal/store/commit.go", [][2]string{
		{"s.emit(emit, s.spec.Kind == Versioned)", "s.emit(emit, true)"},
	}},
	{"with at least once, a store is written before those that have what came of it", "internal/task/commit.go", [][2]string{
		{"cmp.Compare(p.Stores[b].Node, p.Stores[a].Node)", "cmp.Compare(p.Stores[a].Node, p.Stores[b].Node)"},
	}},
	{"with at least once, what is held back is not put in order after a crash", "ktable/suppress.go", [][2]string{
		{"if p.mended.Time >= 0 {", "if true {"},
	}},
	{"a foreign-key join believes answers to what a row was before", "ktable/foreignkey.go", [][2]string{
		{"if !bytes.Equal(hash, answer.Hash) {", "if false && !bytes.Equal(hash, answer.Hash) {"},
	}},
	{"a global table begins without what is in its topic", "internal/worker/global.go", [][2]string{
		{"To: ends[p], Convert", "To: 0, Convert"},
	}},
	{"with at least once, a row that meets no other does not delete what it made before", "ktable/join.go", [][2]string{
		{"if nothing && !w.Again {", "if nothing {"},
	}},
	{"a fold that its store has forgotten replaces the result", "kstream/fold.go", [][2]string{
		{"if dropped && d.whole {", "if false && dropped {"},
	}},
}

// aims are the programs that show mistakes which the others hardly show.
var aims = map[string]string{
	"a global table begins without what is in its topic":                                "join with a global table",
	"a fold that its store has forgotten replaces the result":                           "windowed sum",
	"with at least once, the cache holds back what may have been sent once":             "sessions",
	"with at least once, a delete is written before what took the row over":             "sessions",
	"with at least once, a store is written before those that have what came of it":     "count of what was let through",
	"with at least once, what is held back is not put in order after a crash":           "held sums",
	"with at least once, a row that meets no other does not delete what it made before": "join of tables with deletes",
	"without transactions a member sends though others have its tasks":                  "count of what was let through",
}

// firsts are the first seeds for mistakes that those from 1 find too late.
var firsts = map[string]int{
	"with at least once, the cache holds back what may have been sent once":             7001,
	"with at least once, a delete is written before what took the row over":             28001,
	"with at least once, a row that meets no other does not delete what it made before": 6001,
}

// text is the file with the mistake.
func (m mutant) text(t *testing.T) string {
	source, err := os.ReadFile(filepath.Join("../..", m.file))
	require.NoError(t, err)
	text := string(source)
	for _, r := range m.replace {
		require.Equal(t, 1, strings.Count(text, r[0]), "%s: %s has changed, and has not once: %s", m.name, m.file, r[0])
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return text
}

var failedSeed = regexp.MustCompile(`seed (\d+) fails: (.*)`)

// TestMutants builds the simulation with mistakes, one at a time, and expects that seeds find
// each. A build takes seconds, so some mistakes are chosen unless more are asked for.
func TestMutants(t *testing.T) {
	n := *mutantsFlag
	if n == 0 {
		n = 1
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for _, i := range rand.Perm(len(mutants))[:min(n, len(mutants))] {
		m := mutants[i]
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mutated := filepath.Join(dir, "mutated.go")
			require.NoError(t, os.WriteFile(mutated, []byte(m.text(t)), 0o600))
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, m.file): mutated}})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
			cmd := exec.Command("go", "test", "-vet=off", "-count=1", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "./internal/sim", "-run", "^TestSim$", "-seeds", fmt.Sprint(enough), "-first", fmt.Sprint(max(1, firsts[m.name])), "-program", aims[m.name])
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			found := failedSeed.FindStringSubmatch(string(out))
			require.Error(t, err, "%d seeds did not find it", enough)
			require.NotNil(t, found, "%s", out)
			t.Logf("found by seed %s: %s", found[1], found[2])
		})
	}
}

// TestMutantsOfTheClient does the same for mistakes of a client.
func TestMutantsOfTheClient(t *testing.T) {
	for _, m := range []struct {
		name  string
		plant func(*cluster)
	}{
		{"a transactional id is taken over without a new epoch", func(k *cluster) { k.sloppyEpochs = true }},
		{"offsets are read though a transaction is about to end", func(k *cluster) { k.unstableOffsets = true }},
		{"offsets are committed beside the transaction and not in it", func(k *cluster) { k.offsetsApart = true }},
		{"an instance id is taken over under the same member id", func(k *cluster) { k.group.sloppyInstances = true }},
	} {
		t.Run(m.name, func(t *testing.T) {
			_, bad := runSeeds(1, enough, func(w *world) { m.plant(w.kafka) })
			require.NotNil(t, bad, "%d seeds did not find it", enough)
			t.Logf("found by seed %d: %v", bad.seed, bad.err)
		})
	}
}

// The code that mutants replace is there, once.
func TestMutantsAreUpToDate(t *testing.T) {
	for _, m := range mutants {
		m.text(t)
	}
}
