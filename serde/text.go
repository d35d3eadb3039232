package serde

// String encodes text as its own bytes: UTF-8, like Java's StringSerializer. It does not
// check that the bytes are UTF-8. An empty string is an empty value, not null.
var String Serde[string] = stringSerde{}

// Bytes leaves bytes as they are, like Java's ByteArraySerializer. Decode copies. A nil
// slice is written as an empty value, not as null, and an empty value is read as an empty
// slice that is not nil.
var Bytes Serde[[]byte] = bytesSerde{}

type stringSerde struct{}

func (stringSerde) Append(dst []byte, v string) ([]byte, error) {
	return append(notNil(dst), v...), nil
}

func (stringSerde) Decode(data []byte) (string, error) { return string(data), nil }

type bytesSerde struct{}

func (bytesSerde) Append(dst, v []byte) ([]byte, error) { return append(notNil(dst), v...), nil }

func (bytesSerde) Decode(data []byte) ([]byte, error) { return append([]byte{}, data...), nil }

// notNil keeps an empty value encoded onto nil from being nil, which stands for null.
// An empty slice takes no memory.
func notNil(dst []byte) []byte {
	if dst == nil {
		return []byte{}
	}
	return dst
}
