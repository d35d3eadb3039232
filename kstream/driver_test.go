package kstream_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/stretchr/testify/require"
)

// text describes a topic of text.
func text(name string) topology.Topic[string, string] {
	return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
}

// start builds a topology and starts a driver of it.
func start(t *testing.T, build func(*topology.Builder)) *streamstest.Driver {
	t.Helper()
	b := topology.NewBuilder()
	build(b)
	topo, err := b.Build()
	require.NoError(t, err)
	return streamstest.New(t, topo)
}

// put writes records of the key k to a topic of text: "value@time", or "@time" for a null.
func put(t *testing.T, d *streamstest.Driver, topic string, records ...string) {
	t.Helper()
	for _, s := range records {
		value, at, ok := strings.Cut(s, "@")
		ms, err := strconv.ParseInt(at, 10, 64)
		require.True(t, ok && err == nil, "a record is value@time, not %q", s)
		r := topology.Record[string, *string]{Key: "k", Time: time.UnixMilli(ms)}
		if value != "" {
			r.Value = &value
		}
		streamstest.Send(d, topology.Nullable(text(topic)), r)
	}
}

// got is what was written to a topic of text since the last time: "value@time", or
// "null@time".
func got(d *streamstest.Driver, topic string) (out []string) {
	for _, r := range streamstest.Read(d, topology.Nullable(text(topic))) {
		value := "null"
		if r.Value != nil {
			value = *r.Value
		}
		out = append(out, fmt.Sprintf("%s@%d", value, r.Time.UnixMilli()))
	}
	return out
}
