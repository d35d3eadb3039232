package store

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// FuzzRestore gives every kind of store a changelog that anybody may have written. It must
// be taken or refused; what was taken can be read, and is written back as it came.
func FuzzRestore(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), int64(1), []byte("key\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"), []byte{}, int64(-1))
	f.Add(binary.BigEndian.AppendUint64(make([]byte, 8), 1<<63), []byte(nil), int64(1<<62), []byte{0, 255, 1}, []byte{1}, int64(0))
	res := NewResources(ResourceLimits{WriteBuffers: 1, MinBuffer: 4 << 10, BlockCache: 4 << 10})
	f.Fuzz(func(t *testing.T, k1, v1 []byte, t1 int64, k2, v2 []byte, t2 int64) {
		for _, spec := range []Spec{
			{Name: "plain", InMemory: true},
			{Name: "windows", Kind: Window, Retention: 600_000, InMemory: true},
			{Name: "sessions", Kind: Session, Retention: 600_000, InMemory: true},
			{Name: "lists", Kind: List, Retention: 600_000, InMemory: true},
			{Name: "versions", Kind: Versioned, History: 2000, InMemory: true},
		} {
			s, err := Open("", spec, "origin", res)
			require.NoError(t, err)
			log := []kafka.Record{{Key: k1, Value: v1, Time: t1, Offset: 1}, {Key: k2, Value: v2, Time: t2, Offset: 2}}
			if err := s.Restore(log, 3); err == nil {
				require.NoError(t, s.FinishRestore())
				for _, q := range []Query{all, {Start: all.Start, End: all.End, Backward: true}} {
					for row, err := range s.Scan(q) {
						require.NoError(t, err)
						_, ok, err := s.Get(row.Key)
						require.NoError(t, err)
						require.True(t, ok, "%v %x", spec.Kind, row.Key)
					}
				}
			}
			require.NoError(t, s.Close())
		}
	})
}

// FuzzReadBloom reads filters whose checksum is right, whatever they hold.
func FuzzReadBloom(f *testing.F) {
	f.Add([]byte(bloomVersion + "\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		mark := []byte("mark")
		if b, err := readBloom(binary.LittleEndian.AppendUint32(b, bloomSum(mark, b)), mark, nil); err == nil {
			b.has([]byte("key"))
			b.add([]byte("key"))
			require.True(t, b.has([]byte("key")))
		}
	})
}

// FuzzMeta reads the rows that a database has beside those of its store.
func FuzzMeta(f *testing.F) {
	f.Add(appendPosition(nil, position{7, 9}))
	f.Add(appendStored(nil, 1, []byte("value")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := readPosition(b); err == nil {
			require.Equal(t, b, appendPosition(nil, p))
		} else {
			require.True(t, isCorrupt(err))
		}
		if ms, value, err := splitStored(b); err == nil {
			require.Equal(t, b, appendStored(nil, ms, value))
		} else {
			require.True(t, isCorrupt(err))
		}
	})
}
