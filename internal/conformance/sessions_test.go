package conformance

import (
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

var sessions = theme{
	"session":       {build: func(b *topology.Builder) { cats(b, window.Session{Gap: 6 * ms, Grace: 10 * ms}) }},
	"session-count": {build: func(b *topology.Builder) { countWindows(b, window.Session{Gap: 6 * ms}) }},
	"session-merge": {
		build:  func(b *topology.Builder) { cats(b, lateSessions) },
		stores: map[string]rows{"a": ofSessions(windowed("a", lateSessions, serde.String))},
	},
	"session-reduce": {
		build:  func(b *topology.Builder) { reduceWindows(b, shortSessions) },
		stores: map[string]rows{"r": ofSessions(windowed("r", shortSessions, serde.Nullable(serde.String)))},
	},
	"session-to-null": {build: func(b *topology.Builder) { catsToNull(b, window.Session{Gap: 6 * ms, Grace: 10 * ms}) }},
	"cogroup-session": {build: func(b *topology.Builder) { cogroupWindows(b, window.Session{Gap: 5 * ms, Grace: 8 * ms}) }},
}

var (
	lateSessions  = window.Session{Gap: 5 * ms, Grace: 30 * ms}
	shortSessions = window.Session{Gap: 6 * ms, Grace: 4 * ms}
)
