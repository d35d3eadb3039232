// Package store keeps what a task remembers: rows of bytes on local disk, which agree
// with their changelog after any crash.
//
// There are only a few types: Store, Spec, Row, Query and the Resources that the stores
// of a process share.
//
// A store is three layers. Put writes into the uncommitted rows (dirty.go), and Get reads
// them first. Commit, called when Kafka has the rows, moves them into the engine
// (engine.go) together with their position in the changelog. In front of the engine is a
// cache of rows (cache.go).
//
//	Get ─► dirty ─► cache ─► engine: one database, or a database a time bucket (segments)
//	Put ─► dirty ─── Commit ──┘
//
// # Why a crash does no harm
//
// The changelog is the log, so the engine has none: journal writes are thrown away, and
// the files of a database change only when goleveldb flushes its memory, as one synced
// table and one synced record of its manifest. Rows and the position they stand for are
// written in one batch, or in several with the position in the last, and batches become
// durable in their order. So after a crash the rows are those of some older position, or
// of newer ones that were committed too; rows are absolute values, so reading the
// changelog again from that position gives the committed state exactly, while it still has
// the deletes since (age.go). What was not committed is in memory only. A store that turns
// out to be corrupt, or too old, is destroyed and restored, never repaired.
//
// Window stores have one database a time bucket; segments.go has the argument for them.
//
// A Store belongs to one task and is used by one goroutine at a time. It has no locks.
package store
