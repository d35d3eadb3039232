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
	Stack string // from there up to the task: functions and lines
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
	var stack strings.Builder
	panicking := false
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case strings.HasPrefix(f.Function, "runtime."):
			panicking = panicking || f.Function == "runtime.gopanic"
		case strings.HasPrefix(f.Function, here) && stack.Len() > 0:
			more = false
		case panicking:
			if stack.Len() == 0 {
				e.Where = fmt.Sprintf("%s:%d", f.File, f.Line)
			}
			fmt.Fprintf(&stack, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
	}
	e.Stack = stack.String()
	return e
}

// here begins the names of a task's methods.
const here = "github.com/seed-df18afd4/streams/internal/task.(*Task)"
