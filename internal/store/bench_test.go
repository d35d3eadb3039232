package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

func benchStore(b *testing.B, s Spec) *Store {
	b.Helper()
	st, err := Open(b.TempDir(), s, "bench", NewResources(ResourceLimits{}))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := st.Close(); err != nil {
			b.Error(err)
		}
	})
	return st
}

// id is the key of number i: 16 bytes in no order.
func id(dst []byte, i uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst[:0], mix(i+1))
	return binary.BigEndian.AppendUint64(dst, mix(i^math.MaxUint64))
}

// BenchmarkAggregate reads and writes 100,000 counters, Zipf distributed, with a commit
// each 50,000 operations.
func BenchmarkAggregate(b *testing.B) {
	s := benchStore(b, Spec{Name: "counts"})
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, 99_999)
	draws := make([]uint32, 1<<20)
	for i := range draws {
		draws[i] = uint32(zipf.Uint64())
	}
	var key, value []byte
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		key = id(key, uint64(draws[n&(len(draws)-1)]))
		s.Mark()
		row, ok, err := s.Get(key)
		count := uint64(1)
		if ok {
			count += binary.BigEndian.Uint64(row.Value)
		}
		value = binary.BigEndian.AppendUint64(value[:0], count)
		if _, perr := s.Put(key, value, int64(n)); err != nil || perr != nil {
			b.Fatal(err, perr)
		}
		if n++; n%50_000 == 0 {
			benchCommit(b, s, int64(n))
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func benchCommit(b *testing.B, s *Store, offset int64) {
	if err := s.Changelog(func(_, _ []byte, _ int64) error { return nil }); err != nil {
		b.Fatal(err)
	}
	if err := s.Commit(offset); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDedup asks for new ids over four segments and writes them, with a commit each
// 20,000.
func BenchmarkDedup(b *testing.B) {
	const retention = 3 * 60_000
	s := benchStore(b, Spec{Name: "ids", Kind: Window, Retention: retention})
	var key, row []byte
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		at := int64(n) / 4 // 240,000 ids a segment
		key = id(key, uint64(n))
		s.Mark()
		for _, err := range s.Scan(Query{Key: key, Start: at - retention/2, End: at + retention/2}) {
			b.Fatal("seen before, or ", err)
		}
		row = AppendWindowKey(row[:0], key, at)
		if _, err := s.Put(row, []byte{1}, at); err != nil {
			b.Fatal(err)
		}
		if n++; n%20_000 == 0 {
			benchCommit(b, s, int64(n))
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkRestore restores 2,000,000 rows in no order.
func BenchmarkRestore(b *testing.B) {
	const rows, batch = 2_000_000, 1000
	records := make([]kafka.Record, batch)
	for b.Loop() {
		b.StopTimer()
		s := benchStore(b, Spec{Name: "rows"})
		b.StartTimer()
		for from := 0; from < rows; from += batch {
			for i := range records {
				r := &records[i]
				r.Key = id(r.Key, uint64(from+i))
				if r.Value == nil {
					r.Value = fmt.Appendf(nil, "%0100d", i)
				}
				r.Offset = int64(from + i)
			}
			if err := s.Restore(records, int64(from+batch)); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.FinishRestore(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
