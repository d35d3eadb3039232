package main

import (
	_ "embed"
	"os"
	"path/filepath"

	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

//go:embed java/Workloads.java
var javaProgram []byte

// newJava is Kafka Streams.
func newJava() (*peer, error) {
	return newPeer(peer{name: "Java", tables: true, lacks: []string{"beside"}}, func(dir string) ([]string, error) {
		file := filepath.Join(dir, "Workloads.java")
		if err := os.WriteFile(file, javaProgram, 0o600); err != nil {
			return nil, err
		}
		return kafkatest.JavaForMain(file, dir)
	})
}
