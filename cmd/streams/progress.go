package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress says how far long work is: a bar with rate and time left on a terminal, a line
// now and then elsewhere. It belongs to one goroutine.
type progress struct {
	what        string
	total, done int64
	bar         *progressbar.ProgressBar // nil: lines
	w           io.Writer
	begun, said time.Time
}

// sayEvery is the time between two lines.
const sayEvery = 5 * time.Second

// progress begins to tell of work on so many units, "records" say.
func (t *tool) progress(what, unit string, total int64) *progress {
	p := &progress{what: what + " (" + unit + ")", total: total, w: t.messages, begun: time.Now(), said: time.Now()}
	if f, ok := t.messages.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(max(total, 1),
			progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(what), progressbar.OptionSetItsString(unit),
			progressbar.OptionShowIts(), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	return p
}

// set says how much is done.
func (p *progress) set(done int64) {
	p.done = min(done, p.total)
	if p.bar != nil {
		_ = p.bar.Set64(p.done) // a bar that cannot be drawn is no reason to stop
		return
	}
	if time.Since(p.said) < sayEvery {
		return
	}
	p.said = time.Now()
	rate := float64(p.done) / time.Since(p.begun).Seconds()
	left := "unknown"
	if rate > 0 {
		left = time.Duration(float64(p.total-p.done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	fmt.Fprintf(p.w, "%s: %d of %d, %.0f a second, %s left\n", p.what, p.done, p.total, rate, left)
}

// end clears the bar.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
