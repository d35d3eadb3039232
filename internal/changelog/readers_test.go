package changelog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/cluster"
	"github.com/seed-df18afd4/streams/internal/embedded"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/sched"
	"github.com/seed-df18afd4/streams/internal/store"
)

const (
	partitions = 40
	short      = 100 // offsets
	longest    = 1000
)

// rowsOf is how many rows a partition of the changelog has: some are long.
func rowsOf(p int32) int64 {
	if p%10 == 0 {
		return longest
	}
	return int64(p)
}

// changelog writes a topic of rows and returns a client.
func changelog(t *testing.T) *broker.Client {
	t.Helper()
	b, err := embedded.Start()
	require.NoError(t, err)
	t.Cleanup(b.Close)
	c, err := broker.Dial(t.Context(), broker.Options{Brokers: b.Addrs()})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.CreateTopic(t.Context(), broker.TopicSpec{Name: "log", Partitions: partitions, Replication: 1}))
	p, err := c.NewProducer(t.Context(), broker.ProducerOptions{})
	require.NoError(t, err)
	defer p.Close()
	for i := range int32(partitions) {
		to := p.Target(at(i))
		for row := range rowsOf(i) {
			require.NoError(t, p.Add(to, fmt.Append(nil, "key-", row), fmt.Append(nil, i, "/", row), nil, row))
		}
	}
	require.NoError(t, p.Wait())
	return c
}

func at(i int32) kafka.Partition { return kafka.Partition{Topic: "log", Index: i} }

func open(t *testing.T, dir string, i int32) *store.Store {
	s, err := store.Open(filepath.Join(dir, fmt.Sprint(i)), store.Spec{Name: "rows"}, "origin", store.NewResources(store.ResourceLimits{}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// Restores that go on at the same time, short and long, each get their own rows. One that
// fails and one that is given up do not touch the others, and nothing is left.
func TestReaders(t *testing.T) {
	c, dir := changelog(t), t.TempDir()
	rs := NewReaders(cluster.Of(c), Options{Sched: sched.Real, Short: short})
	for range 3 { // the next time on the connections of the last, or on new ones
		var wg sync.WaitGroup
		errs, stores := make([]error, partitions), make([]*store.Store, partitions)
		given, giveUp := context.WithCancel(t.Context())
		for i := range int32(partitions) {
			stores[i] = open(t, filepath.Join(dir, t.Name()), i)
			ctx, r := t.Context(), Restore{Store: stores[i], Partition: at(i), To: rowsOf(i)}
			switch i {
			case 7: // has no such offset
				r.From, r.To = 5000, 5001
			case 8, 10: // waits for what does not come
				ctx, r.To = given, r.To+1
			}
			wg.Go(func() { errs[i] = rs.Run(ctx, []Restore{r}, nil) })
		}
		giveUp()
		wg.Wait()
		for i, err := range errs {
			s := stores[i]
			switch i {
			case 7:
				var offset *OffsetError
				require.ErrorAs(t, err, &offset)
				require.Equal(t, at(7), offset.Partition)
				require.EqualValues(t, 5000, offset.Offset)
			case 8, 10:
				require.True(t, errors.Is(err, context.Canceled), err)
			default:
				require.NoError(t, err)
				n := int64(0)
				for row, err := range s.Scan(store.Query{}) {
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(i, "/", row.Time), string(row.Value))
					n++
				}
				require.Equal(t, rowsOf(int32(i)), n)
			}
			require.NoError(t, s.Destroy())
		}
		require.Zero(t, rs.used)
		require.Nil(t, rs.shared)
		require.Empty(t, rs.free)
	}
}

// Two stores of one task are restored together, and progress is told of both.
func TestProgress(t *testing.T) {
	c, dir := changelog(t), t.TempDir()
	rs := NewReaders(cluster.Of(c), Options{Sched: sched.Real})
	a, b := open(t, dir, 20), open(t, dir, 21)
	var last Progress
	require.NoError(t, rs.Run(t.Context(), []Restore{
		{Store: a, Partition: at(20), To: rowsOf(20)}, {Store: b, Partition: at(21), From: 5, To: rowsOf(21)},
	}, func(p Progress) { last = p }))
	require.Equal(t, rowsOf(20)+rowsOf(21)-5, last.Rows)
	require.Zero(t, last.Left)
	require.Equal(t, rowsOf(21), b.Offset())
}
