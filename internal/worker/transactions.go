package worker

import (
	"context"
	"slices"

	"github.com/seed-df18afd4/streams/internal/broker"
)

// endTransactions ends the transactions that processes which are gone may have left open,
// so that nobody has to wait until they time out. The first of the processes that stayed
// does it for all: others, and so maybe the group's leader, do not know who was there.
func (n *Instance) endTransactions(processes map[string]int) {
	before := n.processes
	n.processes = processes
	var stayed, gone []string
	for process := range before {
		if _, ok := processes[process]; ok {
			stayed = append(stayed, process)
		} else {
			gone = append(gone, process)
		}
	}
	if !n.c.ExactlyOnce || len(stayed) == 0 || slices.Min(stayed) != n.c.Process {
		return
	}
	slices.Sort(gone)
	for _, process := range gone {
		for i := range before[process] {
			n.helpers.Go(n.c.Sched, func() { n.endTransaction(TransactionalID(n.c.App, process, i)) })
		}
	}
}

func (n *Instance) endTransaction(id string) {
	ctx, cancel := context.WithTimeout(n.life, transactionTimeout)
	defer cancel()
	p, err := n.c.Client.NewProducer(ctx, broker.ProducerOptions{TransactionalID: id, TransactionTimeout: transactionTimeout})
	if err != nil {
		if n.life.Err() != nil {
			return
		}
		n.c.Log.Warn("end the transaction of an instance that is gone", "transaction", id, "error", err)
		return
	}
	p.Close()
}
