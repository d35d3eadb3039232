package plan

import (
	"sync"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/store"
)

// Global is a table that every instance holds whole. Its topic is its changelog.
type Global struct {
	Topic string
	store.Spec
	Types
	// Convert turns a record of the topic into a row; without ok it makes none. It is
	// called by one goroutine at a time.
	Convert func() func(kafka.Record) (row kafka.Record, ok bool) `json:"-"`
}

// GlobalRows are the rows of a global table: a store for each partition of its topic,
// since each has a position of its own. Tasks on several goroutines read them while
// another one writes, so whoever uses a store holds the lock.
type GlobalRows struct {
	sync.Mutex
	Partitions []*store.Store
}

// Apply writes a batch of the topic into the rows.
func (g *GlobalRows) Apply(partition int32, rows []kafka.Record, next int64) error {
	g.Lock()
	defer g.Unlock()
	s := g.Partitions[partition]
	for _, r := range rows {
		if _, err := s.Put(r.Key, r.Value, r.Time); err != nil {
			return err
		}
	}
	if err := s.Changelog(func([]byte, []byte, int64) error { return nil }); err != nil {
		return err
	}
	return s.Commit(next)
}
