package plan

import (
	"reflect"

	"github.com/seed-df18afd4/streams/serde"
)

// Types say what the keys and values of a topic or store are, for tools that read them
// without the program. They are no part of the fingerprint.
type Types struct{ Key, Value Type }

// Type is the name of a serde, as serde.Name has it, and of the Go type that it encodes.
type Type struct{ Serde, Go string }

// TypesOf are the types of two serdes.
func TypesOf[K, V any](key serde.Serde[K], value serde.Serde[V]) Types {
	return Types{
		Key:   Type{Serde: serde.Name(key), Go: reflect.TypeFor[K]().String()},
		Value: Type{Serde: serde.Name(value), Go: reflect.TypeFor[V]().String()},
	}
}
