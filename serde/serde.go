// Package serde turns typed keys and values into the bytes that Kafka holds, and back.
//
// Every topic and every store names a serde for its keys and one for its values. To choose:
//
//   - Another program reads or writes the topic with Kafka's Java client: take the
//     serde of the same type ([String], [Int64], [UUID] and so on). The bytes are the same.
//   - The value is a struct: [JSON].
//   - The format is Protobuf, Avro or your own: [Func], or a type with the two methods of [Serde].
//   - The value may be missing: [Nullable] around any of these.
//
// A serde knows nothing of Kafka's null. Where T is a pointer or an interface, nil is
// written as null and null is read as nil, both without the serde.
package serde

import (
	"errors"
	"fmt"
)

// Serde encodes and decodes values of type T. Many tasks use one Serde at once: it must
// hold no mutable state. It never meets null: nil is written as null without it, and
// null is read without it.
type Serde[T any] interface {
	// Append encodes v onto dst and returns the extended slice, which may be dst's memory.
	// The slice means nothing when the error is not nil.
	Append(dst []byte, v T) ([]byte, error)
	// Decode reads a value from the whole of data, which it must not keep or change:
	// what the value holds of it must be copied.
	Decode(data []byte) (T, error)
}

// Nullable encodes a *T as s encodes what it points to. With it a type that has no nil
// has one, and so a null. The pointer that Decode returns is never nil. Append refuses
// nil, which is null and has no bytes. Nullable of a nil s is nil: a missing serde.
func Nullable[T any](s Serde[T]) Serde[*T] {
	if s == nil {
		return nil
	}
	return nullable[T]{s}
}

type nullable[T any] struct{ s Serde[T] }

func (n nullable[T]) String() string { return "nullable(" + Name(n.s) + ")" }

func (n nullable[T]) Append(dst []byte, v *T) ([]byte, error) {
	if v == nil {
		return dst, errors.New("serde: Nullable cannot encode nil: write it as Kafka's null, without a serde")
	}
	return n.s.Append(dst, *v)
}

func (n nullable[T]) Decode(data []byte) (*T, error) {
	v, err := n.s.Decode(data)
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// Func makes a serde of two functions, which keep the rules of [Serde]'s methods. Their
// errors are passed on as they are. If one of them is nil so is the serde: a missing one.
func Func[T any](encode func(dst []byte, v T) ([]byte, error), decode func(data []byte) (T, error)) Serde[T] {
	if encode == nil || decode == nil {
		return nil
	}
	return &functions[T]{encode, decode}
}

// functions is used by pointer: comparing two serdes must not panic, as comparing two
// functions does.
type functions[T any] struct {
	encode func([]byte, T) ([]byte, error)
	decode func([]byte) (T, error)
}

func (f *functions[T]) Append(dst []byte, v T) ([]byte, error) { return f.encode(dst, v) }

func (f *functions[T]) Decode(data []byte) (T, error) { return f.decode(data) }

// lengthError says that data of got bytes is no value of the serde called name.
func lengthError(name string, want, got int) error {
	return fmt.Errorf("serde: %s takes %d bytes, not %d: use the serde that the data was written with", name, want, got)
}
