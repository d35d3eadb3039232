package window

import (
	"errors"
	"fmt"
	"time"
)

// Check gives all that is wrong with w, each with what to write instead, or nil. Windows
// that pass are safe for everything else in this package.
func Check(w Windows) error {
	switch w.(type) {
	case Tumbling, Hopping, Sliding, Session, Unlimited:
	default: // nil, or a pointer, which is not equal to another one of the same windows
		return fmt.Errorf("window: windows are a %T: write a value of one of the types of package window, such as window.Tumbling", w)
	}
	f := w.windows()
	var mistakes []error
	wrong := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("window: %v: %s", w, fmt.Sprintf(format, args...)))
	}
	f.checkSize(wrong)
	switch {
	case f.grace < 0:
		wrong("Grace is negative: write how long after its end a window takes late records, or leave Grace out")
	case !wholeMilliseconds(f.grace):
		wrong("Grace is finer than a millisecond, which Kafka's times are not: write whole milliseconds")
	}
	if f.emit.every < 0 {
		wrong("Emit is every negative time: write a positive one, such as window.Every(time.Second), or leave Emit out")
	}
	return errors.Join(mistakes...)
}

// checkSize says what is wrong with how windows lie.
func (f form) checkSize(wrong func(format string, args ...any)) {
	name := "Size"
	if f.kind == Sessions {
		name = "Gap"
	}
	switch {
	case f.kind == Endless:
		if f.begin() < 0 {
			wrong("Start is before 1970, where event times begin: leave it out, or write a later one")
		}
	case f.size <= 0:
		wrong("a window needs a %s: write how long it lasts, such as %s: time.Hour", name, name)
	case !wholeMilliseconds(f.size):
		wrong("%s is finer than a millisecond, which Kafka's times are not: write whole milliseconds", name)
	case f.kind != Aligned:
	case f.every <= 0:
		wrong("windows that hop need an Every: write how far apart they start, such as Every: time.Minute")
	case !wholeMilliseconds(f.every):
		wrong("Every is finer than a millisecond, which Kafka's times are not: write whole milliseconds")
	case f.every > f.size:
		wrong("a time between two windows would be in none: write an Every of %v or less", f.size)
	}
}

// Check gives all that is wrong with j, each with what to write instead, or nil.
func (j Join) Check() error {
	var mistakes []error
	wrong := func(s string) { mistakes = append(mistakes, fmt.Errorf("window: %+v: %s", j, s)) }
	if j.Before+j.After < 0 {
		wrong("the window is empty: Before and After together cannot be negative")
	}
	if j.Grace < 0 {
		wrong("Grace is negative: leave it out, or write how long to wait for late partners")
	}
	if !wholeMilliseconds(j.Before) || !wholeMilliseconds(j.After) || !wholeMilliseconds(j.Grace) {
		wrong("it is finer than a millisecond, which Kafka's times are not: write whole milliseconds")
	}
	return errors.Join(mistakes...)
}

func wholeMilliseconds(d time.Duration) bool { return d%time.Millisecond == 0 }
