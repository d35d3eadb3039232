package graph

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The hashes are those of Kafka's Java client, org.apache.kafka.common.utils.Utils.
func TestMurmur2IsKafkas(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		require.Equal(t, want, int32(murmur2([]byte(key))), key)
	}
}

// The partition is the hash without its sign bit, modulo the number of partitions.
func TestPartitionIsKafkas(t *testing.T) {
	require.Equal(t, int32((-973932308&0x7fffffff)%10), Partition([]byte("21"), 10))
	require.Equal(t, int32(479470107%7), Partition([]byte("abc"), 7))
	for _, key := range []string{"", "21", "foobar", "abc"} {
		require.Equal(t, int32(0), Partition([]byte(key), 1), key)
	}
}
