package topology_test

import (
	"fmt"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
)

// Build finds all mistakes at once, each with the line that made it.
func ExampleBuilder_Build() {
	payments := topology.Topic[string, int64]{Name: "payments", Key: serde.String}
	nowhere := topology.Topic[string, int64]{Key: serde.String, Value: serde.Int64}

	b := topology.NewBuilder()
	s := kstream.From(b, payments)
	kstream.To(s, nowhere)
	_, err := b.Build()
	fmt.Println(err)
	// Output:
	// topology: example_build_test.go:17: topic "payments": no Value serde
	// example_build_test.go:18: a topic without a Name
}
