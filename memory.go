package streams

import (
	"math"
	"runtime/debug"

	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/worker"
)

const (
	defaultMemory = 1 << 30
	leastMemory   = 64 << 20
)

// memoryLimit is MemoryLimit where it is not set: half of Go's own limit, since that counts
// garbage too, and the program needs some.
func memoryLimit() int {
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return int(max(limit/2, leastMemory))
	}
	return defaultMemory
}

// More than these of a worker saves nothing: so much is not sooner there than a commit is due,
// and a broker has enough to do.
const (
	maxWorkerUncommitted = 32 << 20
	maxWorkerSent        = 8 << 20
)

// Of MemoryLimit, in sixteenths:
//
//	4  what is fetched and not processed yet
//	2  what is not committed: rows, and what was sent. At MaxUncommittedBytes a worker
//	   commits early, at twice that it waits
//	1  what was sent and is not acknowledged
//	1  record caches (CacheBytes)
//	2  write buffers of stores
//	2  blocks of stores, with their indexes and filters
//	1  rows of stores that were used last
//	1  filters of window stores: which keys were never seen
//	2  restores: what is fetched, and what is sorted
//
// Each part is shared by who uses it: workers, tasks, stores or partitions. What has to be
// there is not counted: a batch of each partition that a task waits for, and 0.5 to 1 MiB
// of each store. A part that is full makes its users wait, commit early or read from disk.
func (c Config) sixteenths(n int) int { return c.MemoryLimit / 16 * n }

// maxUncommitted is MaxUncommittedBytes where it is not set.
func (c Config) maxUncommitted() int {
	return min(c.sixteenths(2)/(2*max(1, c.Workers)), maxWorkerUncommitted)
}

// workerMemory is what the workers, and restores of so many tasks at once, have each.
func (c Config) workerMemory(restores int) worker.Memory {
	return worker.Memory{
		Fetch:        c.sixteenths(4) / c.Workers,
		RestoreFetch: c.sixteenths(1) / (restores + 1), // short ones count as one
		Produce:      min(c.sixteenths(1)/c.Workers, maxWorkerSent),
		Caches:       c.sixteenths(1) / c.Workers,
	}
}

// storeMemory is what the stores have together.
func (c Config) storeMemory() store.ResourceLimits {
	return store.ResourceLimits{
		WriteBuffers: c.sixteenths(2),
		BlockCache:   c.sixteenths(2),
		RowCaches:    c.sixteenths(1),
		Filters:      c.sixteenths(1),
		Restores:     c.sixteenths(1),
		Uncommitted:  c.sixteenths(1),
		Logger:       c.Logger,
	}
}
