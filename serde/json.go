package serde

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// JSON encodes a T as JSON, with encoding/json and its rules for fields and tags, and no
// newline at the end. MarshalJSON and UnmarshalJSON are used with either kind of receiver.
// Decode skips fields that T does not have, and refuses anything that follows the value.
// The same value always gives the same bytes, also a map, so JSON can encode keys. It is
// the slowest serde here: it reads T by reflection and allocates.
func JSON[T any]() Serde[T] { return jsonSerde[T]{} }

type jsonSerde[T any] struct{}

func (jsonSerde[T]) Append(dst []byte, v T) ([]byte, error) {
	// By pointer: else a MarshalJSON with a pointer receiver would be passed over, while
	// Decode uses its UnmarshalJSON.
	data, err := json.Marshal(&v)
	if err != nil {
		return dst, fmt.Errorf("serde: encode %v as JSON: %w", reflect.TypeFor[T](), err)
	}
	return append(dst, data...), nil
}

func (jsonSerde[T]) Decode(data []byte) (T, error) {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		var zero T
		return zero, fmt.Errorf("serde: decode %v from JSON: %w", reflect.TypeFor[T](), err)
	}
	return v, nil
}
