package serde_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/serde"
)

func ExampleString() {
	data, _ := serde.String.Append(nil, "héllo")
	text, err := serde.String.Decode(data)
	fmt.Printf("% x %s %v\n", data, text, err)
	// Output: 68 c3 a9 6c 6c 6f héllo <nil>
}

func ExampleBytes() {
	data, _ := serde.Bytes.Append([]byte{1}, []byte{2, 3})
	fmt.Println(data)
	// Output: [1 2 3]
}

func ExampleInt64() {
	data, _ := serde.Int64.Append(nil, 258)
	fmt.Println(data)

	_, err := serde.Int64.Decode([]byte("258"))
	fmt.Println(err)
	// Output:
	// [0 0 0 0 0 0 1 2]
	// serde: Int64 takes 8 bytes, not 3: use the serde that the data was written with
}

func ExampleInt32() {
	data, _ := serde.Int32.Append(nil, -2)
	fmt.Println(data)
	// Output: [255 255 255 254]
}

func ExampleFloat64() {
	data, _ := serde.Float64.Append(nil, 1.5)
	price, err := serde.Float64.Decode(data)
	fmt.Printf("% x %v %v\n", data, price, err)
	// Output: 3f f8 00 00 00 00 00 00 1.5 <nil>
}

func ExampleBool() {
	data, _ := serde.Bool.Append(nil, true)
	fmt.Println(data)
	// Output: [1]
}

func ExampleTime() {
	noon := time.Date(2025, 11, 24, 12, 0, 0, 123_456_789, time.UTC)
	data, _ := serde.Time.Append(nil, noon)
	back, err := serde.Time.Decode(data)
	fmt.Println(back, err)
	// Output: 2025-11-24 12:00:00.123 +0000 UTC <nil>
}

func ExampleUUID() {
	id := [16]byte{0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0, 0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6}
	data, _ := serde.UUID.Append(nil, id)
	fmt.Printf("%s\n", data)
	// Output: f81d4fae-7dec-11d0-a765-00a0c91e6bf6
}

func ExampleJSON() {
	type Rate struct {
		Currency string  `json:"currency"`
		PerEuro  float64 `json:"perEuro"`
	}
	rates := serde.JSON[Rate]()

	data, _ := rates.Append(nil, Rate{"USD", 1.15})
	rate, err := rates.Decode(data)
	fmt.Printf("%s %+v %v\n", data, rate, err)
	// Output: {"currency":"USD","perEuro":1.15} {Currency:USD PerEuro:1.15} <nil>
}

// A count that may be missing is a *int64: a record without one has a null value.
func ExampleNullable() {
	counts := serde.Nullable(serde.Int64)

	seven := int64(7)
	data, _ := counts.Append(nil, &seven)
	fmt.Println(data)

	_, err := counts.Append(nil, nil)
	fmt.Println(err)
	// Output:
	// [0 0 0 0 0 0 0 7]
	// serde: Nullable cannot encode nil: write it as Kafka's null, without a serde
}

// A format of one's own, here that of a standard library type. Protobuf and Avro work
// alike: their libraries append a message to bytes and read one from them.
func ExampleFunc() {
	dates := serde.Func(
		func(dst []byte, day time.Time) ([]byte, error) { return day.AppendFormat(dst, time.DateOnly), nil },
		func(data []byte) (time.Time, error) { return time.Parse(time.DateOnly, string(data)) },
	)

	data, _ := dates.Append(nil, time.Date(2025, 11, 24, 12, 0, 0, 0, time.UTC))
	day, err := dates.Decode(data)
	fmt.Printf("%s %s %v\n", data, day.Weekday(), err)
	// Output: 2025-11-24 Monday <nil>
}

// percent is a type with the two methods of Serde: as good as any serde of the package.
type percent struct{}

func (percent) Append(dst []byte, share float64) ([]byte, error) {
	return fmt.Appendf(dst, "%.0f%%", share*100), nil
}

func (percent) Decode(data []byte) (float64, error) {
	var n float64
	if _, err := fmt.Sscanf(string(data), "%f%%", &n); err != nil {
		return 0, fmt.Errorf("percent: read %q: %w", data, err)
	}
	return n / 100, nil
}

func ExampleSerde() {
	var shares serde.Serde[float64] = percent{}

	data, _ := shares.Append(nil, 0.25)
	share, err := shares.Decode(data)
	fmt.Printf("%s %v %v\n", data, share, err)
	// Output: 25% 0.25 <nil>
}
