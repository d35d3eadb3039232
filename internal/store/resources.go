package store

import (
	"log/slog"
	"sync/atomic"

	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

// ResourceLimits bounds what the stores of a process use together. A zero field takes
// its default.
type ResourceLimits struct {
	BlockCache   int          // bytes of decoded blocks, filters and indexes of tables; 64 MiB
	OpenFiles    int          // table files kept open; 1,000
	WriteBuffers int          // bytes of rows in memory before they are flushed; 128 MiB
	RowCache     int          // bytes of the row cache of each store; 8 MiB
	Logger       *slog.Logger // told about stores that are wiped; silent
}

// Resources are the memory and files that the stores of a process share. They may be
// used by several goroutines.
type Resources struct {
	blocks, files opt.Cacher
	writeBuffers  int
	rowCache      int
	log           *slog.Logger
	filter        filter.Filter
	databases     atomic.Int64 // open ones
}

// NewResources returns resources with these limits.
func NewResources(l ResourceLimits) *Resources {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.BlockCache, 64*opt.MiB)
	def(&l.OpenFiles, 1000)
	def(&l.WriteBuffers, 128*opt.MiB)
	def(&l.RowCache, 8*opt.MiB)
	if l.Logger == nil {
		l.Logger = slog.New(slog.DiscardHandler)
	}
	return &Resources{
		blocks:       opt.NewLRU(l.BlockCache),
		files:        opt.NewLRU(l.OpenFiles),
		writeBuffers: l.WriteBuffers,
		rowCache:     l.RowCache,
		log:          l.Logger,
		filter:       filter.NewBloomFilter(10),
	}
}

const (
	minWriteBuffer = 1 * opt.MiB
	maxWriteBuffer = 32 * opt.MiB
)

// writeBuffer is the write buffer of the next database. A database holds two while it
// flushes one, hence the half of an equal share.
func (r *Resources) writeBuffer() int {
	share := r.writeBuffers / (2 * max(1, int(r.databases.Load())))
	return min(max(share, minWriteBuffer), maxWriteBuffer)
}

// options are goleveldb's. Strict and the synced writes are what makes a store agree
// with its position after a crash; the manifest is never rotated, since the code that
// rotates it has lost track of tables before.
func (r *Resources) options(writeBuffer int) *opt.Options {
	return &opt.Options{
		WriteBuffer:                  writeBuffer,
		BlockCacher:                  r.blocks,
		OpenFilesCacher:              r.files,
		CompactionTableSize:          4 * opt.MiB,
		CompactionTotalSize:          64 * opt.MiB,
		WriteL0SlowdownTrigger:       16,
		WriteL0PauseTrigger:          24,
		DisableSeeksCompaction:       true,
		DisableLargeBatchTransaction: true,
		Filter:                       r.filter,
		Compression:                  opt.SnappyCompression,
		Strict:                       opt.DefaultStrict | opt.StrictManifest | opt.StrictJournal,
		MaxManifestFileSize:          1 << 62,
	}
}
