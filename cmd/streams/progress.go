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
// now and then elsewhere. Work that is soon done shows neither. It belongs to one goroutine.
type progress struct {
	what        string
	total, done int64
	bar         *progressbar.ProgressBar // nil: lines
	drawn       bool                     // the bar is on the terminal
	w           io.Writer
	begun, said time.Time
}

const (
	sayEvery  = 5 * time.Second        // the time between two lines
	drawAfter = 200 * time.Millisecond // how long work takes before its bar is drawn; a rate means something by then
	barText   = 34                     // letters, so that the bar and its numbers fit into a line beside them
)

// progress begins to tell of work on so many units, "records" say.
func (t *tool) progress(what, unit string, total int64) *progress {
	p := &progress{what: what + " (" + unit + ")", total: total, w: t.messages, begun: time.Now(), said: time.Now()}
	if f, ok := t.messages.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(max(total, 1),
			progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(short(what, barText)), progressbar.OptionSetItsString(unit),
			progressbar.OptionShowIts(), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(20))
		p.bar.StartWithoutRender() // else its clock would start when it is drawn
	}
	return p
}

// set says how much is done.
func (p *progress) set(done int64) {
	p.done = min(done, p.total)
	if p.bar != nil {
		p.draw()
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

// draw draws the bar. One that cannot be drawn is no reason to stop.
func (p *progress) draw() {
	if !p.drawn && time.Since(p.begun) < drawAfter {
		return
	}
	p.drawn = true
	_ = p.bar.Set64(p.done)
}

// clear takes the bar away, until it is drawn again, to make room for something else.
func (p *progress) clear() {
	if p != nil && p.drawn {
		_ = p.bar.Clear()
	}
}

// end takes the bar away for ever.
func (p *progress) end() {
	if p != nil && p.drawn {
		_ = p.bar.Finish()
	}
}
