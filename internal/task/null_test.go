package task_test

import (
	"testing"
	"time"

	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
	"github.com/stretchr/testify/require"
)

// Topics and stores of text that may be null.

func nulls(name string) topology.Topic[*string, *string] {
	return topology.Topic[*string, *string]{Name: name, Key: serde.Nullable(serde.String), Value: serde.Nullable(serde.String)}
}

func nullValues(name string) topology.Topic[string, *string] { return topology.Nullable(text(name)) }

func nullRows(name string) state.Store[string, *string] {
	return state.Store[string, *string]{Name: name, Key: serde.String, Value: serde.Nullable(serde.String)}
}

func counts() state.Store[string, int64] {
	return state.Store[string, int64]{Name: "counts", Key: serde.String, Value: serde.Int64}
}

func or(s *string, null string) string {
	if s == nil {
		return null
	}
	return *s
}

// drops is how many records were dropped: for null keys and for null values.
type drops struct{ keys, values int64 }

// nullCase is an operator, and what it makes of four records of the topic in: one without
// nulls, k=v@1, then one with a null key, null=w@2, then one with a null value, k=null@3,
// and one with both, @4.
type nullCase struct {
	name  string
	build func(b *topology.Builder)
	want  []string
	drops drops
}

func testNulls(t *testing.T, cases []nullCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, c.build)
			for _, s := range r.plan.Sources {
				if s.Name == "table" {
					r.send("table", record("k", "row", 0))
				}
			}
			r.add("in", 0,
				kafka.Record{Key: []byte("k"), Value: []byte("v"), Time: 1},
				kafka.Record{Value: []byte("w"), Time: 2},
				kafka.Record{Key: []byte("k"), Time: 3},
				kafka.Record{Time: 4})
			r.run()
			require.Equal(t, c.want, r.sent())
			dropped := r.Dropped()
			require.Equal(t, c.drops, drops{dropped[plan.NullKey], dropped[plan.NullValue]})
		})
	}
}

func TestNullsOfStreams(t *testing.T) {
	testNulls(t, []nullCase{
		{"types without nil", func(b *topology.Builder) {
			kstream.To(kstream.From(b, text("in")), text("out"))
		}, []string{"out k=v@1", "out null=w@2"}, drops{values: 2}},

		{"types with nil", func(b *topology.Builder) {
			kstream.To(kstream.From(b, nulls("in")), nulls("out"))
		}, []string{"out k=v@1", "out null=w@2", "out k=null@3", "out null=null@4"}, drops{}},

		{"functions see nil", func(b *topology.Builder) {
			m := kstream.MapValuesWithKey(kstream.From(b, nulls("in")), func(k, v *string) string { return or(k, "no key") + ", " + or(v, "no value") })
			kstream.To(m, topology.Topic[*string, string]{Name: "out", Key: serde.Nullable(serde.String), Value: serde.String})
		}, []string{"out k=k, v@1", "out null=no key, w@2", "out k=k, no value@3", "out null=no key, no value@4"}, drops{}},

		{"a step that chooses a key ends its being null", func(b *topology.Builder) {
			kstream.To(kstream.SelectKey(kstream.From(b, text("in")), func(k, v string) string { return k + v }), text("out"))
		}, []string{"out kv=v@1", "out w=w@2"}, drops{values: 2}},

		{"a step that keeps the key keeps it null", func(b *topology.Builder) {
			kstream.To(kstream.MapRecords(kstream.From(b, text("in")), func(r topology.Record[string, string]) (topology.Record[string, string], error) {
				r.Key, r.NoKey = "another", false
				return r, nil
			}), text("out"))
		}, []string{"out k=v@1", "out null=w@2"}, drops{values: 2}},

		{"a processor sees NoKey and may set it", func(b *topology.Builder) {
			kstream.To(kstream.Process(kstream.From(b, text("in")), "flip", func(c *topology.Context[string, string]) (topology.Processor[string, string], error) {
				return func(r topology.Record[string, string]) error {
					r.NoKey = !r.NoKey
					return c.Emit(r)
				}, nil
			}), text("out"))
		}, []string{"out null=v@1", "out =w@2"}, drops{values: 2}},

		{"nil out of a map is null", func(b *topology.Builder) {
			kstream.To(kstream.Map(kstream.From(b, nulls("in")), func(k, v *string) (*string, *string) { return v, k }), nulls("out"))
		}, []string{"out v=k@1", "out w=null@2", "out null=k@3", "out null=null@4"}, drops{}},

		{"a repartition drops null keys and passes null values", func(b *topology.Builder) {
			kstream.Repartition(kstream.From(b, nulls("in")), nulls("through"))
		}, []string{"through k=v@1", "through k=null@3"}, drops{keys: 2}},

		{"a repartition passes null keys to a left join", func(b *topology.Builder) {
			s := kstream.Repartition(kstream.From(b, nulls("in")), nulls("through"))
			kstream.LeftJoin(s, ktable.From(b, nulls("rows")), func(v, _ *string, _ bool) *string { return v })
		}, []string{"through k=v@1", "through null=w@2", "through k=null@3", "through null=null@4"}, drops{}},

		{"a repartition does not look behind the next one", func(b *topology.Builder) {
			s := kstream.KeyBy(kstream.Repartition(kstream.From(b, nulls("in")), nulls("through")), func(k, _ *string) *string { return k }, nulls("again"))
			kstream.LeftJoin(s, ktable.From(b, nulls("rows")), func(v, _ *string, _ bool) *string { return v })
		}, []string{"through k=v@1", "through k=null@3"}, drops{keys: 2}},

		{"a grouping drops null keys", func(b *topology.Builder) {
			kstream.GroupBy(kstream.From(b, nulls("in")), func(k, _ *string) *string { return k }, nulls("through"))
		}, []string{"through k=v@1", "through k=null@3"}, drops{keys: 2}},
	})
}

func TestNullsOfFolds(t *testing.T) {
	windowed := func(w window.Windows) func(*topology.Builder) {
		return func(b *topology.Builder) {
			store := state.Store[window.Key[string], int64]{Name: "counts", Key: window.Keys(serde.String, w), Value: serde.Int64}
			c := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, nullValues("in"))), w), store)
			kstream.To(kstream.SelectKey(kstream.Updates(c), func(k window.Key[string], _ int64) string { return k.Key }), numbers("out"))
		}
	}
	once := []string{"out k=1@1"}
	both := []string{"out k=1@1", "out k=2@3"}
	testNulls(t, []nullCase{
		{"count", func(b *topology.Builder) {
			ktable.To(kstream.Count(kstream.GroupByKey(kstream.From(b, nullValues("in"))), counts()), numbers("out"))
		}, once, drops{keys: 2, values: 1}},

		{"reduce", func(b *topology.Builder) {
			r := kstream.Reduce(kstream.GroupByKey(kstream.From(b, nullValues("in"))), func(a, v *string) *string { return new(*a + *v) }, nullRows("rows"))
			ktable.To(r, nullValues("out"))
		}, []string{"out k=v@1"}, drops{keys: 2, values: 1}},

		{"aggregate", func(b *topology.Builder) {
			f := aggregate.Fold(nil, func(n int64, v *string) int64 { return n + int64(len(*v)) })
			ktable.To(kstream.Aggregate(kstream.GroupByKey(kstream.From(b, nullValues("in"))), f, counts()), numbers("out"))
		}, once, drops{keys: 2, values: 1}},

		{"count of values without nil", func(b *topology.Builder) {
			ktable.To(kstream.Count(kstream.GroupByKey(kstream.From(b, text("in"))), counts()), numbers("out"))
		}, once, drops{keys: 1, values: 2}}, // the source drops the null values

		{"count of keys with nil", func(b *topology.Builder) {
			store := state.Store[*string, int64]{Name: "counts", Key: serde.Nullable(serde.String), Value: serde.Int64}
			c := kstream.Count(kstream.GroupByKey(kstream.From(b, nulls("in"))), store)
			ktable.To(c, topology.Topic[*string, int64]{Name: "out", Key: serde.Nullable(serde.String), Value: serde.Int64})
		}, once, drops{keys: 2, values: 1}},

		{"tumbling windows count null values", windowed(window.Tumbling{Size: time.Second}), both, drops{keys: 2}},
		{"hopping windows too", windowed(window.Hopping{Size: time.Second, Every: time.Second}), both, drops{keys: 2}},
		{"unlimited windows too", windowed(window.Unlimited{}), both, drops{keys: 2}},
		{"sliding windows do not", windowed(window.Sliding{Size: time.Second}), once, drops{keys: 2, values: 1}},
		{"sessions do, and a session that grows is another one", func(b *topology.Builder) {
			w := window.Session{Gap: time.Second}
			store := state.Store[window.Key[string], int64]{Name: "counts", Key: window.Keys(serde.String, w), Value: serde.Int64}
			c := kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, nullValues("in"))), w), store)
			out := kstream.SelectKey(kstream.Changes(c), func(k window.Key[string], _ *int64) string { return k.Key })
			kstream.To(out, topology.Nullable(numbers("out")))
		}, []string{"out k=1@1", "out k=null@1", "out k=2@3"}, drops{keys: 2}},
	})
}

// A fold that gives nil deletes its row, and the next record begins anew.
func TestANilFoldDeletes(t *testing.T) {
	r := start(t, func(b *topology.Builder) {
		f := aggregate.Fold(func() *string { return new("begin") }, func(a *string, v string) *string {
			if v == "end" {
				return nil
			}
			return new(*a + " " + v)
		})
		ktable.To(kstream.Aggregate(kstream.GroupByKey(kstream.From(b, text("in"))), f, nullRows("rows")), nullValues("out"))
	})
	r.add("in", 0, record("k", "a", 5), record("k", "end", 3), record("k", "b", 1))
	r.run()
	require.Equal(t, []string{"out k=begin a@5", "out k=null@5", "out k=begin b@1"}, r.sent())
	require.Equal(t, []string{"rows k=begin b@1"}, r.commit())
}

func TestNullsOfTables(t *testing.T) {
	deleted := []string{"out k=v@1", "out k=null@3"}
	testNulls(t, []nullCase{
		{"a table's topic, types without nil", func(b *topology.Builder) {
			ktable.To(ktable.From(b, text("in")), text("out"))
		}, deleted, drops{keys: 2}},

		{"a table's topic, types with nil", func(b *topology.Builder) {
			ktable.To(ktable.From(b, nulls("in")), nulls("out"))
		}, deleted, drops{keys: 2}},

		{"a table that is kept", func(b *topology.Builder) {
			ktable.To(ktable.Materialize(ktable.From(b, text("in")), rows), text("out"))
		}, deleted, drops{keys: 2}},

		{"ToTable of values without nil", func(b *topology.Builder) {
			ktable.To(kstream.ToTable(kstream.From(b, text("in")), rows), text("out"))
		}, []string{"out k=v@1"}, drops{keys: 1, values: 2}}, // the stream's source drops null values

		{"ToTable of values with nil", func(b *topology.Builder) {
			ktable.To(kstream.ToTable(kstream.From(b, nullValues("in")), nullRows("rows")), nullValues("out"))
		}, deleted, drops{keys: 2}},

		{"Updates of values without nil leaves deletes out", func(b *topology.Builder) {
			kstream.To(kstream.Updates(ktable.From(b, text("in"))), text("out"))
		}, []string{"out k=v@1"}, drops{keys: 2}},

		{"Updates of values with nil", func(b *topology.Builder) {
			kstream.To(kstream.Updates(ktable.From(b, nullValues("in"))), nullValues("out"))
		}, deleted, drops{keys: 2}},

		{"Changes", func(b *topology.Builder) {
			kstream.To(kstream.Changes(ktable.From(b, text("in"))), nullValues("out"))
		}, deleted, drops{keys: 2}},

		{"functions are not called for deletes", func(b *topology.Builder) {
			m := ktable.MapValues(ktable.From(b, text("in")), func(v string) string { return v + "!" })
			ktable.To(ktable.Filter(m, func(_, v string) bool { return v == "v!" }), text("out"))
		}, []string{"out k=v!@1", "out k=null@3"}, drops{keys: 2}},

		{"nil out of a map deletes", func(b *topology.Builder) {
			ktable.To(ktable.MapValues(ktable.From(b, text("in")), func(string) *string { return nil }), nullValues("out"))
		}, []string{"out k=null@1", "out k=null@3"}, drops{keys: 2}},

		{"a grouping of a table is not sent what has no group", func(b *topology.Builder) {
			ktable.GroupBy(ktable.From(b, text("in")), func(k, v string) (*string, string) { return nil, v }, topology.Topic[*string, string]{Name: "through", Key: serde.Nullable(serde.String), Value: serde.String})
		}, nil, drops{keys: 2}},

		{"a grouping of a table is not sent what has no value", func(b *topology.Builder) {
			ktable.GroupBy(ktable.From(b, text("in")), func(k, v string) (string, *string) { return k, nil }, nullValues("through"))
		}, nil, drops{keys: 2}},
	})
}

func TestNullsOfJoins(t *testing.T) {
	pair := func(v *string, row string) string { return or(v, "null") + "-" + row }
	pairLeft := func(v *string, row string, ok bool) string {
		if !ok {
			row = "nothing"
		}
		return pair(v, row)
	}
	testNulls(t, []nullCase{
		{"with a table", func(b *topology.Builder) {
			kstream.To(kstream.Join(kstream.From(b, nullValues("in")), ktable.From(b, text("table")), pair), text("out"))
		}, []string{"out k=v-row@1"}, drops{keys: 1, values: 2}},

		{"left, with a table", func(b *topology.Builder) {
			kstream.To(kstream.LeftJoin(kstream.From(b, nullValues("in")), ktable.From(b, text("table")), pairLeft), text("out"))
		}, []string{"out k=v-row@1", "out null=w-nothing@2"}, drops{values: 2}},

		{"with a stream", func(b *topology.Builder) {
			on := joined(nullValues("in"), text("table"))
			kstream.To(kstream.JoinStream(kstream.From(b, nullValues("in")), kstream.From(b, text("table")), pair, on), text("out"))
		}, []string{"out k=v-row@1"}, drops{keys: 1, values: 2}},

		{"left, with a stream", func(b *topology.Builder) {
			on := joined(nullValues("in"), text("table"))
			kstream.To(kstream.LeftJoinStream(kstream.From(b, nullValues("in")), kstream.From(b, text("table")), pairLeft, on), text("out"))
		}, []string{"out k=v-row@1", "out null=w-nothing@2"}, drops{values: 2}},

		{"left, with the stream of nulls on the right", func(b *topology.Builder) {
			on := joined(text("table"), nullValues("in"))
			kstream.To(kstream.LeftJoinStream(kstream.From(b, text("table")), kstream.From(b, nullValues("in")), func(row string, v *string, _ bool) string { return pair(v, row) }, on), text("out"))
		}, []string{"out k=v-row@1"}, drops{keys: 1, values: 2}},

		{"outer, with the stream of nulls on the right", func(b *topology.Builder) {
			on := joined(text("table"), nullValues("in"))
			kstream.To(kstream.OuterJoinStream(kstream.From(b, text("table")), kstream.From(b, nullValues("in")), func(row string, ok bool, v *string, _ bool) string { return pairLeft(v, row, ok) }, on), text("out"))
		}, []string{"out k=v-row@1", "out null=w-nothing@2"}, drops{values: 2}},

		{"of tables", func(b *topology.Builder) {
			ktable.To(ktable.Join(ktable.From(b, text("in")), ktable.From(b, text("table")), func(v, row string) string { return v + "-" + row }), text("out"))
		}, []string{"out k=v-row@1", "out k=null@3"}, drops{keys: 2}},
	})
}

func joined[V, W any](left topology.Topic[string, V], right topology.Topic[string, W]) kstream.Joined[string, V, W] {
	return kstream.Joined[string, V, W]{Name: "join", Key: serde.String, Left: left.Value, Right: right.Value, Window: window.Within(time.Second)}
}
