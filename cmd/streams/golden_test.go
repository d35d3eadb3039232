package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
)

// goldens are command lines whose output is the same at each run and on every broker.
var goldens = []struct{ file, args string }{
	{"lag.txt", "lag orders"},
	{"lag.json", "lag orders --json"},
	{"tail.txt", "tail payments -n 5"},
	{"tail-from.json", "tail payments --from 2026-10-26T13:10:00Z --json -p 0"},
	{"tail-key.txt", "tail payments --from earliest --key p7"},
	{"tail-windows.txt", "tail per-hour --from earliest --key dan -p 1"},
	{"tail-bytes.txt", "tail limits --from earliest --value-serde bytes --key ann"},
	{"state-scan-key-value.txt", "state orders totals scan"},
	{"state-scan-source.txt", "state orders limits scan"},
	{"state-scan-windows.txt", "state orders hours scan --since 2026-10-26T11:00:00Z"},
	{"state-scan-sessions.txt", "state orders visits scan --limit 4"},
	{"state-scan-json.json", "state orders totals scan --json --prefix c"},
	{"state-get.txt", "state orders totals get bob"},
	{"state-get-windows.txt", "state orders hours get ann"},
	{"state-get-versions.txt", "state orders names get ann"},
	{"state-count.txt", "state orders hours count"},
	{"state-count.json", "state orders hours count --json"},
	{"state-size.txt", "state orders totals size"},
	{"state-export.json", "state orders names export"},
	{"verify.txt", "verify orders"},
}

func TestGolden(t *testing.T) {
	eachSite(t, func(s *site) {
		s.process(streams.AtLeastOnce)
		for _, g := range goldens {
			s.t.Run(g.file, func(t *testing.T) { golden(t, g.file, s.ok(strings.Fields(g.args)...)) })
		}
		code, out, _ := s.tool("state", "orders", "totals", "get", "nobody")
		require.Equal(s.t, exitNo, code)
		require.Empty(s.t, out)
	})
}

// While an instance runs, the lag says whose each task is.
func TestLagSaysWhoseItIs(t *testing.T) {
	eachSite(t, func(s *site) {
		s.process(streams.AtLeastOnce)
		defer s.start(streams.AtLeastOnce)()
		s.await(func() bool { return !strings.Contains(s.ok("lag", "orders", "--json"), `"instance": null`) }, "the group has given the tasks out")
		s.await(func() bool { return strings.Contains(s.ok("lag", "orders", "--json"), `"pid"`) }, "the instance has said who it is")
		golden(s.t, "lag-running.txt", s.ok("lag", "orders"))
		golden(s.t, "lag-running.json", s.ok("lag", "orders", "--json"))
	})
}

// With transactions and markers in the logs the state is the same.
func TestStateWithExactlyOnce(t *testing.T) {
	eachSite(t, func(s *site) {
		s.process(streams.ExactlyOnce)
		for _, g := range goldens {
			if strings.HasPrefix(g.file, "state-") || strings.HasPrefix(g.file, "tail-key") {
				golden(s.t, g.file, s.ok(strings.Fields(g.args)...))
			}
		}
		s.ok("verify", "orders")
	})
}
