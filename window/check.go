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
	case Tumbling, Hopping:
	default: // nil, or a pointer, which is not equal to another one of the same windows
		return fmt.Errorf("window: windows are a %T: write a value of window.Tumbling or window.Hopping", w)
	}
	var mistakes []error
	wrong := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("window: %v: %s", w, fmt.Sprintf(format, args...)))
	}
	h := w.windows()
	switch {
	case h.Size <= 0:
		wrong("a window needs a Size: write how long it lasts, such as Size: time.Hour")
	case !wholeMilliseconds(h.Size):
		wrong("Size is finer than a millisecond, which Kafka's times are not: write whole milliseconds")
	case h.Every <= 0:
		wrong("windows that hop need an Every: write how far apart they start, such as Every: time.Minute")
	case !wholeMilliseconds(h.Every):
		wrong("Every is finer than a millisecond, which Kafka's times are not: write whole milliseconds")
	case h.Every > h.Size:
		wrong("a time between two windows would be in none: write an Every of %v or less", h.Size)
	}
	switch {
	case h.Grace < 0:
		wrong("Grace is negative: write how long after its end a window takes late records, or leave Grace out")
	case !wholeMilliseconds(h.Grace):
		wrong("Grace is finer than a millisecond, which Kafka's times are not: write whole milliseconds")
	}
	if h.Emit.every < 0 {
		wrong("Emit is every negative time: write a positive one, such as window.Every(time.Second), or leave Emit out")
	}
	return errors.Join(mistakes...)
}

func wholeMilliseconds(d time.Duration) bool { return d%time.Millisecond == 0 }
