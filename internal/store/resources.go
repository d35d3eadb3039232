package store

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

// ResourceLimits bounds what the stores of a process use together. A zero field takes
// its default.
type ResourceLimits struct {
	BlockCache   int              // bytes of decoded blocks, filters and indexes of tables; 64 MiB
	OpenFiles    int              // table files kept open; 1,000
	WriteBuffers int              // bytes of rows in memory before they are flushed; 128 MiB
	MinBuffer    int              // bytes of WriteBuffers that every database has; 256 KiB
	RowCaches    int              // bytes of the row caches; 64 MiB
	RowCache     int              // bytes of the row cache of one store, at most; 8 MiB
	Restores     int              // bytes of records that wait to be written sorted; 64 MiB
	Uncommitted  int              // bytes that are kept for the next uncommitted rows; 64 MiB
	Filters      int              // bytes of the filters of window stores; 64 MiB
	Level0       int              // tables that have gathered before goleveldb merges them; 4
	Disk         Disk             // where the files are; the machine's
	Logger       *slog.Logger     // told about stores that are wiped; silent
	Now          func() time.Time // the clock; the machine's
}

// Resources are the memory and files that the stores of a process share. They may be
// used by several goroutines.
type Resources struct {
	blocks, files opt.Cacher
	writeBuffers  int
	minBuffer     int
	rows          shared // row caches, by stores
	kept          shared // memory of uncommitted rows, by stores
	restores      shared // by stores that are restored
	filters       room   // of window stores
	batches       sync.Pool
	level0        int
	disk          Disk
	log           *slog.Logger
	now           func() time.Time
	filter        filter.Filter

	mu       sync.Mutex
	open     []*database
	expected int // databases
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
	def(&l.MinBuffer, 256*opt.KiB)
	def(&l.RowCaches, 64*opt.MiB)
	def(&l.RowCache, 8*opt.MiB)
	def(&l.Restores, 64*opt.MiB)
	def(&l.Uncommitted, 64*opt.MiB)
	def(&l.Filters, 64*opt.MiB)
	def(&l.Level0, opt.DefaultCompactionL0Trigger)
	if l.Disk == nil {
		l.Disk = machineDisk{}
	}
	if l.Logger == nil {
		l.Logger = slog.New(slog.DiscardHandler)
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	r := &Resources{
		blocks:       opt.NewLRU(l.BlockCache),
		files:        opt.NewLRU(l.OpenFiles),
		writeBuffers: l.WriteBuffers,
		minBuffer:    l.MinBuffer,
		rows:         shared{whole: l.RowCaches, least: 0, most: l.RowCache},
		kept:         shared{whole: l.Uncommitted, least: minKept, most: l.Uncommitted},
		restores:     shared{whole: l.Restores, least: minRestore, most: maxRestore},
		filters:      room{whole: int64(l.Filters)},
		level0:       l.Level0,
		disk:         l.Disk,
		log:          l.Logger,
		now:          l.Now,
		filter:       filter.NewBloomFilter(10),
	}
	r.batches.New = func() any { return new(leveldb.Batch) }
	r.filters.none = func() {
		r.log.Warn("the filters of window stores have all the memory there is for them: some keys are looked up on disk that are not there", "bytes", l.Filters)
	}
	return r
}

const (
	// minKept is what a store keeps for its next uncommitted rows, however many there are.
	minKept = 64 * opt.KiB
	// minRestore and maxRestore are how much is gathered of a changelog, to write it sorted and
	// only the last of each key: less is not worth while, and more makes it hardly faster.
	minRestore = 256 * opt.KiB
	maxRestore = 32 * opt.MiB
)

// Expect says how many databases there will be, so that those that are opened first do not
// take all of the write buffers. A window store has about four.
func (r *Resources) Expect(databases int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected = databases
}

const maxWriteBuffer = 32 * opt.MiB

// writeBuffer is the write buffer of the next database. A database holds two while it
// flushes one, hence the half of an equal share.
func (r *Resources) writeBuffer() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	share := r.writeBuffers / (2 * max(1, len(r.open), r.expected))
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
