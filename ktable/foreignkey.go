package ktable

import (
	"bytes"

	"github.com/seed-df18afd4/streams/internal/graph"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
)

// JoinForeignKey pairs each row of left with the row of right whose key of gives; ok is
// false for none. Both tables must be kept in stores. Its two topics are named name,
// "-subscription" and "-response", and its store name: with them a left row that changes
// asks the task that has its right row, and a right row that changes is answered to all
// left rows that asked for it.
//
// The result has the greater time of the two rows when the left one changes, and the right
// row's own when that changes. A left row that loses its partner, or is deleted, sends a
// delete, also if it had none; one that names none is counted as dropped. Answers to what a
// left row was before are dropped.
func JoinForeignKey[K, V, FK, W, R any](left Table[K, V], right Table[FK, W], of func(K, V) (fk FK, ok bool), f func(V, W) R, name string) Table[K, R] {
	return foreignKey(left, right, of, func(v V, w W, ok bool) (r R, _ bool) {
		if !ok {
			return r, false
		}
		return f(v, w), true
	}, name, false)
}

// LeftJoinForeignKey is JoinForeignKey that keeps every row of left.
func LeftJoinForeignKey[K, V, FK, W, R any](left Table[K, V], right Table[FK, W], of func(K, V) (fk FK, ok bool), f func(v V, w W, ok bool) R, name string) Table[K, R] {
	return foreignKey(left, right, of, func(v V, w W, ok bool) (R, bool) { return f(v, w, ok), true }, name, true)
}

// fkJoin is a foreign-key join, with all its types.
type fkJoin[K, V, FK, W, R any] struct {
	left      Table[K, V]
	right     Table[FK, W]
	of        func(K, V) (FK, bool)
	f         func(V, W, bool) (R, bool)
	keepLeft  bool
	keys      serde.Serde[K]
	values    serde.Serde[V]
	foreign   serde.Serde[FK]
	partners  serde.Serde[W]
	nullKey   func(K, *plan.Meta) bool
	subscribe graph.Topic[FK, subscription]
	respond   graph.Topic[K, response]
	rows      state.Store[subscriber, subscription]
}

func foreignKey[K, V, FK, W, R any](left Table[K, V], right Table[FK, W], of func(K, V) (FK, bool), f func(V, W, bool) (R, bool), name string, keepLeft bool) Table[K, R] {
	b := left.Step.Builder()
	mine, okLeft := graph.RowsOf[K, V](left.Step)
	theirs, okRight := graph.RowsOf[FK, W](right.Step)
	if !okLeft || !okRight {
		b.Fail("the foreign-key join %q: both tables must be kept in stores; keep the one that is computed with ktable.Materialize", name)
		return Table[K, R]{Step: graph.MapTable(left.Step, "foreign-key", false, func(K, V) (r R, _ bool) { return r, false })}
	}
	j := &fkJoin[K, V, FK, W, R]{
		left: left, right: right, of: of, f: f, keepLeft: keepLeft,
		keys: mine.Key, values: mine.Value, foreign: theirs.Key, partners: theirs.Value, nullKey: graph.NullKey[K](),
		rows: state.Store[subscriber, subscription]{Name: name, Key: subscribers{}, Value: subscriptions{}},
	}
	j.subscribe = graph.Topic[FK, subscription]{Name: name + "-subscription", Key: j.foreign, Value: subscriptions{}}
	// An answer goes to the partition that asked, whatever its key hashes to.
	j.respond = graph.Topic[K, response]{Name: name + "-response", Key: j.keys, Value: responses{}, PartitionOf: func(_ K, r response, _ int32) int32 { return r.Partition }}

	left.Step.NeedOld()
	if right.Step.Silent() {
		right.Step.NeedOld()
	}
	asks := graph.Map(left.Step, "foreign-key-ask", j.ask)
	arrived := graph.ThroughAll(asks.Rekey(), j.subscribe)
	var answers *graph.Step
	answers = graph.Map(arrived, "foreign-key-answer", func(w *graph.Wiring, next graph.Handler[K, response]) graph.Handler[FK, subscription] {
		return j.answer(w, answers, next)
	})
	answers.Use(b.Store(j.rows.Spec()))
	answers.Meet("JoinForeignKey").Look(right.Step)
	updates := graph.Map(right.Step, "foreign-key-update", func(w *graph.Wiring, next graph.Handler[K, response]) graph.Handler[FK, graph.Change[W]] {
		return j.updated(w, answers, next)
	})
	both := b.Add("foreign-key-answers", []*graph.Step{answers, updates}, func(w *graph.Wiring, s *graph.Step) any {
		return graph.Next[K, response](w, s)
	})
	back := graph.ThroughAll(both.Rekey(), j.respond)
	s := graph.Map(back, "foreign-key-resolve", j.resolve)
	s.Meet("JoinForeignKey").Look(left.Step)
	return Table[K, R]{Step: s.Sent()}
}

// ask sends what a changed left row wants to know to where its right row is.
func (j *fkJoin[K, V, FK, W, R]) ask(w *graph.Wiring, next graph.Handler[FK, subscription]) graph.Handler[K, graph.Change[V]] {
	nullForeign := graph.NullKey[FK]()
	of := func(k K, v V, has bool, m *plan.Meta) (fk FK, ok bool) {
		if !has {
			return fk, false
		}
		fk, ok = j.of(k, v)
		return fk, ok && !nullForeign(fk, m)
	}
	plans := j.inner
	if j.keepLeft {
		plans = j.outer
	}
	var meta plan.Meta
	return func(k K, c graph.Change[V], m *plan.Meta) error {
		if c.Stale {
			w.Drop(plan.Late)
			return nil
		}
		pk, err := j.keys.Append(nil, k)
		if err != nil {
			return err
		}
		s := subscription{Key: pk, Partition: w.Task.Partition}
		if c.HasNew {
			if s.Hash, err = hashOf(j.values, c.New); err != nil {
				return err
			}
		}
		x := foreignKeys[FK]{hadRow: c.HasOld, hasRow: c.HasNew}
		x.was, x.had = of(k, c.Old, c.HasOld, m)
		x.is, x.has = of(k, c.New, c.HasNew, m)
		if x.had && x.has {
			if x.same, err = equal(j.foreign, x.was, x.is); err != nil {
				return err
			}
		}
		send := func(fk FK, has bool, do byte) error {
			s.Do = do
			meta = plan.Meta{Time: m.Time, Headers: m.Headers, NoKey: !has}
			return next(fk, s, &meta)
		}
		return plans(w, x, send)
	}
}

// foreignKeys are those of a left row before and after a change.
type foreignKeys[FK any] struct {
	hadRow, hasRow bool
	was, is        FK
	had, has       bool
	same           bool
}

// sending sends a subscription for a foreign key, if there is one.
type sending[FK any] func(fk FK, has bool, do byte) error

// inner asks for an inner join. A row whose foreign key has changed must hear also that it
// has no partner now, to delete what it may have sent; one whose foreign key has stayed has
// sent nothing without a partner.
func (j *fkJoin[K, V, FK, W, R]) inner(w *graph.Wiring, x foreignKeys[FK], send sending[FK]) error {
	if x.hasRow && !x.has {
		w.Drop(plan.NullKey)
	}
	switch {
	case !x.has && x.had:
		return send(x.was, true, forgetAndAnswer)
	case !x.has:
		return nil
	case !x.had || x.same:
		return send(x.is, true, answerIfThere)
	}
	if err := send(x.was, true, forget); err != nil {
		return err
	}
	return send(x.is, true, answerAlways)
}

// outer asks for a left join: every left row is answered.
func (j *fkJoin[K, V, FK, W, R]) outer(_ *graph.Wiring, x foreignKeys[FK], send sending[FK]) error {
	if !x.hadRow && !x.hasRow {
		return nil
	}
	if x.had && !x.same {
		if err := send(x.was, true, forget); err != nil {
			return err
		}
	}
	return send(x.is, x.has, answerAlways)
}

// answer notes who asked for a right row, and answers.
func (j *fkJoin[K, V, FK, W, R]) answer(w *graph.Wiring, s *graph.Step, next graph.Handler[K, response]) graph.Handler[FK, subscription] {
	rows := graph.Open(w, s.Find(j.rows.Name), j.rows)
	lookup := graph.LookupOf[FK, W](w, j.right.Step)
	var meta plan.Meta
	return func(fk FK, ask subscription, m *plan.Meta) error {
		var partner W
		var there bool
		meta = *m
		if !m.NoKey {
			var ms int64
			foreign, err := j.foreign.Append(nil, fk)
			if err != nil {
				return err
			}
			key := subscriber{foreign, ask.Key}
			if ask.Do == forget || ask.Do == forgetAndAnswer {
				_, _, err = rows.Remove(key, m.Time)
			} else {
				_, _, err = rows.Save(key, ask, m.Time)
			}
			if err != nil {
				return err
			}
			if partner, ms, there, err = lookup(fk, latestVersion); err != nil {
				return err
			}
			meta.Time = latest(m.Time, true, ms, there)
		}
		if ask.Do == forgetAndAnswer {
			there = false
		}
		if ask.Do == forget || ask.Do == answerIfThere && !there {
			return nil
		}
		meta.NoKey = false
		return j.reply(ask, partner, there, &meta, next)
	}
}

// updated answers a changed right row to all who asked for it.
func (j *fkJoin[K, V, FK, W, R]) updated(w *graph.Wiring, s *graph.Step, next graph.Handler[K, response]) graph.Handler[FK, graph.Change[W]] {
	rows := graph.Open(w, s.Find(j.rows.Name), j.rows)
	return func(fk FK, c graph.Change[W], m *plan.Meta) error {
		if c.Stale {
			w.Drop(plan.Late)
			return nil
		}
		foreign, err := j.foreign.Append(nil, fk)
		if err != nil {
			return err
		}
		for row, err := range rows.Range(&subscriber{foreign, nil}, nil) {
			if err != nil {
				return err
			}
			if !bytes.Equal(row.Key.Foreign, foreign) {
				break
			}
			if err := j.reply(row.Value, c.New, c.HasNew, m, next); err != nil {
				return err
			}
		}
		return nil
	}
}

// reply sends a right row, or that there is none, to who asked.
func (j *fkJoin[K, V, FK, W, R]) reply(ask subscription, partner W, there bool, m *plan.Meta, next graph.Handler[K, response]) error {
	r := response{Hash: ask.Hash, Partition: ask.Partition, Has: there}
	if there {
		var err error
		if r.Value, err = j.partners.Append([]byte{}, partner); err != nil {
			return err
		}
	}
	k, err := j.keys.Decode(ask.Key)
	if err != nil {
		return err
	}
	return next(k, r, m)
}

// resolve joins an answer with the left row that asked, if the row is still what it was.
func (j *fkJoin[K, V, FK, W, R]) resolve(w *graph.Wiring, next graph.Handler[K, graph.Change[R]]) graph.Handler[K, response] {
	lookup, null := graph.LookupOf[K, V](w, j.left.Step), graph.NullValue[R]()
	return func(k K, answer response, m *plan.Meta) error {
		v, _, has, err := lookup(k, latestVersion)
		if err != nil {
			return err
		}
		var hash []byte
		if has {
			if hash, err = hashOf(j.values, v); err != nil {
				return err
			}
		}
		if !bytes.Equal(hash, answer.Hash) {
			w.Drop(plan.Late)
			return nil
		}
		var partner W
		if answer.Has {
			if partner, err = j.partners.Decode(answer.Value); err != nil {
				return err
			}
		}
		var out graph.Change[R]
		if has {
			out.New, out.HasNew = j.f(v, partner, answer.Has)
			out.HasNew = out.HasNew && !null(out.New)
		}
		return next(k, out, m)
	}
}
