package task

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// The bytes are those of Kafka Streams' TopicPartitionMetadata, so that either can take
// over from the other.
func TestMetadataIsKafkaStreams(t *testing.T) {
	for _, c := range []struct {
		m     metadata
		bytes string
	}{
		{metadata{partition: 1763942400000}, "02" + "0000019ab3290000"},
		{metadata{partition: -1}, "02" + "ffffffffffffffff"},
		{metadata{partition: 5, clocks: map[string]int64{"b": -1, "aé": 7}},
			"02" + "0000000000000005" + "00000002" +
				"00000003" + "61c3a9" + "0000000000000007" +
				"00000001" + "62" + "ffffffffffffffff"},
	} {
		data, err := base64.StdEncoding.DecodeString(encodeMetadata(c.m))
		require.NoError(t, err)
		require.Equal(t, c.bytes, hex.EncodeToString(data))
		back := decodeMetadata(encodeMetadata(c.m))
		require.Equal(t, c.m.partition, back.partition)
		require.Len(t, back.clocks, len(c.m.clocks))
		for k, v := range c.m.clocks {
			require.Equal(t, v, back.clocks[k], k)
		}
	}
}

// The topic is one more name, which Kafka Streams passes over.
func TestMetadataNamesTheTopic(t *testing.T) {
	of := TopicOf("an id")
	require.NotZero(t, of)
	require.NotEqual(t, of, TopicOf("another id"))
	require.Zero(t, TopicOf(""))
	o := kafka.Offset{At: 7, Metadata: encodeMetadata(metadata{partition: 5, topic: of, clocks: map[string]int64{"a": 1}})}
	require.Equal(t, of, CommittedOf(o))
	require.Equal(t, map[string]int64{"a": 1}, decodeMetadata(o.Metadata).clocks)
	require.Zero(t, CommittedOf(kafka.Offset{At: 7, Metadata: encodeMetadata(metadata{partition: 5})}))
}

// Version 1 had the time of the partition alone.
func TestMetadataOfVersion1(t *testing.T) {
	data, err := hex.DecodeString("010000019ab3290000")
	require.NoError(t, err)
	m := decodeMetadata(base64.StdEncoding.EncodeToString(data))
	require.Equal(t, int64(1763942400000), m.partition)
	require.Empty(t, m.clocks)
}

// What others wrote beside their offsets says nothing, and stops nothing.
func TestMetadataThatIsNone(t *testing.T) {
	for _, bytes := range []string{"", "02", "0200000000000000", "ff0000000000000005", "000000000000000005"} {
		data, err := hex.DecodeString(bytes)
		require.NoError(t, err)
		require.Equal(t, metadata{partition: -1}, decodeMetadata(base64.StdEncoding.EncodeToString(data)), bytes)
	}
	require.Equal(t, metadata{partition: -1}, decodeMetadata("owned by somebody else"))
}

func FuzzMetadata(f *testing.F) {
	f.Add(encodeMetadata(metadata{partition: 5, clocks: map[string]int64{"a": math.MaxInt64}}))
	f.Add("Ag==")
	f.Fuzz(func(t *testing.T, s string) {
		m := decodeMetadata(s)
		again := decodeMetadata(encodeMetadata(m))
		if again.partition != m.partition || len(again.clocks) != len(m.clocks) {
			t.Fatalf("%v is written and read as %v", m, again)
		}
	})
}
