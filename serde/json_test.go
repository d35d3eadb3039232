package serde_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/stretchr/testify/require"
)

type order struct {
	ID    string   `json:"id"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags,omitempty"`
}

func TestJSONAppendsWithoutNewline(t *testing.T) {
	data, err := serde.JSON[order]().Append([]byte("before"), order{ID: "a<b", Price: 1.5})
	require.NoError(t, err)
	require.Equal(t, `before{"id":"a\u003cb","price":1.5}`, string(data))
}

func TestJSONSkipsUnknownFields(t *testing.T) {
	got, err := serde.JSON[order]().Decode([]byte(`{"id":"a","new":1}`))
	require.NoError(t, err)
	require.Equal(t, order{ID: "a"}, got)
}

func TestJSONGivesNothingWithAnError(t *testing.T) {
	got, err := serde.JSON[order]().Decode([]byte(`{"id":"a","price":"much"}`))
	require.ErrorContains(t, err, "serde: decode serde_test.order from JSON")
	var wrongType *json.UnmarshalTypeError
	require.ErrorAs(t, err, &wrongType)
	require.Zero(t, got)
}

func TestJSONRefusesWhatItCannotEncode(t *testing.T) {
	_, err := serde.JSON[order]().Append(nil, order{Price: math.NaN()})
	require.ErrorContains(t, err, "serde: encode serde_test.order as JSON")
	var unsupported *json.UnsupportedValueError
	require.ErrorAs(t, err, &unsupported)
}

func TestJSONOfAMapIsAlwaysTheSame(t *testing.T) {
	s := serde.JSON[map[string]int]()
	for range 20 {
		data, err := s.Append(nil, map[string]int{"c": 3, "a": 1, "b": 2})
		require.NoError(t, err)
		require.Equal(t, `{"a":1,"b":2,"c":3}`, string(data))
	}
}

// celsius has its methods on the pointer, and json.Marshal of a value passes them over.
type celsius float64

func (c *celsius) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]float64{"c": float64(*c)})
}

func (c *celsius) UnmarshalJSON(data []byte) error {
	var m map[string]float64
	err := json.Unmarshal(data, &m)
	*c = celsius(m["c"])
	return err
}

func TestJSONUsesMethodsOfThePointer(t *testing.T) {
	checkBytes(t, serde.JSON[celsius](), []encoded[celsius]{{21.5, "7b2263223a32312e357d"}})
}
