package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/broker"
)

// A membership that was lost and taken up again must not commit what a worker still has
// from before: it was somebody else's in between.
func TestGateOfTheNextMembership(t *testing.T) {
	var g gate
	first, second := broker.Member{ID: "first", Generation: 1}, broker.Member{ID: "second", Generation: 3}
	_, ok := g.enter(0)
	require.False(t, ok, "there is no membership yet")

	g.release(first)
	m, ok := g.enter(0)
	require.True(t, ok)
	require.Equal(t, first, m)

	losses := g.lose()
	g.release(second)
	require.True(t, g.lost(0))
	_, ok = g.enter(0)
	require.False(t, ok, "the worker has not dropped what it had")
	m, ok = g.enter(losses)
	require.True(t, ok)
	require.Equal(t, second, m)
}
