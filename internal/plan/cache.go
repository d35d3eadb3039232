package plan

// Cache is the record cache of a task: the changes of its tables that wait for the next
// commit, so that a row which changes often is sent once.
type Cache struct {
	Limit int // bytes; more makes the task flush after the record in hand
	Used  int
	held  []Held
}

// Held is what one table holds.
type Held interface {
	Mark()
	Undo()
	Flush() error
}

// Add adds a table. Tables are wired from the last step to the first.
func (c *Cache) Add(h Held) { c.held = append(c.held, h) }

// Full says that it is time to flush.
func (c *Cache) Full() bool { return c.Used > c.Limit }

// Flush sends everything that waits: of the tables nearest to the sources first, since what
// they send may change the others.
func (c *Cache) Flush() error {
	for i := len(c.held) - 1; i >= 0; i-- {
		if err := c.held[i].Flush(); err != nil {
			return err
		}
	}
	return nil
}
