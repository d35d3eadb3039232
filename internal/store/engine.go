package store

// engine is where the committed rows are: a database, or one for each time bucket of a
// window store. Keys are tagged.
type engine interface {
	// position is how far the engine has come: its rows are those of this position, or
	// newer ones.
	position() position
	// get returns a row; the value is the caller's.
	get(key []byte) (value []byte, time int64, ok bool, err error)
	// scan returns cursors over the rows of a span, as they are now.
	scan(s span) ([]cursor, error)
	// put and remove change a row, at the latest with the next commit.
	put(key, value []byte, time int64) error
	remove(key []byte) error
	// commit ends a run of changes: the engine has come to p.
	commit(p position) error
	// maintain does what must not happen during a scan: it drops what is of no use when
	// no row up to and including horizon can be reached.
	maintain(horizon int64) error
	// sizes are the approximate bytes on disk of the rows of a span, and of all rows.
	sizes(s span) (part, whole int64, err error)
	// flush makes all that was committed durable.
	flush() error
	// close ends it, without flush.
	close() error
}
