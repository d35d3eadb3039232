// Package typed puts types over bytes: tables of K and V over the byte stores of a task,
// and the rule that nil is null.
package typed

import (
	"reflect"
	"unsafe"
)

// Nil says how to tell that a T is nil; it is nil itself if a T never is. A pointer or an
// interface has a nil; other types have none.
func Nil[T any]() func(T) bool {
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Pointer, reflect.Interface:
		// The first word of either is zero exactly if it is nil. Reading it avoids boxing v.
		return func(v T) bool { return *(*unsafe.Pointer)(unsafe.Pointer(&v)) == nil }
	}
	return nil
}
