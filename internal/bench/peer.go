package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams"
)

// peer is another framework: a program with the same workloads written for it. Each has the
// arguments workload, brokers, application id, state directory, guarantee, workers, output and
// inputs, prints "begun" when the first record is read and "ready" when all state is restored,
// and ends when its standard input does.
type peer struct {
	name    string
	dir     string // of the program
	command []string
	lacks   []string // workloads
	tables  bool     // it reads tables while it processes, and commits offsets in their topics
}

// newPeer builds a peer in a directory of its own.
func newPeer(p peer, build func(dir string) (command []string, err error)) (*peer, error) {
	var err error
	if p.dir, err = os.MkdirTemp("", "streams-bench-"); err != nil {
		return nil, err
	}
	if p.command, err = build(p.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("build the workloads in %s: %w", p.name, err), p.remove())
	}
	return &p, nil
}

func (p *peer) remove() error { return os.RemoveAll(p.dir) }

// beside is the same workload there, if it has it.
func (p *peer) beside(w workload) (same workload, ok bool) {
	same = workload{name: w.name + " in " + p.name, inputs: w.inputs}
	if w.name == "restore" {
		same.run = p.restore
	} else {
		same.run = func(ctx context.Context, b *bench, inputs []input) (sample, error) {
			return p.run(ctx, b, w, inputs)
		}
	}
	return same, !slices.Contains(p.lacks, w.name)
}

// run measures as application.run does.
func (p *peer) run(ctx context.Context, b *bench, w workload, inputs []input) (s sample, err error) {
	id := newID()
	defer func() { err = errors.Join(err, b.drop(id)) }()
	in, _ := together(inputs)
	if err := b.create(ctx, id+"-out", nil); err != nil {
		return s, err
	}
	run, err := p.start(ctx, b, w.name, id, id+"-out", in...)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, run.stop(err)) }()
	m, err := run.await("begun")
	if !p.tables {
		inputs = inputs[:1]
	}
	read, records := together(inputs)
	if err == nil {
		err = b.await(ctx, id, 0, read...)
	}
	if err == nil && w.app.through != "" {
		err = b.await(ctx, id, b.markers(), id+"-"+w.app.through+"-repartition")
	}
	if err != nil {
		return s, err
	}
	if s, err = m.sample(records); err != nil {
		return s, err
	}
	return s, b.checkResults(ctx, id+"-out", w.app.results(inputs[0].records))
}

// restore measures as the workload restore does: without the start of the process.
func (p *peer) restore(ctx context.Context, b *bench, inputs []input) (s sample, err error) {
	id := inputs[0].topic
	defer func() { err = errors.Join(err, b.dropGroup(id)) }()
	run, err := p.start(ctx, b, "restore", id, "", id)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, run.stop(err)) }()
	m, err := run.await("begun")
	if err == nil {
		_, err = run.await("ready")
	}
	if err != nil {
		return s, err
	}
	return m.sample(inputs[1].records)
}

// process is a workload that runs.
type process struct {
	of    string // the peer
	cmd   *exec.Cmd
	stdin io.Closer // it ends when this is closed
	out   *bufio.Scanner
	said  bytes.Buffer // on standard error
	state string
}

func (p *peer) start(ctx context.Context, b *bench, workload, id, out string, in ...string) (*process, error) {
	state, err := os.MkdirTemp("", "streams-bench-")
	if err != nil {
		return nil, err
	}
	guarantee := map[streams.Guarantee]string{streams.ExactlyOnce: "exactly_once_v2", streams.AtLeastOnce: "at_least_once"}[b.guarantee]
	args := append([]string{workload, strings.Join(b.addrs, ","), id, state, guarantee, strconv.Itoa(b.workers), out}, in...)
	run := &process{of: p.name, state: state}
	run.cmd = exec.CommandContext(ctx, p.command[0], append(p.command[1:len(p.command):len(p.command)], args...)...)
	run.cmd.Stderr = &run.said
	stdout, err := run.cmd.StdoutPipe()
	if err == nil {
		run.stdin, err = run.cmd.StdinPipe()
	}
	if err == nil {
		err = run.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(state))
	}
	run.out = bufio.NewScanner(stdout)
	return run, nil
}

// await waits until the process prints a line, and begins to measure then.
func (p *process) await(line string) (m processMeter, err error) {
	for p.out.Scan() {
		if p.out.Text() == line {
			m = processMeter{pid: p.cmd.Process.Pid, begun: time.Now()}
			m.cpu, err = cpuTimeOf(m.pid)
			return m, err
		}
	}
	return m, fmt.Errorf("%s ended before it said %q", p.of, line)
}

// stop ends the process. Where the measurement failed, what it said tells why.
func (p *process) stop(failed error) error {
	p.stdin.Close()
	err := p.cmd.Wait()
	if failed != nil || err != nil {
		err = errors.Join(err, errors.New(strings.TrimSpace(p.said.String())))
	}
	return errors.Join(err, os.RemoveAll(p.state))
}

// processMeter is a meter of another process. What that allocates it does not know.
type processMeter struct {
	pid   int
	begun time.Time
	cpu   time.Duration
}

func (m processMeter) sample(records int) (sample, error) {
	s := sample{records: records, elapsed: time.Since(m.begun), memory: peakMemory(strconv.Itoa(m.pid))}
	cpu, err := cpuTimeOf(m.pid)
	s.cpu = cpu - m.cpu
	return s, err
}

// cpuTimeOf is the CPU time of another process, to a hundredth of a second.
func cpuTimeOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("the CPU time of other processes is known on Linux alone: %w", err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // behind the program's name
	var ticks int64
	for _, i := range []int{11, 12} { // in user code and in the kernel
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
