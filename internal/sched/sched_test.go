package sched

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := Real.Now()
		woken := make(chan struct{}, 1)
		woken <- struct{}{}
		require.True(t, Real.Wait(t.Context(), woken, time.Hour))
		require.False(t, Real.Wait(t.Context(), woken, time.Minute), "what woke it is taken")
		require.False(t, Real.Wait(t.Context(), nil, time.Second))
		require.Equal(t, time.Minute+time.Second, Real.Now().Sub(begun))

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.False(t, Real.Wait(ctx, nil, 0))
		close(woken)
		require.True(t, Real.Wait(t.Context(), woken, 0))
	})
}

func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Crew
		c.Wait(Real) // for nobody
		for round := range 2 {
			var ended atomic.Int32
			for i := range 3 {
				c.Go(Real, func() {
					time.Sleep(time.Duration(i) * time.Second)
					if i == 0 {
						c.Go(Real, func() { time.Sleep(time.Minute); ended.Add(1) })
					}
					ended.Add(1)
				})
			}
			c.Wait(Real)
			require.EqualValues(t, 4, ended.Load(), "round %d", round)
		}
	})
}
