package plan

// schedule is a function that is called at intervals of stream or wall-clock time.
type schedule struct {
	every int64
	wall  bool
	next  int64 // due when the clock is here
	call  func(now int64) error
	node  int
	ended bool
}

// Schedule calls f every so many milliseconds of stream time, or of wall-clock time. Calls
// that time has jumped over are made once. A start before the first call is given by at,
// or is -1: then stream time begins at the first record and goes on at multiples of the
// interval, and wall-clock time begins one interval from now.
func (c *Context) Schedule(every int64, wall bool, at int64, f func(now int64) error) (stop func()) {
	s := &schedule{every: every, wall: wall, call: f, node: c.Node}
	switch {
	case at >= 0:
		s.next = at
	case wall:
		s.next = c.WallTime + every
	}
	c.schedules = append(c.schedules, s)
	c.undo = append(c.undo, func() { s.ended = true })
	return func() {
		if !s.ended {
			s.ended = true
			c.undo = append(c.undo, func() { s.ended = false })
		}
	}
}

// Scheduled says whether there is any schedule.
func (c *Context) Scheduled() bool { return len(c.schedules) > 0 }

// Due calls one schedule that is due, if there is any. The caller has set the marks.
func (c *Context) Due() (called bool, err error) {
	for _, s := range c.schedules {
		now := c.StreamTime
		if s.wall {
			now = c.WallTime
		}
		if s.ended || now < s.next || now < 0 {
			continue
		}
		before := s.next
		c.undo = append(c.undo, func() { s.next = before })
		s.next += (now-s.next)/s.every*s.every + s.every
		c.Record.Input, c.Node = -1, s.node
		return true, s.call(now)
	}
	c.sweep()
	return false, nil
}

// NextWall is when the next wall-clock schedule is due, -1 without any.
func (c *Context) NextWall() int64 {
	next := int64(-1)
	for _, s := range c.schedules {
		if s.wall && !s.ended && (next < 0 || s.next < next) {
			next = s.next
		}
	}
	return next
}

// sweep forgets the schedules that have ended.
func (c *Context) sweep() {
	live := c.schedules[:0]
	for _, s := range c.schedules {
		if !s.ended {
			live = append(live, s)
		}
	}
	clear(c.schedules[len(live):])
	c.schedules = live
}
