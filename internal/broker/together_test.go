package broker

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

func at(i int32) kafka.Partition { return kafka.Partition{Topic: "t", Index: i} }

// What is asked for while a request is on its way goes into the next, and is answered by
// that one: an answer that was older than its question would be wrong.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var requests [][]kafka.Partition
		answer := make(chan int)
		q := together[kafka.Partition, int]{once: func(ps []kafka.Partition) map[kafka.Partition]int {
			requests = append(requests, ps)
			found, n := map[kafka.Partition]int{}, <-answer
			for _, p := range ps {
				if p.Index < 100 {
					found[p] = n
				}
			}
			return found
		}}
		type result struct {
			found map[kafka.Partition]int
			ok    bool
		}
		ask := func(ctx context.Context, ps ...kafka.Partition) chan result {
			c := make(chan result, 1)
			go func() {
				found, ok := q.ask(ctx, ps)
				c <- result{found, ok}
			}()
			synctest.Wait()
			return c
		}
		first := ask(t.Context(), at(1))
		second, third, fails := ask(t.Context(), at(1), at(2)), ask(t.Context(), at(3)), ask(t.Context(), at(4), at(100))
		gone, cancel := context.WithCancel(t.Context())
		ends := ask(gone, at(5))
		cancel()
		require.False(t, (<-ends).ok, "who waits no longer gets nothing")

		answer <- 1
		require.Equal(t, result{map[kafka.Partition]int{at(1): 1}, true}, <-first)
		synctest.Wait()
		answer <- 2
		require.Equal(t, result{map[kafka.Partition]int{at(1): 2, at(2): 2}, true}, <-second)
		require.Equal(t, result{map[kafka.Partition]int{at(3): 2}, true}, <-third)
		require.False(t, (<-fails).ok, "a partition was not answered")
		synctest.Wait()
		require.Len(t, requests, 2)
		require.ElementsMatch(t, []kafka.Partition{at(1), at(2), at(3), at(4), at(5), at(100)}, requests[1])
		require.False(t, q.busy)

		again := ask(t.Context(), at(6))
		answer <- 3
		require.Equal(t, result{map[kafka.Partition]int{at(6): 3}, true}, <-again)
	})
}
