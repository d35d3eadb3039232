package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// newGoka is goka, whose program is in the directory goka beside this file.
func newGoka() (*peer, error) {
	return newPeer(peer{name: "goka", lacks: []string{"window", "lunch", "beside"}}, func(dir string) ([]string, error) {
		at, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/seed-df18afd4/streams/internal/bench").Output()
		if err != nil {
			return nil, fmt.Errorf("find its source, with a working directory in the repository: %w", err)
		}
		program := filepath.Join(dir, "goka")
		build := exec.Command("go", "build", "-o", program, ".")
		build.Dir = filepath.Join(strings.TrimSpace(string(at)), "goka")
		build.Env = append(os.Environ(), "GOWORK=off")
		if said, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, said)
		}
		return []string{program}, nil
	})
}
