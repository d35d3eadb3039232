package store

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

// ResourceLimits bounds what the stores of a process use together. A zero field takes
// its default.
type ResourceLimits struct {
	BlockCache   int          // bytes of decoded blocks, filters and indexes of tables; 64 MiB
	OpenFiles    int          // table files kept open; 1,000
	WriteBuffers int          // bytes of rows in memory before they are flushed; 128 MiB
	MinBuffer    int          // bytes of WriteBuffers that every database has; 1 MiB
	RowCache     int          // bytes of the row cache of each store; 8 MiB
	Level0       int          // tables that have gathered before goleveldb merges them; 4
	Disk         Disk         // where the files are; the machine's
	Logger       *slog.Logger // told about stores that are wiped; silent
}

// Resources are the memory and files that the stores of a process share. They may be
// used by several goroutines.
type Resources struct {
	blocks, files opt.Cacher
	writeBuffers  int
	minBuffer     int
	rowCache      int
	level0        int
	disk          Disk
	log           *slog.Logger
	filter        filter.Filter

	mu   sync.Mutex
	open []*database
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
	def(&l.MinBuffer, 1*opt.MiB)
	def(&l.RowCache, 8*opt.MiB)
	def(&l.Level0, opt.DefaultCompactionL0Trigger)
	if l.Disk == nil {
		l.Disk = machineDisk{}
	}
	if l.Logger == nil {
		l.Logger = slog.New(slog.DiscardHandler)
	}
	return &Resources{
		blocks:       opt.NewLRU(l.BlockCache),
		files:        opt.NewLRU(l.OpenFiles),
		writeBuffers: l.WriteBuffers,
		minBuffer:    l.MinBuffer,
		rowCache:     l.RowCache,
		level0:       l.Level0,
		disk:         l.Disk,
		log:          l.Logger,
		filter:       filter.NewBloomFilter(10),
	}
}

const maxWriteBuffer = 32 * opt.MiB

// writeBuffer is the write buffer of the next database. A database holds two while it
// flushes one, hence the half of an equal share.
func (r *Resources) writeBuffer() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	share := r.writeBuffers / (2 * max(1, len(r.open)))
	return min(max(share, r.minBuffer), maxWriteBuffer)
}

func (r *Resources) opened(d *database) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, d)
}

func (r *Resources) closed(d *database) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = slices.DeleteFunc(r.open, func(o *database) bool { return o == d })
}

// Flush has every open database write its memory to disk, as goleveldb does when there is
// much of it. Nobody may use a store meanwhile.
func (r *Resources) Flush() error {
	r.mu.Lock()
	open := slices.Clone(r.open)
	r.mu.Unlock()
	var errs []error
	for _, d := range open {
		errs = append(errs, d.flush())
	}
	return errors.Join(errs...)
}

// Abandon ends every open database without its store, as if the process had died: nothing
// more is written, and nothing of goleveldb runs any more. The stores must not be used.
func (r *Resources) Abandon() {
	r.mu.Lock()
	open := slices.Clone(r.open)
	r.mu.Unlock()
	for _, d := range open {
		_ = d.close() // what is abandoned need not be whole
	}
}

// options are goleveldb's. Strict and the synced writes are what makes a store agree
// with its position after a crash; the manifest is never rotated, since the code that
// rotates it has lost track of tables before.
func (r *Resources) options(writeBuffer int) *opt.Options {
	return &opt.Options{
		WriteBuffer:                  writeBuffer,
		CompactionL0Trigger:          r.level0,
		BlockCacher:                  r.blocks,
		OpenFilesCacher:              r.files,
		CompactionTableSize:          4 * opt.MiB,
		CompactionTotalSize:          64 * opt.MiB,
		WriteL0SlowdownTrigger:       4 * r.level0,
		WriteL0PauseTrigger:          6 * r.level0,
		DisableSeeksCompaction:       true,
		DisableLargeBatchTransaction: true,
		Filter:                       r.filter,
		Compression:                  opt.SnappyCompression,
		Strict:                       opt.DefaultStrict | opt.StrictManifest | opt.StrictJournal,
		MaxManifestFileSize:          1 << 62,
	}
}

// Disk is where the stores' files are.
func (r *Resources) Disk() Disk { return r.disk }
