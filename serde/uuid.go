package serde

import (
	"encoding/hex"
	"fmt"
)

// UUID encodes as text of 36 characters, lower case, such as
// f81d4fae-7dec-11d0-a765-00a0c91e6bf6, like Java's UUIDSerializer: not as 16 bytes.
// Decode takes upper case as well.
var UUID Serde[[16]byte] = uuidSerde{}

type uuidSerde struct{}

// uuidGroups are where the digits stand in the text; a hyphen parts each two.
var uuidGroups = [...]struct{ from, to int }{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}}

const uuidLength = 36

func (uuidSerde) Append(dst []byte, v [16]byte) ([]byte, error) {
	rest := v[:]
	for _, g := range uuidGroups {
		if g.from > 0 {
			dst = append(dst, '-')
		}
		n := (g.to - g.from) / 2
		dst = hex.AppendEncode(dst, rest[:n])
		rest = rest[n:]
	}
	return dst, nil
}

func (uuidSerde) Decode(data []byte) ([16]byte, error) {
	var v [16]byte
	if len(data) != uuidLength {
		return v, lengthError("UUID", uuidLength, len(data))
	}
	rest := v[:]
	for _, g := range uuidGroups {
		if g.from > 0 && data[g.from-1] != '-' {
			return [16]byte{}, uuidError(data)
		}
		n, err := hex.Decode(rest, data[g.from:g.to])
		if err != nil {
			return [16]byte{}, uuidError(data)
		}
		rest = rest[n:]
	}
	return v, nil
}

func uuidError(data []byte) error {
	return fmt.Errorf("serde: UUID takes text such as f81d4fae-7dec-11d0-a765-00a0c91e6bf6, not %q: use the serde that the data was written with", data)
}
