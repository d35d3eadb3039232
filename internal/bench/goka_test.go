//go:build goka

package main

import (
	"testing"

	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

// Goka runs what it can, and leaves nothing behind. It is fetched for that, which other tests
// are not to depend on: go test -tags goka -run Goka ./internal/bench
func TestRunInGoka(t *testing.T) {
	// Of several brokers, goka ends when the one it asks does not lead the table yet that it just created.
	one := kafkatest.Start(t, kafkatest.Options{}).Addrs()
	runsBeside(t, options{brokers: one, goka: true}, "in goka", "stateless", "count", "count-quiet", "dedup", "join", "restore")
}
