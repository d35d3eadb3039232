package worker

import (
	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/task"
)

// search finds the record of which Kafka refused what came of it.
//
// A refusal names a partition, not the record whose output, row or update it was; to carry
// that with every output would cost every record. So what was not committed is processed
// again, in steps of one task that are committed each. A step that is refused is halved,
// down to one record: that is it. It goes to OnBad when its task, begun anew, comes to it.
type search struct {
	limit   int         // records of a step
	left    int         // records to go until all is behind that was refused first
	suspect plan.TaskID // whose step was refused last
	near    int         // records of it to go until that step is behind: then steps grow again
	turn    int         // of the tasks

	at  *entry // whose step is not committed yet; nil: there is none
	ran int    // records of that step; 0: schedules
}

// step is the turn of one task while a record is searched. Nothing more is processed before
// it is committed.
func (w *Worker) step() (n int, err error) {
	s := w.search
	for i := 0; w.dirtySince.IsZero() && i < len(w.order); i++ {
		s.turn++
		e := w.order[s.turn%len(w.order)]
		if e.leaving {
			continue
		}
		if n, err = w.stepOf(e); err != nil {
			return n, err
		}
		if len(w.order) == 0 {
			return n, nil // all begin anew
		}
	}
	if w.dirtySince.IsZero() || w.now.Before(w.retryAt) {
		return n, nil
	}
	return n, w.commit()
}

// stepOf processes some records of a task, or what is scheduled: one or the other, so that
// it is known of which the output is.
func (w *Worker) stepOf(e *entry) (n int, err error) {
	s, wall := w.search, w.now.UnixMilli()
	called, err := e.task.Tick(wall)
	if err == nil && !called {
		n, err = w.call(e, wall, s.limit)
	}
	if task.Recoverable(err) {
		return n, w.failed(err)
	}
	if err != nil {
		return n, err
	}
	s.at, s.ran = e, n
	if err := w.send(e); err != nil {
		return n, w.failed(err)
	}
	if e.task.Changed() {
		w.dirtySince = w.now
	}
	return n, nil
}

// passed says that everything is committed.
func (w *Worker) passed() {
	w.records = 0
	s := w.search
	if s == nil {
		return
	}
	s.left -= s.ran
	if s.at != nil && s.at.id == s.suspect {
		s.near -= s.ran
	}
	if s.near <= 0 {
		s.limit = min(2*s.limit, stepLimit)
	}
	s.at, s.ran = nil, 0
	if s.left <= 0 {
		w.search = nil
	}
}

// refused says whether a failure is a refusal, and has the tasks that begin anew search the
// record. An error is about what belongs to no record.
func (w *Worker) refused(cause error) (ok bool, err error) {
	at, ok := broker.Refused(cause)
	if !ok || w.c.Client.LearnLimit(w.life, cause) {
		return false, nil
	}
	s := w.search
	switch {
	case s == nil:
		w.search = &search{limit: max(w.records/2, 1), left: w.records, near: w.records}
	case s.at == nil: // of a step that is lost
	case s.ran > 1:
		s.suspect, s.near, s.limit = s.at.id, s.ran, s.ran/2
	case s.ran == 1:
		s.suspect, s.near = s.at.id, 1
		w.blame(s.at, at.Topic, cause)
	default:
		return true, &task.Error{Task: s.at.id, Node: w.writer(s.at, at.Topic), Err: cause, Broken: true}
	}
	return true, nil
}

// blame has OnBad asked about the record that a task processed last, and told how often that
// was refused. If it was its dead letter, there cannot be one.
func (w *Worker) blame(e *entry, topic string, cause error) {
	p, offset, _ := e.task.Last()
	r := task.Refusal{Partition: p, Offset: offset}
	if before := e.refused; before != nil && before.Partition == p && before.Offset == offset {
		r = *before
	}
	if topic == w.c.DeadLetters {
		r.Letter = cause
	} else {
		r.Node, r.Err, r.Attempt = w.writer(e, topic), cause, r.Attempt+1
	}
	e.refused = &r
}

// writer is the node of a task that writes a topic, as errors name it.
func (w *Worker) writer(e *entry, topic string) string {
	sub := e.layout.Plan.Subtopologies[e.id.Subtopology]
	writes := func(n plan.Node) bool {
		if n.Sink >= 0 && sub.Sinks[n.Sink].In(w.c.App) == topic {
			return true
		}
		for _, slot := range n.Stores {
			if e.layout.Changelog(e.id, slot).Topic == topic {
				return true
			}
		}
		return false
	}
	each := ""
	for _, n := range sub.Nodes {
		if writes(n) {
			return n.String()
		}
		if n.Sink >= 0 && sub.Sinks[n.Sink].Each {
			each = n.String()
		}
	}
	return each
}
