package serde

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Int64 encodes as 8 bytes, big-endian, two's complement, like Java's LongSerializer.
var Int64 Serde[int64] = int64Serde{}

// Int32 encodes as 4 bytes, big-endian, two's complement, like Java's IntegerSerializer.
var Int32 Serde[int32] = int32Serde{}

// Float64 encodes as 8 bytes, IEEE 754, big-endian, like Java's DoubleSerializer. As
// there, all NaNs are written as one, so that they are one key.
var Float64 Serde[float64] = float64Serde{}

// Bool encodes as one byte, 1 or 0, like Java's BooleanSerializer. Any other byte is an error.
var Bool Serde[bool] = boolSerde{}

// Time encodes as the milliseconds since 1970, as [Int64] does. What is finer than a
// millisecond is cut off, towards the past. Decode gives UTC. Append refuses times that
// an int64 of milliseconds cannot hold, 292 million years away.
var Time Serde[time.Time] = timeSerde{}

type int64Serde struct{}

func (int64Serde) Append(dst []byte, v int64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, uint64(v)), nil
}

func (int64Serde) Decode(data []byte) (int64, error) {
	if len(data) != 8 {
		return 0, lengthError("Int64", 8, len(data))
	}
	return int64(binary.BigEndian.Uint64(data)), nil
}

type int32Serde struct{}

func (int32Serde) Append(dst []byte, v int32) ([]byte, error) {
	return binary.BigEndian.AppendUint32(dst, uint32(v)), nil
}

func (int32Serde) Decode(data []byte) (int32, error) {
	if len(data) != 4 {
		return 0, lengthError("Int32", 4, len(data))
	}
	return int32(binary.BigEndian.Uint32(data)), nil
}

type float64Serde struct{}

// javaNaN is the NaN that Java's doubleToLongBits gives for every NaN. Go's math.NaN is
// another one.
const javaNaN = 0x7ff8000000000000

func (float64Serde) Append(dst []byte, v float64) ([]byte, error) {
	bits := math.Float64bits(v)
	if math.IsNaN(v) {
		bits = javaNaN
	}
	return binary.BigEndian.AppendUint64(dst, bits), nil
}

func (float64Serde) Decode(data []byte) (float64, error) {
	if len(data) != 8 {
		return 0, lengthError("Float64", 8, len(data))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(data)), nil
}

type boolSerde struct{}

func (boolSerde) Append(dst []byte, v bool) ([]byte, error) {
	if v {
		return append(dst, 1), nil
	}
	return append(dst, 0), nil
}

func (boolSerde) Decode(data []byte) (bool, error) {
	if len(data) != 1 {
		return false, fmt.Errorf("serde: Bool takes one byte, not %d: use the serde that the data was written with", len(data))
	}
	if data[0] > 1 {
		return false, fmt.Errorf("serde: Bool takes the byte 0 or 1, not %d: use the serde that the data was written with", data[0])
	}
	return data[0] == 1, nil
}

type timeSerde struct{}

func (timeSerde) Append(dst []byte, v time.Time) ([]byte, error) {
	ms := v.UnixMilli()
	// UnixMilli wraps around when v is too far away, and ms is then some other time.
	if cut := v.Sub(time.UnixMilli(ms)); cut < 0 || cut >= time.Millisecond {
		return dst, fmt.Errorf("serde: Time cannot hold the year %d: write a time within 292 million years of 1970", v.Year())
	}
	return binary.BigEndian.AppendUint64(dst, uint64(ms)), nil
}

func (timeSerde) Decode(data []byte) (time.Time, error) {
	if len(data) != 8 {
		return time.Time{}, lengthError("Time", 8, len(data))
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(data))).UTC(), nil
}
