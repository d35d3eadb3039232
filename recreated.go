package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/internal/broker"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/reset"
	"github.com/seed-df18afd4/streams/internal/worker"
)

// recreated resets an application whose input topics were deleted and made anew: what was
// computed from the old ones is wiped, and the new ones are read from their StartAt. Any of
// its instances may begin the reset; the others take part in it as in any other.
type recreated struct {
	app     string
	plan    *plan.Plan
	process string
	keep    bool          // state stays
	wait    time.Duration // for instances to stop
	client  *broker.Client
	resets  *resets
	log     *slog.Logger
}

// lookAgain is how long brokers have to agree on which topic has a name, and as much by
// chance, since all instances notice together.
const lookAgain = 500 * time.Millisecond

// finish finishes the reset that this instance had begun when it was killed, unless somebody
// else does.
func (r *recreated) finish(ctx context.Context, says registry.Contents) error {
	if says.Reset == nil || says.Reset.Process != r.process {
		return nil
	}
	r.log.Warn("finishing the reset that this instance had begun", "begun", says.Reset.Begun, "step", says.Reset.Step)
	err := reset.Finish(ctx, r.client, r.app, r.execution())
	if errors.Is(err, reset.ErrOther) || errors.Is(err, reset.ErrNone) {
		return nil
	}
	return err
}

func (r *recreated) execution() reset.Execution {
	return reset.Execution{Restart: true, Process: r.process, Wait: r.wait, Say: func(s reset.Step) {
		r.log.Info("reset of the application", "done", string(s))
	}}
}

// settle compares the topics of a layout with those that the state is of. When it returns
// true, the application was reset, or it was too early to tell, and the topics are to be
// looked up again.
func (r *recreated) settle(ctx context.Context, l *worker.Layout) (again bool, err error) {
	says, err := r.resets.watch.Latest(ctx)
	if err != nil {
		return false, err
	}
	if says.Reset != nil {
		return true, r.resets.await(ctx)
	}
	ids := inputsOf(r.plan, l.IDs)
	others := differing(says.Topics, ids)
	if len(others) == 0 {
		return false, r.note(ctx, says.Topics, ids)
	}
	if sure, err := r.sure(ctx, others, ids); err != nil || !sure {
		return true, err
	}
	read := readBy(says.Application, others)
	if len(read) < len(others) {
		r.log.Warn("topics were deleted and made anew while the application did not read them; what an earlier version computed from them stays", "topics", strings.Join(others, ", "))
	}
	if r.keep || len(read) == 0 {
		return false, r.note(ctx, says.Topics, ids)
	}
	return true, r.wipe(ctx, read, says.Epoch.Number)
}

// sure asks all brokers, some time later: the one that was asked may be behind, and not know
// yet which topic has the name.
func (r *recreated) sure(ctx context.Context, names []string, ids map[string]string) (bool, error) {
	select {
	case <-time.After(lookAgain + rand.N(lookAgain)):
	case <-ctx.Done():
		return false, ctx.Err()
	}
	found, err := r.client.TopicIDs(ctx, names...)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if !slices.Equal(found[name], []string{ids[name]}) {
			r.log.Info("brokers do not agree yet on which topic this is", "topic", name, "ids", found[name])
			return false, nil
		}
	}
	return true, nil
}

// note says in the registry which topics the state is of, where that is news.
func (r *recreated) note(ctx context.Context, said *registry.Topics, ids map[string]string) error {
	all := map[string]string{}
	if said != nil {
		all = maps.Clone(said.IDs)
	}
	maps.Copy(all, ids)
	if said != nil && maps.Equal(all, said.IDs) {
		return nil
	}
	own, err := registry.Open(ctx, r.client, r.app) // since the instance writes to its own all the time
	if err != nil {
		return err
	}
	defer own.Close()
	return own.SetTopics(ctx, all)
}

// wipe resets what the records of topics got to, or waits until another instance has. That
// was after the given epoch, if at all.
func (r *recreated) wipe(ctx context.Context, topics []string, epoch int64) error {
	p, err := reset.Make(ctx, r.client, reset.Options{App: r.app, To: reset.ToStart(r.plan, time.Now()), Topics: topics})
	if err != nil {
		return fmt.Errorf("%s: deleted and made anew, and what was computed from what it was cannot be wiped: %w; use streams reset, or set OnTopicRecreated to KeepState", strings.Join(topics, ", "), err)
	}
	if p.Epoch == epoch+1 {
		r.log.Warn("topics were deleted and made anew: what was computed from the old ones is wiped", "topics", strings.Join(topics, ", "), "stores", strings.Join(p.Stores, ", "))
		if err := r.execute(context.WithoutCancel(ctx), p); err != nil { // others wait for it
			return fmt.Errorf("%s: deleted and made anew: %w", strings.Join(topics, ", "), err)
		}
	}
	return r.resets.await(ctx)
}

// execute leaves nothing behind when it fails before anything was deleted: another instance
// may have more luck.
func (r *recreated) execute(ctx context.Context, p *reset.Plan) error {
	err := reset.Execute(ctx, r.client, p, r.execution())
	if err == nil || errors.Is(err, reset.ErrOther) || errors.Is(err, reset.ErrUnderWay) {
		return nil
	}
	undone := reset.Undo(ctx, r.client, r.app, reset.Execution{Wait: time.Second})
	if errors.Is(undone, reset.ErrTooLate) {
		return fmt.Errorf("%w; start this instance again, or run streams reset %s --execute, as somebody who is allowed to", err, r.app)
	}
	return errors.Join(err, undone)
}

// inputsOf are the ids of the topics that tasks read.
func inputsOf(p *plan.Plan, ids map[string]string) map[string]string {
	inputs := map[string]string{}
	for _, s := range p.Subtopologies {
		for _, src := range s.Sources {
			if id := ids[src.Name]; !src.Repartition && id != "" {
				inputs[src.Name] = id
			}
		}
	}
	return inputs
}

// readBy are those of the topics that an application read when it was described last. Of
// others it can have no state.
func readBy(a *registry.Application, topics []string) (read []string) {
	if a == nil {
		return nil
	}
	for _, t := range a.Topics() {
		if t.Role == registry.Input && slices.Contains(topics, t.Name) {
			read = append(read, t.Name)
		}
	}
	return read
}

// differing are the topics whose ids are others than the registry says.
func differing(said *registry.Topics, ids map[string]string) (names []string) {
	if said == nil {
		return nil
	}
	for name, id := range ids {
		if was := said.IDs[name]; was != "" && was != id {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
