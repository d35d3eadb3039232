package serde_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/serde"
)

// named is a serde that a program wrote, with a name for tools.
type named struct{ serde.Serde[string] }

func (named) String() string { return "upper-case" }

// unnamed is one without.
type unnamed struct{ serde.Serde[string] }

func TestName(t *testing.T) {
	require.Equal(t, "string", serde.Name(serde.String))
	require.Equal(t, "bytes", serde.Name(serde.Bytes))
	require.Equal(t, "int32", serde.Name(serde.Int32))
	require.Equal(t, "int64", serde.Name(serde.Int64))
	require.Equal(t, "float64", serde.Name(serde.Float64))
	require.Equal(t, "bool", serde.Name(serde.Bool))
	require.Equal(t, "time", serde.Name(serde.Time))
	require.Equal(t, "uuid", serde.Name(serde.UUID))
	require.Equal(t, "json", serde.Name(serde.JSON[struct{ A int }]()))
	require.Equal(t, "nullable(json)", serde.Name(serde.Nullable(serde.JSON[int]())))
	require.Equal(t, "upper-case", serde.Name[string](named{}))
	require.Equal(t, "serde_test.unnamed", serde.Name[string](unnamed{}))
	require.Equal(t, "<nil>", serde.Name[string](nil))
}
