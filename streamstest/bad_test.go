package streamstest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// A driver asks about bad records what an application would ask, and does what it is told.
func TestBadRecordsOfADriver(t *testing.T) {
	text := func(name string) topology.Topic[string, string] {
		return topology.Topic[string, string]{Name: name, Key: serde.String, Value: serde.String}
	}
	b := topology.NewBuilder()
	kstream.To(kstream.TryMapValues(kstream.From(b, text("in")), func(v string) (string, error) {
		if v == "bad" {
			return "", errors.New("it is bad")
		}
		return v, nil
	}), text("out"))
	topo, err := b.Build()
	require.NoError(t, err)

	var asked []streams.BadRecord
	decision := streams.Retry
	d := streamstest.Options{DeadLetterTopic: "dead", OnBadRecord: func(b streams.BadRecord) streams.Decision {
		asked = append(asked, b)
		return decision
	}}.New(t, topo)
	at := time.UnixMilli(1000).UTC()
	streamstest.Send(d, text("in"), topology.Record[string, string]{Key: "k", Value: "good", Time: at})
	streamstest.Send(d, text("in"), topology.Record[string, string]{Key: "k", Value: "bad", Time: at})
	require.Len(t, asked, 1)
	require.ErrorContains(t, &asked[0], "task 0_0: bad record at topic in, partition 0, offset 1, node map-values-1 at bad_test.go:")
	require.Equal(t, topology.Record[[]byte, []byte]{Key: []byte("k"), Value: []byte("bad"), Time: at}, asked[0].Record)
	require.Equal(t, 1, asked[0].Attempt)

	decision = streams.DeadLetter
	d.Advance(99 * time.Millisecond)
	require.Len(t, asked, 1)
	d.Advance(time.Millisecond)
	require.Len(t, asked, 2)
	require.Equal(t, 2, asked[1].Attempt)
	letters := streamstest.Read(d, text("dead"))
	require.Len(t, letters, 1)
	require.Equal(t, "bad", letters[0].Value)
	require.Equal(t, at, letters[0].Time)
	require.Len(t, letters[0].Headers, 6)

	decision = streams.Skip
	streamstest.Send(d, text("in"), topology.Record[string, string]{Key: "k", Value: "bad"})
	require.Len(t, asked, 3)
	require.Empty(t, streamstest.Read(d, text("dead")))
}
