package task

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWithoutClocks(t *testing.T) {
	committed := encodeMetadata(metadata{partition: 5, clocks: map[string]int64{"counts": 7, "kept": 8}})
	without := WithoutClocks(committed, func(name string) bool { return name == "counts" })
	require.Equal(t, metadata{partition: 5, clocks: map[string]int64{"kept": 8}}, decodeMetadata(without))
	require.Equal(t, committed, WithoutClocks(committed, func(string) bool { return false }))
	require.Equal(t, "of somebody else", WithoutClocks("of somebody else", func(string) bool { return true }), "what is not ours stays as it is")
	require.Empty(t, WithoutClocks("", func(string) bool { return true }))
}
