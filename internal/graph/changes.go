package graph

import (
	"encoding/binary"
	"fmt"

	"github.com/seed-df18afd4/streams/serde"
)

// Changes encodes a change as Kafka Streams does on its way to a group: the new value and
// 1, the old value and 0, or the new value's length, both values and 2. A delete of which
// nobody knows the old value is 3 alone.
type Changes[V any] struct{ Value serde.Serde[V] }

func (s Changes[V]) Append(dst []byte, c Change[V]) ([]byte, error) {
	switch {
	case c.HasNew && c.HasOld:
		value, err := s.Value.Append(nil, c.New)
		if err != nil {
			return dst, err
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(value))), value...)
		dst, err = s.Value.Append(dst, c.Old)
		return append(dst, 2), err
	case c.HasNew:
		dst, err := s.Value.Append(dst, c.New)
		return append(dst, 1), err
	}
	if !c.HasOld {
		return append(dst, 3), nil
	}
	dst, err := s.Value.Append(dst, c.Old)
	return append(dst, 0), err
}

func (s Changes[V]) Decode(data []byte) (c Change[V], err error) {
	if len(data) == 0 {
		return c, fmt.Errorf("graph: an empty value is no change of a row")
	}
	flag, data := data[len(data)-1], data[:len(data)-1]
	switch flag {
	case 2:
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return c, fmt.Errorf("graph: the new value of a change is cut short")
		}
		data = data[n:]
		if c.New, err = s.Value.Decode(data[:size]); err != nil {
			return c, err
		}
		c.HasNew, c.HasOld = true, true
		c.Old, err = s.Value.Decode(data[size:])
	case 1:
		c.HasNew = true
		c.New, err = s.Value.Decode(data)
	case 0:
		c.HasOld = true
		c.Old, err = s.Value.Decode(data)
	case 3:
		if len(data) > 0 {
			err = fmt.Errorf("graph: a change without values has %d bytes of them", len(data))
		}
	default:
		err = fmt.Errorf("graph: a change of kind %d", flag)
	}
	return c, err
}
