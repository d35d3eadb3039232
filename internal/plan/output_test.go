package plan_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/stretchr/testify/require"
)

// send encodes a value of so many bytes, all of which are b, and sends it.
func send(t *testing.T, c *plan.Context, b byte, size int) {
	t.Helper()
	v, err := plan.Encode(&c.Out, serde.Bytes, bytes.Repeat([]byte{b}, size))
	require.NoError(t, err)
	c.Out.Send(plan.Out{Value: v})
}

// sent is what was sent: the byte and the size of each value.
func sent(t *testing.T, c *plan.Context) (out []string) {
	t.Helper()
	for _, r := range c.Out.Records {
		for _, b := range r.Value {
			require.Equal(t, r.Value[0], b, "a value was overwritten")
		}
		out = append(out, fmt.Sprintf("%c%d", r.Value[0], len(r.Value)))
	}
	return out
}

// Values lie in blocks of 64 KiB; those that do not fit have memory of their own.
func TestValuesOfAllSizes(t *testing.T) {
	var c plan.Context
	for range 3 { // memory is used again
		for i, size := range []int{1, 1000, 40_000, 40_000, 100_000, 1, 64 << 10, 65_000, 2} {
			send(t, &c, 'a'+byte(i), size)
		}
		require.Equal(t, []string{"a1", "b1000", "c40000", "d40000", "e100000", "f1", "g65536", "h65000", "i2"}, sent(t, &c))
		c.Out.Reset()
		require.Empty(t, c.Out.Records)
	}
}

// An empty value is not null.
func TestAnEmptyValue(t *testing.T) {
	var c plan.Context
	v, err := plan.Encode(&c.Out, serde.String, "")
	require.NoError(t, err)
	require.NotNil(t, v)
	require.Empty(t, v)

	none := serde.Func(func(dst []byte, _ string) ([]byte, error) { return nil, nil }, func([]byte) (string, error) { return "", nil })
	v, err = plan.Encode(&c.Out, none, "")
	require.NoError(t, err)
	require.NotNil(t, v)
}

// What fails to encode leaves nothing.
func TestAValueThatFails(t *testing.T) {
	var c plan.Context
	send(t, &c, 'a', 10)
	fails := serde.Func(func(dst []byte, _ string) ([]byte, error) {
		return append(dst, "half"...), errors.New("no")
	}, func([]byte) (string, error) { return "", nil })
	_, err := plan.Encode(&c.Out, fails, "x")
	require.EqualError(t, err, "no")
	send(t, &c, 'b', 10)
	require.Equal(t, []string{"a10", "b10"}, sent(t, &c))
}

// Undo takes back what was sent since Mark, however many blocks it took, and what came
// before stays as it is.
func TestUndoOfOutput(t *testing.T) {
	for _, size := range []int{1, 1000, 30_000, 64 << 10, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var c plan.Context
			c.Mark()
			send(t, &c, 'x', size)
			c.Undo() // of everything
			require.Empty(t, c.Out.Records)
			for i := range 5 {
				c.Mark()
				send(t, &c, 'a'+byte(i), size)
				c.Mark()
				for range 3 {
					send(t, &c, 'x', size)
				}
				c.Undo()
			}
			s := fmt.Sprint(size)
			require.Equal(t, []string{"a" + s, "b" + s, "c" + s, "d" + s, "e" + s}, sent(t, &c))
		})
	}
}

// What was handed on keeps its bytes until Reset.
func TestDrainedOutputKeepsItsBytes(t *testing.T) {
	var c plan.Context
	send(t, &c, 'a', 100)
	first := c.Out.Records[0].Value
	c.Out.Drained()
	require.Empty(t, c.Out.Records)
	send(t, &c, 'b', 100)
	require.Equal(t, bytes.Repeat([]byte{'a'}, 100), first)
	require.Equal(t, []string{"b100"}, sent(t, &c))
}
