//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/e2etest"
	inner "github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/reset"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
	"github.com/seed-df18afd4/streams/window"
)

// operator resets applications.
type operator struct {
	*kafka
	*broker.Client
}

func newOperator(k *kafka) *operator {
	k.t.Helper()
	c, err := broker.Dial(k.t.Context(), broker.Options{Brokers: k.addrs, ClientID: "operator"})
	require.NoError(k.t, err)
	k.t.Cleanup(func() { c.Close() })
	return &operator{k, c}
}

// plan plans a reset of everything.
func (o *operator) plan(app string, to reset.Target, topics ...string) *reset.Plan {
	o.t.Helper()
	p, err := reset.Make(o.t.Context(), o.Client, reset.Options{App: app, To: to, Topics: topics})
	require.NoError(o.t, err)
	return p
}

// reset resets an application to the start of its inputs.
func (o *operator) reset(app string) {
	o.t.Helper()
	require.NoError(o.t, reset.Execute(o.t.Context(), o.Client, o.plan(app, reset.ToEarliest()), reset.Execution{}))
}

// What is counted again from the start gives the same totals again, in the same order for
// each word, with the disk kept; and counting goes on from there.
func TestResetWordCount(t *testing.T) {
	t.Parallel()
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		c, o := newCounter(k, name), newOperator(k)
		all := c.totalsOf()
		conf := config(t, k, name)
		conf.Guarantee = g
		a := run(t, counting(t, name, nil), conf)
		c.count(10, 5)
		a.stop()
		first := c.totals.count()
		require.Equal(t, 50, first)

		o.reset(name)
		a = run(t, counting(t, name, nil), conf)
		await(t, patience, func() bool { return c.totals.count() >= 2*first }, "all totals are written again")
		c.count(10, 1)
		a.stop()
		changelog := k.table(name + "-counts-changelog")
		changelog.finish()
		require.Equal(t, c.exact, changelog.rows, "the changelog is one of the second run alone")
		requireTotals(t, all, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6)
	})
}

// counted is an application that has counted ten words, so often each, and has stopped.
func counted(t *testing.T, k *kafka, name string, times int) (*counter, *operator, streams.Config) {
	t.Helper()
	c, conf := newCounter(k, name), config(t, k, name)
	a := run(t, counting(t, name, nil), conf)
	c.count(10, times)
	a.stop()
	return c, newOperator(k), conf
}

func numberOf(b []byte) (n int64) {
	for _, x := range b {
		n = n<<8 | int64(x)
	}
	return n
}

// Each payment is told again, with the same text; none is taken for one that was told before,
// none is forgotten, and the rates are those of its day.
func TestResetLunchAbroad(t *testing.T) {
	t.Parallel()
	for _, g := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			eachOwn(t, func(t *testing.T, k *kafka) {
				l := startLunch(k, g)
				texts := map[string][]string{}
				told := k.follow("texts", func(m *sarama.ConsumerMessage) {
					var text struct{ ID, Message string }
					if err := json.Unmarshal(m.Value, &text); err != nil {
						t.Errorf("texts/%d, offset %d: %v", m.Partition, m.Offset, err)
					}
					texts[text.ID] = append(texts[text.ID], string(m.Key)+" "+text.Message)
				})
				l.feed(2000).Wait(patience)
				l.awaitAll()
				for _, p := range l.running {
					p.Terminate()
					p.Wait(patience)
				}
				o := newOperator(k)
				for _, topics := range [][]string{{"payments"}, nil} {
					p := o.plan("lunch-abroad", reset.ToEarliest(), topics...)
					require.Contains(t, p.Rewrites, "texts")
					require.NoError(t, reset.Execute(t.Context(), o.Client, p, reset.Execution{}))
					before := l.texts.count()
					for i := range l.running {
						l.run(i)
					}
					await(t, 2*patience, func() bool { return l.texts.count() >= before+len(l.paid) }, "all is told again")
					for _, p := range l.running {
						p.Terminate()
						p.Wait(patience)
					}
				}
				told.finish()
				require.Len(t, texts, len(l.paid))
				for id, all := range texts {
					require.Len(t, all, 3, "%s is told once in each run: %q", id, all)
					require.Len(t, slices.Compact(slices.Clone(all)), 1, "%s is told the same in each run", id)
				}
			})
		})
	}
}

// Instances that run stop their tasks, wait, and begin again by themselves.
func TestResetWhileInstancesRun(t *testing.T) {
	t.Parallel()
	eachGuarantee(t, func(t *testing.T, k *kafka, name string, g streams.Guarantee) {
		c, o := newCounter(k, name), newOperator(k)
		var apps []*app
		for i := range 2 {
			conf := config(t, k, name)
			conf.Guarantee = g
			if i == 0 {
				conf.InstanceID = "static" // it keeps its place in the group when it stops
			}
			a := run(t, counting(t, name, nil), conf)
			a.awaitReady(patience)
			apps = append(apps, a)
		}
		c.count(20, 2)
		p := o.plan(name, reset.ToEarliest())
		err := reset.Execute(t.Context(), o.Client, p, reset.Execution{})
		require.ErrorAs(t, err, new(*reset.RunningError), "without leave to restart them")
		require.Nil(t, k.says(name).Reset, "nothing has begun")

		for round := range 2 {
			before := c.totals.count()
			sum := before / (round + 1)
			require.NoError(t, reset.Execute(t.Context(), o.Client, o.plan(name, reset.ToEarliest()), reset.Execution{Restart: true}))
			await(t, patience, func() bool { return c.totals.count() >= before+sum }, "all is counted again")
		}
		c.count(20, 1)
		for _, a := range apps {
			a.stop()
		}
		changelog := k.table(name + "-counts-changelog")
		changelog.finish()
		require.Equal(t, c.exact, changelog.rows)
		require.Equal(t, int64(2), k.says(name).Epoch.Number)
	})
}

// A reset that is killed after any of its steps keeps instances from starting, and is
// finished, or undone where nothing was deleted yet.
func TestResetKilled(t *testing.T) {
	t.Parallel()
	killed := errors.New("killed")
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o, conf := counted(t, k, name, 2)
		for _, step := range []reset.Step{reset.Planned, reset.Stopped, reset.Committed, reset.Cleared, reset.Raised} {
			for _, undo := range []bool{true, false} {
				before := c.totals.count()
				err := reset.Execute(t.Context(), o.Client, o.plan(name, reset.ToEarliest()), reset.Execution{After: func(s reset.Step) error {
					if s == step {
						return killed
					}
					return nil
				}})
				require.ErrorIs(t, err, killed)

				half, err := streams.New(counting(t, name, nil), conf)
				require.NoError(t, err)
				err = half.Run(t.Context())
				require.ErrorContains(t, err, fmt.Sprintf("is not done (it got as far as %q)", step))

				found, err := reset.Find(t.Context(), o.Client, name)
				require.NoError(t, err)
				require.Equal(t, step, found.Step)
				require.Error(t, reset.Execute(t.Context(), o.Client, o.plan(name, reset.ToLatest()), reset.Execution{}), "another reset has to wait")
				again := true
				if undo {
					err = reset.Undo(t.Context(), o.Client, name, reset.Execution{})
					if again = !found.Undoable(); again {
						require.ErrorIs(t, err, reset.ErrTooLate)
					} else {
						require.NoError(t, err)
					}
				}
				if again {
					require.NoError(t, reset.Finish(t.Context(), o.Client, name, reset.Execution{}))
				}
				require.Nil(t, k.says(name).Reset)
				a := run(t, counting(t, name, nil), conf)
				a.awaitReady(patience)
				if again {
					sum := 0
					for _, n := range c.exact {
						sum += int(n)
					}
					await(t, patience, func() bool { return c.totals.count() >= before+sum }, "all is counted again")
					require.Equal(t, before+sum, c.totals.count(), "killed after %s, undo %v", step, undo)
				}
				c.count(10, 1)
				a.stop()
			}
		}
		require.Equal(t, int64(8), k.says(name).Epoch.Number, "two were undone")
	})
}

// Each way to say where to begin again, as the tool takes it: what is counted then is what
// the input has from there on.
func TestResetToWhereverIsSaid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c := newCounter(k, name)
		seen := map[string][]int64{}
		results := k.follow(name+"-totals", func(m *sarama.ConsumerMessage) {
			seen[string(m.Key)] = append(seen[string(m.Key)], numberOf(m.Value))
		})
		conf := config(t, k, name)
		a := run(t, counting(t, name, nil), conf)
		c.count(20, 1)
		time.Sleep(time.Second)
		middle := time.Now()
		c.count(20, 2)
		a.stop()
		positions := filepath.Join(t.TempDir(), "positions.csv")
		lines := fmt.Sprintf("%[1]s,0,0\n%[1]s,1,0\n", name+"-lines")
		require.NoError(t, os.WriteFile(positions, []byte(lines), 0o600))
		all, second := []int64{1, 2, 3}, []int64{1, 2}
		for _, way := range []struct {
			to   []string
			want []int64
		}{
			{[]string{"--to-earliest"}, all},
			{[]string{"--to-offset", "0"}, all},
			{[]string{"--by", "-1000"}, all}, // as far as there is any
			{[]string{"--by", "-2h"}, all},
			{[]string{"--from-file", positions}, all},
			{[]string{"--to-time", middle.Format(time.RFC3339Nano)}, second},
			{[]string{"--to-latest"}, nil},
		} {
			args := append([]string{"reset", name, "--execute", "--yes", "--brokers", strings.Join(k.addrs, ",")}, way.to...)
			e2etest.Start(t, "reset", program(t, "streams"), args...).Wait(patience)
			before := results.count()
			results.locked(func() { clear(seen) })
			a := run(t, counting(t, name, nil), conf)
			a.awaitReady(patience)
			await(t, patience, func() bool { return results.count() >= before+20*len(way.want) }, "%v: all is counted again", way.to)
			await(t, patience, func() bool { return k.processed(name, name+"-lines") == 60 }, "%v: all is processed", way.to)
			a.stop()
			require.Equal(t, before+20*len(way.want), results.count(), "%v", way.to)
			results.locked(func() {
				for word, totals := range seen {
					require.Equal(t, way.want, totals, "%v: %s", way.to, word)
				}
			})
		}
	})
}

// The tool is killed (kill -9) as soon as the registry says that a step is done. Run again, it
// finishes what it had begun.
func TestResetToolKilled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o, conf := counted(t, k, name, 2)
		args := []string{"reset", name, "--to-earliest", "--execute", "--yes", "--brokers", strings.Join(k.addrs, ",")}
		steps := []reset.Step{reset.Planned, reset.Stopped, reset.Committed, reset.Cleared, reset.Raised}
		rounds, interrupted := 0, 0
		for ; rounds < len(steps) || interrupted == 0 && rounds < 10*len(steps); rounds++ { // the tool may be faster than this looks
			step := steps[rounds%len(steps)]
			before, epoch := c.totals.count(), k.says(name).Epoch.Number
			p := e2etest.Start(t, "reset", program(t, "streams"), args...)
			await(t, patience, func() bool {
				says := k.says(name)
				return says.Epoch.Number > epoch || says.Reset != nil && says.Reset.Step == string(step)
			}, "the reset has got as far as %q", step)
			p.Kill()
			found, err := reset.Find(t.Context(), o.Client, name)
			require.NoError(t, err)
			if found != nil {
				interrupted++
				e2etest.Start(t, "reset again", program(t, "streams"), args...).Wait(patience)
			}
			require.Nil(t, k.says(name).Reset)
			require.Equal(t, epoch+1, k.says(name).Epoch.Number)
			sum := 0
			for _, n := range c.exact {
				sum += int(n)
			}
			a := run(t, counting(t, name, nil), conf)
			await(t, patience, func() bool { return c.totals.count() >= before+sum }, "all is counted again")
			c.count(10, 1)
			a.stop()
			require.Equal(t, before+sum+10, c.totals.count(), "killed at %s", step)
		}
		require.Positive(t, interrupted, "none was killed half-way")
		t.Logf("%d of %d were killed half-way", interrupted, rounds)
	})
}

// What is reset is what the application says is its own, and nothing whose name only looks so.
func TestResetLeavesNeighboursAlone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		other := name + "-bar"
		c, d, o := newCounter(k, name), newCounter(k, other), newOperator(k)
		// Both have the state directory of one machine.
		conf := config(t, k, name)
		confOther := conf
		confOther.ApplicationID = other
		a, b := run(t, counting(t, name, nil), conf), run(t, counting(t, other, nil), confOther)
		c.count(10, 2)
		d.count(10, 2)
		a.stop()
		b.stop()
		names := []string{other + "-counts-changelog", other + "-words-repartition", other + "-streams-registry", other + "-lines", other + "-totals"}
		topics, err := o.Topics(t.Context(), names...)
		require.NoError(t, err)
		require.Len(t, topics, len(names))
		committed, err := o.AllCommitted(t.Context(), other)
		require.NoError(t, err)

		o.reset(name)
		after, err := o.Topics(t.Context(), names...)
		require.NoError(t, err)
		require.Equal(t, topics, after, "the topics are the same ones")
		committedAfter, err := o.AllCommitted(t.Context(), other)
		require.NoError(t, err)
		require.Equal(t, committed, committedAfter)
		require.Zero(t, k.says(other).Epoch.Number)
		before := d.totals.count()
		b = run(t, counting(t, other, nil), confOther)
		d.count(10, 1)
		b.stop()
		require.Equal(t, before+10, d.totals.count(), "nothing of it was counted again")
	})
}

// Of two inputs that do not meet, one is counted again and the other is not; two that meet
// in a store are reset together, or their state is kept.
func TestResetPartOfTheInput(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		number := func(n string) topology.Topic[string, int64] {
			return topology.Topic[string, int64]{Name: name + n, Key: serde.String, Value: serde.Int64}
		}
		topo := build(t, func(b *topology.Builder) {
			for _, side := range []string{"-one", "-other"} {
				in := kstream.From(b, text(name+side))
				byWord := kstream.GroupBy(in, func(_, v string) string { return v }, text("words"+side))
				ktable.To(kstream.Count(byWord, state.Store[string, int64]{Name: "counts" + side, Key: serde.String, Value: serde.Int64}), number(side+"-totals"))
			}
		})
		k.create(nil, 2, name+"-one", name+"-other", name+"-one-totals", name+"-other-totals")
		one, other := k.table(name+"-one-totals"), k.table(name+"-other-totals")
		conf, o := config(t, k, name), newOperator(k)
		a := run(t, topo, conf)
		for range 10 {
			k.send(name+"-one", "x")
			k.send(name+"-other", "y")
		}
		await(t, patience, func() bool { return one.count() == 10 && other.count() == 10 }, "all is counted")
		a.stop()

		p := o.plan(name, reset.ToEarliest(), name+"-one")
		require.Equal(t, []string{"counts-one"}, p.Stores)
		require.Equal(t, []string{name + "-counts-one-changelog"}, p.Delete)
		require.Equal(t, []string{name + "-words-one-repartition"}, p.Empty)
		require.Equal(t, []string{name + "-one-totals"}, p.Rewrites)
		require.Equal(t, int64(10), p.Records(), "with at-least-once or without, the topics have no markers")
		require.NoError(t, reset.Execute(t.Context(), o.Client, p, reset.Execution{}))
		a = run(t, topo, conf)
		await(t, patience, func() bool { return one.count() == 20 }, "one side is counted again")
		k.send(name+"-other", "y")
		await(t, patience, func() bool { return other.count() == 11 }, "the other side goes on")
		a.stop()
		require.Equal(t, map[string]int64{"x": 10}, one.rows)
		require.Equal(t, map[string]int64{"y": 11}, other.rows)
	})
}

// The clock of windows that are wiped goes back, though it also stands beside the position
// of a topic that is not reset; else all that is read again would be late.
func TestResetOfWindows(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		hour := window.Tumbling{Size: time.Hour, Emit: window.OnClose()}
		perHour := state.Store[window.Key[string], int64]{Name: "per-hour", Key: window.Keys(serde.String, hour), Value: serde.Int64}
		results := topology.Topic[window.Key[string], int64]{Name: name + "-results", Key: perHour.Key, Value: serde.Int64}
		topo := build(t, func(b *topology.Builder) {
			named := kstream.Join(kstream.From(b, text(name+"-sales")), ktable.From(b, text(name+"-names")), func(v, n string) string { return n + v })
			ktable.To(kstream.Count(kstream.WindowedBy(kstream.GroupByKey(named), hour), perHour), results)
		})
		k.create(map[string]string{"retention.ms": "-1"}, 1, name+"-sales", name+"-names", name+"-results")
		monday := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
		record := func(topic string, at time.Time) *sarama.ProducerMessage {
			return &sarama.ProducerMessage{Topic: name + topic, Key: sarama.StringEncoder("tea"), Value: sarama.StringEncoder("x"), Timestamp: at}
		}
		k.produce(clientConfig(), record("-names", monday))
		for i := range 10 {
			k.produce(clientConfig(), record("-sales", monday.Add(time.Duration(i)*30*time.Minute)))
		}
		closed := k.table(name + "-results")
		conf, o := config(t, k, name), newOperator(k)
		a := run(t, topo, conf)
		await(t, patience, func() bool { return closed.count() == 4 }, "four hours are closed")
		a.stop()
		p := o.plan(name, reset.ToEarliest(), name+"-sales")
		require.Equal(t, []string{"per-hour", "per-hour-open"}, p.Stores, "which windows are open is kept in a store as well")
		require.NoError(t, reset.Execute(t.Context(), o.Client, p, reset.Execution{}))
		a = run(t, topo, conf)
		await(t, patience, func() bool { return closed.count() == 8 }, "they are counted and closed again")
		a.stop()
		for hour, n := range closed.rows {
			require.Equal(t, int64(2), n, hour)
		}
	})
}

// A reset that keeps the state moves positions and nothing else.
func TestResetKeepsState(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o, conf := counted(t, k, name, 2)
		before := c.totals.count()
		p, err := reset.Make(t.Context(), o.Client, reset.Options{App: name, To: reset.ByRecords(-3), KeepState: true})
		require.NoError(t, err)
		require.Empty(t, p.Stores)
		require.Empty(t, p.Delete)
		require.Empty(t, p.Empty)
		require.NoError(t, reset.Execute(t.Context(), o.Client, p, reset.Execution{}))
		a := run(t, counting(t, name, nil), conf)
		await(t, patience, func() bool { return c.totals.count() >= before+int(p.Records()) }, "some are counted once more")
		a.stop()
		var sum, exact int64
		for word, n := range c.exact {
			sum, exact = sum+c.totals.rows[word], exact+n
		}
		require.Equal(t, exact+p.Records(), sum)
		require.Positive(t, p.Records())
	})
}

// An instance whose disk was away during two resets wipes what either has wiped.
func TestResetOfADiskThatWasAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o := newCounter(k, name), newOperator(k)
		here, away := config(t, k, name), config(t, k, name)
		a := run(t, counting(t, name, nil), away)
		c.count(10, 2)
		a.stop()
		for range 2 {
			before := c.totals.count()
			o.reset(name)
			a = run(t, counting(t, name, nil), here)
			await(t, patience, func() bool { return c.totals.count() >= before+20 }, "all is counted again")
			a.stop()
		}
		stores, err := filepath.Glob(filepath.Join(away.StateDir, name, "*_*", "counts"))
		require.NoError(t, err)
		require.NotEmpty(t, stores)
		a = run(t, counting(t, name, nil), away)
		c.count(10, 1)
		a.stop()
		epoch, err := os.ReadFile(filepath.Join(away.StateDir, name, "epoch"))
		require.NoError(t, err)
		require.Equal(t, "2", strings.TrimSpace(string(epoch)))
	})
}

// An application of Kafka Streams has no registry: its group and its topics are known by
// their names alone, and what may be another's is left alone.
func TestResetKafkaStreams(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		o, ctx := newOperator(k), t.Context()
		internal := []string{name + "-KSTREAM-AGGREGATE-STATE-STORE-0000000003-changelog", name + "-words-repartition", name + "-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-topic"}
		others := []string{name + "-bar-counts-changelog", name + "-lines", name + "-totals", name + "-x"}
		k.create(nil, 2, append(slices.Clone(internal), others...)...)
		lines := inner.Partition{Topic: name + "-lines", Index: 1}
		k.send(lines.Topic, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
		ends, err := o.ListOffsets(ctx, []inner.Partition{lines}, broker.Latest, false)
		require.NoError(t, err)
		for group, offsets := range map[string]map[inner.Partition]inner.Offset{
			name:          {lines: {At: ends[lines]}, {Topic: internal[1], Index: 0}: {At: 0}},
			name + "-bar": {lines: {At: 1}},
		} {
			require.NoError(t, o.CommitOffsets(broker.Member{Group: group, Generation: -1}, offsets))
		}

		p := o.plan(name, reset.ToEarliest())
		slices.Sort(internal)
		require.Equal(t, internal, p.Delete)
		require.Equal(t, []string{lines.Topic}, p.Topics)
		require.Contains(t, strings.Join(p.Notes, "\n"), name+"-bar-counts-changelog is left alone: it may belong to "+name+"-bar")
		require.NoError(t, reset.Execute(ctx, o.Client, p, reset.Execution{}))
		found, err := o.Topics(ctx, append(slices.Clone(internal), others...)...)
		require.NoError(t, err)
		require.Len(t, found, len(others), "the others are there")
		committed, err := o.Committed(ctx, name, []inner.Partition{lines})
		require.NoError(t, err)
		require.Zero(t, committed[lines].At)
		committed, err = o.Committed(ctx, name+"-bar", []inner.Partition{lines})
		require.NoError(t, err)
		require.Equal(t, int64(1), committed[lines].At)

		_, err = reset.Make(ctx, o.Client, reset.Options{App: name + "-nobody", To: reset.ToEarliest()})
		require.ErrorContains(t, err, "nor is there a group")
	})
}

// An instance that starts at the same moment as a reset either runs before it and is seen,
// or sees it.
func TestResetRacesWithAStart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o, conf := counted(t, k, name, 1)
		for i := range 6 {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			racing, err := streams.New(counting(t, name, nil), conf)
			require.NoError(t, err)
			p := o.plan(name, reset.ToEarliest())
			go func() { ended <- racing.Run(ctx) }()
			<-time.After(time.Duration(i) * 60 * time.Millisecond)
			err = reset.Execute(t.Context(), o.Client, p, reset.Execution{Restart: true})
			require.NoError(t, err)
			select {
			case err := <-ended:
				require.ErrorContains(t, err, "is not done", "it saw the reset when it started")
			case <-racing.Ready():
				stop()
				require.NoError(t, <-ended)
			case <-time.After(patience):
				require.Fail(t, "it neither runs nor ends")
			}
			stop()
			a := run(t, counting(t, name, nil), conf)
			c.count(10, 1)
			a.stop()
		}
	})
}

// Who finishes a reset takes it from whoever had begun it and is still at it.
func TestResetTakenOver(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, k *kafka, name string) {
		c, o, conf := counted(t, k, name, 2)
		for i, step := range []reset.Step{reset.Planned, reset.Stopped, reset.Committed, reset.Cleared, reset.Raised} {
			err := reset.Execute(t.Context(), o.Client, o.plan(name, reset.ToEarliest()), reset.Execution{After: func(s reset.Step) error {
				if s == step {
					return reset.Finish(t.Context(), o.Client, name, reset.Execution{})
				}
				return nil
			}})
			require.ErrorIs(t, err, reset.ErrOther, step)
			require.ErrorIs(t, reset.Finish(t.Context(), o.Client, name, reset.Execution{}), reset.ErrNone)
			require.Equal(t, int64(i+1), k.says(name).Epoch.Number)
		}
		a := run(t, counting(t, name, nil), conf)
		c.count(10, 1)
		a.stop()
	})
}
