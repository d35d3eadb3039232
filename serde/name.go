package serde

import "fmt"

// Name is what tools call a serde: "string", "bytes", "int32", "int64", "float64", "bool",
// "time", "uuid" or "json" for those of this package, what its String method says for one
// that has it, and otherwise its Go type.
func Name[T any](s Serde[T]) string {
	if named, ok := s.(fmt.Stringer); ok {
		return named.String()
	}
	return fmt.Sprintf("%T", s)
}

func (stringSerde) String() string  { return "string" }
func (bytesSerde) String() string   { return "bytes" }
func (int32Serde) String() string   { return "int32" }
func (int64Serde) String() string   { return "int64" }
func (float64Serde) String() string { return "float64" }
func (boolSerde) String() string    { return "bool" }
func (timeSerde) String() string    { return "time" }
func (uuidSerde) String() string    { return "uuid" }
func (jsonSerde[T]) String() string { return "json" }
