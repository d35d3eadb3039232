package ktable

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/seed-df18afd4/streams/serde"
)

// What a subscription asks for.
const (
	answerIfThere   = iota // remember, and answer if there is a right row
	answerAlways           // remember, and answer also that there is none
	forget                 // forget, and do not answer
	forgetAndAnswer        // forget, and answer that there is none
)

// subscription is what a left row asks of the task that has its right row.
type subscription struct {
	Do        byte
	Hash      []byte // of the left row as it is; nil: it is deleted
	Key       []byte // of the left row
	Partition int32  // of the left row's task, which gets the answer
}

// response is the answer.
type response struct {
	Hash      []byte // of the left row that asked
	Partition int32
	Has       bool
	Value     []byte // of the right row
}

// subscriber is the key under which a subscription is kept: all of one right row lie
// together, in the order of the left keys.
type subscriber struct{ Foreign, Key []byte }

const hashSize = 16

// hashOf is a hash of a value's bytes that stays the same everywhere.
func hashOf[V any](s serde.Serde[V], v V) ([]byte, error) {
	b, err := s.Append(nil, v)
	if err != nil {
		return nil, err
	}
	h := fnv.New128a()
	h.Write(b)
	return h.Sum(nil), nil
}

// equal says whether two keys have the same bytes.
func equal[K any](s serde.Serde[K], a, b K) (bool, error) {
	x, err := s.Append(nil, a)
	if err != nil {
		return false, err
	}
	y, err := s.Append(nil, b)
	return bytes.Equal(x, y), err
}

func appendHash(dst, hash []byte) []byte {
	if hash == nil {
		return append(dst, 0)
	}
	return append(append(dst, 1), hash...)
}

// takeHash reads a hash, and gives what is behind it.
func takeHash(data []byte) (hash, rest []byte, err error) {
	switch {
	case len(data) >= 1 && data[0] == 0:
		return nil, data[1:], nil
	case len(data) >= 1+hashSize && data[0] == 1:
		return bytes.Clone(data[1 : 1+hashSize]), data[1+hashSize:], nil
	}
	return nil, nil, fmt.Errorf("ktable: a message of a foreign-key join is cut short")
}

type subscriptions struct{}

func (subscriptions) Append(dst []byte, s subscription) ([]byte, error) {
	dst = appendHash(append(dst, s.Do), s.Hash)
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.Partition))
	return append(dst, s.Key...), nil
}

func (subscriptions) Decode(data []byte) (s subscription, err error) {
	if len(data) == 0 || data[0] > forgetAndAnswer {
		return s, fmt.Errorf("ktable: %d bytes are no subscription of a foreign-key join", len(data))
	}
	s.Do = data[0]
	if s.Hash, data, err = takeHash(data[1:]); err != nil {
		return s, err
	}
	if len(data) < 4 {
		return s, fmt.Errorf("ktable: a subscription of a foreign-key join is cut short")
	}
	s.Partition = int32(binary.BigEndian.Uint32(data))
	s.Key = append([]byte{}, data[4:]...)
	return s, nil
}

type responses struct{}

func (responses) Append(dst []byte, r response) ([]byte, error) {
	dst = appendHash(dst, r.Hash)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Partition))
	if !r.Has {
		return append(dst, 0), nil
	}
	return append(append(dst, 1), r.Value...), nil
}

func (responses) Decode(data []byte) (r response, err error) {
	if r.Hash, data, err = takeHash(data); err != nil {
		return r, err
	}
	if len(data) < 5 {
		return r, fmt.Errorf("ktable: a response of a foreign-key join is cut short")
	}
	r.Partition, r.Has = int32(binary.BigEndian.Uint32(data)), data[4] == 1
	if r.Has {
		r.Value = append([]byte{}, data[5:]...)
	}
	return r, nil
}

type subscribers struct{}

func (subscribers) Append(dst []byte, s subscriber) ([]byte, error) {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s.Foreign)))
	return append(append(dst, s.Foreign...), s.Key...), nil
}

func (subscribers) Decode(data []byte) (s subscriber, err error) {
	if len(data) < 4 {
		return s, fmt.Errorf("ktable: %d bytes are no key of a foreign-key join", len(data))
	}
	n := uint64(binary.BigEndian.Uint32(data))
	if uint64(len(data)) < 4+n {
		return s, fmt.Errorf("ktable: a key of a foreign-key join is cut short")
	}
	s.Foreign = append([]byte{}, data[4:4+n]...)
	s.Key = append([]byte{}, data[4+n:]...)
	return s, nil
}
