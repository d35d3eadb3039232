package streamstest_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/streamstest"
	"github.com/seed-df18afd4/streams/topology"
)

// failing is the t of a test that may fail.
type failing struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (f *failing) Helper()          {}
func (f *failing) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *failing) Errorf(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}
func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// failures runs a test, and says why it failed.
func failures(test func(t testing.TB)) []string {
	f := &failing{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	for _, c := range f.cleanups {
		c()
	}
	return f.failures
}

func drive(t testing.TB, build func(*topology.Builder)) *streamstest.Driver {
	b := topology.NewBuilder()
	build(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return streamstest.New(t, topo)
}

// A mistake in a test is told as what it is.
func TestMistakesInTests(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(t testing.TB)
		want string
	}{
		{"a topic that nobody reads", func(t testing.TB) {
			streamstest.Send(drive(t, sumPayments), limits, topology.Record[string, int64]{Key: "alice"})
		}, `streamstest: Send to topic "limits", which the topology does not read`},
		{"a store that is not there", func(t testing.TB) {
			streamstest.Rows(drive(t, sumPayments), state.Store[string, int64]{Name: "nowhere", Key: serde.String, Value: serde.Int64})
		}, `streamstest: the topology has no store "nowhere"`},
		{"a null where there is none", func(t testing.TB) {
			d := drive(t, func(b *topology.Builder) {
				kstream.To(kstream.From(b, topology.Nullable(payments)), topology.Nullable(totals))
			})
			streamstest.Send(d, topology.Nullable(payments), topology.Record[string, *int64]{Key: "alice"})
			streamstest.Read(d, totals)
		}, `streamstest: topic "totals" has a null value at offset 0: read topology.Nullable of it`},
		{"another serde", func(t testing.TB) {
			d := drive(t, sumPayments)
			streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
			streamstest.Read(d, topology.Topic[string, bool]{Name: "totals", Key: serde.String, Value: serde.Bool})
		}, `streamstest: decode a value of topic "totals": serde: Bool takes one byte, not 8`},
		{"a record that fails", func(t testing.TB) {
			d := drive(t, func(b *topology.Builder) {
				kstream.TryMapValues(kstream.From(b, payments), func(int64) (int64, error) { return 0, errors.New("no money") })
			})
			streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
		}, "record at payments/0 offset 0, node map-values-1 at driver_test.go:"},
		{"a processor that does not start", func(t testing.TB) {
			drive(t, func(b *topology.Builder) {
				kstream.Process(kstream.From(b, payments), "p", func(*topology.Context[string, int64]) (topology.Processor[string, int64], error) {
					return nil, errors.New("no licence")
				})
			})
		}, "no licence"},
		{"a cleanup that fails", func(t testing.TB) {
			drive(t, func(b *topology.Builder) {
				kstream.Process(kstream.From(b, payments), "p", func(c *topology.Context[string, int64]) (topology.Processor[string, int64], error) {
					c.Cleanup(func() error { return errors.New("not clean") })
					return func(topology.Record[string, int64]) error { return nil }, nil
				})
			})
		}, "streamstest: cleanup: not clean"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := failures(c.test)
			require.Len(t, got, 1)
			require.Contains(t, got[0], c.want)
		})
	}
}

// When its test ends a driver leaves no goroutine.
func TestADriverEndsWithItsTest(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("test", func(t *testing.T) {
		d := drive(t, sumPayments)
		streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
		require.NotEmpty(t, streamstest.Read(d, totals))
	})
	// This one ends by itself, a second after its database.
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"))
}

// Read gives what is new; of a topic to which nothing was written so far, nothing.
func TestRead(t *testing.T) {
	d := drive(t, sumPayments)
	require.Empty(t, streamstest.Read(d, totals))
	pay := func(pounds int64) {
		streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: pounds})
	}
	pay(3)
	pay(4)
	require.Len(t, streamstest.Read(d, totals), 2)
	require.Empty(t, streamstest.Read(d, totals))
	pay(5)
	require.Equal(t, int64(12), streamstest.Read(d, totals)[0].Value)
}

// A record without a time has that of the clock, which a test moves.
func TestTimesOfRecords(t *testing.T) {
	d := drive(t, sumPayments)
	d.Advance(time.Minute)
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
	require.Equal(t, time.UnixMilli(60_000).UTC(), streamstest.Read(d, totals)[0].Time)
}

// What goes through repartition topics is processed before Send returns, and does not come
// out under another topic's name.
func TestRepartitionTopics(t *testing.T) {
	through := topology.Topic[string, int64]{Name: "through", Key: serde.String, Value: serde.Int64}
	d := drive(t, func(b *topology.Builder) {
		kstream.To(kstream.KeyBy(kstream.From(b, payments), func(k string, _ int64) string { return k + "!" }, through), totals)
	})
	streamstest.Send(d, payments, topology.Record[string, int64]{Key: "alice", Value: 3})
	require.Equal(t, "alice!", streamstest.Read(d, totals)[0].Key)
	require.Empty(t, streamstest.Read(d, through))
}
