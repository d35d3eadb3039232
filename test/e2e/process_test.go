//go:build unix

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/e2etest"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// programsDir holds the programs that programs builds. It is this binary's own.
var programsDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	programsDir = dir
	code := kafkatest.Main(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// programs builds what the tests run, once, as this binary was built.
var programs = sync.OnceValue(func() error {
	args := []string{"build", "-o", programsDir}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "../../examples/lunch-abroad", "../../cmd/streams", "./wordcount")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
})

// program returns the path of a built program.
func program(t *testing.T, name string) string {
	t.Helper()
	require.NoError(t, programs())
	return filepath.Join(programsDir, name)
}

// await is e2etest.Await.
func await(t *testing.T, limit time.Duration, is func() bool, what string, args ...any) {
	t.Helper()
	e2etest.Await(t, limit, is, what, args...)
}
