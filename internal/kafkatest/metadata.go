package kafkatest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// knows asks the broker at addr for the cluster's metadata, and returns an error unless it
// answers and lists the brokers with the given ids. It speaks the protocol itself: a client
// library would be tested by what is tested with it.
func knows(addr string, ids []int32) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(metadataRequest()); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	answer := make([]byte, min(binary.BigEndian.Uint32(size[:]), 1<<20))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	known, err := brokersOf(answer)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return fmt.Errorf("it knows brokers %v, not yet %d", known, id)
		}
	}
	return nil
}

// metadataRequest is a Metadata request, version 4, for no topic.
func metadataRequest() []byte {
	const client = "kafkatest"
	r := binary.BigEndian.AppendUint16(make([]byte, 4), 3) // after the size: the request's kind
	r = binary.BigEndian.AppendUint16(r, 4)                // its version
	r = binary.BigEndian.AppendUint32(r, 1)                // the number that the answer repeats
	r = binary.BigEndian.AppendUint16(r, uint16(len(client)))
	r = append(r, client...)
	r = binary.BigEndian.AppendUint32(r, 0) // no topics
	r = append(r, 0)                        // create none
	binary.BigEndian.PutUint32(r, uint32(len(r)-4))
	return r
}

// brokersOf reads the ids of the brokers out of the answer to a metadataRequest: the request's
// number, a throttle time, then (id, host, port, rack) of every broker.
func brokersOf(answer []byte) (ids []int32, err error) {
	malformed := errors.New("the answer to a Metadata request is cut short")
	take := func(n int) []byte {
		if n > len(answer) {
			err, answer = malformed, nil
			return make([]byte, max(n, 4))
		}
		field := answer[:n]
		answer = answer[n:]
		return field
	}
	text := func() { take(max(0, int(int16(binary.BigEndian.Uint16(take(2)))))) } // length -1 is null

	take(8)
	for count := binary.BigEndian.Uint32(take(4)); count > 0 && err == nil; count-- {
		ids = append(ids, int32(binary.BigEndian.Uint32(take(4))))
		text()
		take(4)
		text()
	}
	return ids, err
}
