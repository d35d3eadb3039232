package lunch

import (
	"bufio"
	"io"
	"sync"
	"time"
)

// lines gathers lines and writes them a few times a second, since a line at a time is
// slow. Several goroutines may write.
type lines struct {
	w    io.Writer
	mu   sync.Mutex
	buf  *bufio.Writer
	last time.Time
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf == nil {
		l.buf = bufio.NewWriterSize(l.w, 64<<10)
	}
	n, err := l.buf.Write(p)
	if now := time.Now(); err == nil && now.Sub(l.last) > 100*time.Millisecond {
		l.last = now
		err = l.buf.Flush()
	}
	return n, err
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf != nil {
		l.buf.Flush()
	}
}
