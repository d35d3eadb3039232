package typed_test

import (
	"testing"

	"github.com/seed-df18afd4/streams/internal/typed"
	"github.com/stretchr/testify/require"
)

type shape interface{ area() float64 }

type square struct{ side float64 }

func (s square) area() float64 { return s.side * s.side }

// empty is a value whose pointer within an interface is any.
type empty struct{}

func (empty) area() float64 { return 0 }

// A pointer and an interface have a nil, and nothing else.
func TestNil(t *testing.T) {
	isNil := typed.Nil[*int]()
	require.True(t, isNil(nil))
	require.False(t, isNil(new(int)))

	noShape := typed.Nil[shape]()
	require.True(t, noShape(nil))
	require.False(t, noShape(square{1}))
	require.False(t, noShape(empty{}))
	require.False(t, noShape((*square)(nil)), "an interface that holds a nil pointer is not nil")

	require.Nil(t, typed.Nil[int]())
	require.Nil(t, typed.Nil[string]())
	require.Nil(t, typed.Nil[[]byte](), "a nil slice is an empty one")
	require.Nil(t, typed.Nil[map[string]int]())
	require.Nil(t, typed.Nil[struct{ p *int }]())
}

func TestNilOfAnInterfaceAllocatesNothing(t *testing.T) {
	isNil := typed.Nil[shape]()
	var s shape = square{1}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if isNil(s) {
			t.Error("it is not nil")
		}
	}))
}
