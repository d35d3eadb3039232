package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/examples/lunch-abroad/lunch"
)

func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-role x":        "it is all, feed, run or read",
		"-role run":      "needs -brokers",
		"-payments -1":   "cannot be negative",
		"-guarantee two": "exactly-once or at-least-once",
		"extra":          "unexpected argument",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, want, args)
	}
	o, err := parse(strings.Fields("-brokers a:1,b:2 -role run -guarantee at-least-once -workers 3 -state d -seed 9 -payments 5 -v"), io.Discard)
	require.NoError(t, err)
	require.Equal(t, lunch.Options{
		Payments: 5, Brokers: []string{"a:1", "b:2"}, Role: "run", Guarantee: streams.AtLeastOnce, Workers: 3, State: "d", Seed: 9, Verbose: true,
	}, o)
}
