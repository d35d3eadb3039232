package task

import (
	"fmt"
	"runtime"
	"strings"
)

// PanicError is a panic in a function of the program.
type PanicError struct {
	Value any
	Where string // the line of the program that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic at %s: %v", e.Where, e.Value) }

// Unwrap is the error that the program panicked with, if it was one.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// panicked makes an error of what recover returned. The first function on the stack after
// the panic itself that is not of the runtime is the one that panicked.
func panicked(r any) error {
	e := &PanicError{Value: r, Where: "an unknown line"}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	panicking := false
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "runtime.") {
			panicking = panicking || f.Function == "runtime.gopanic"
		} else if panicking {
			e.Where = fmt.Sprintf("%s:%d", f.File, f.Line)
			return e
		}
		if !more {
			return e
		}
	}
}
