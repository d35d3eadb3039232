package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
)

//go:embed java/Workloads.java
var javaProgram []byte

// java is Kafka Streams, with the same workloads written for it.
type java struct {
	dir     string
	command []string
}

// newJava compiles the program.
func newJava() (j *java, err error) {
	j = &java{}
	if j.dir, err = os.MkdirTemp("", "streams-bench-java-"); err != nil {
		return nil, err
	}
	file := filepath.Join(j.dir, "Workloads.java")
	if err = os.WriteFile(file, javaProgram, 0o600); err == nil {
		j.command, err = kafkatest.JavaForMain(file, j.dir)
	}
	if err != nil {
		return nil, errors.Join(err, j.remove())
	}
	return j, nil
}

func (j *java) remove() error { return os.RemoveAll(j.dir) }

// beside is the workload in Java. Not every one is written in it.
func (j *java) beside(w workload) (same workload, ok bool) {
	same = workload{name: w.name + " in Java", inputs: w.inputs}
	switch w.name {
	case "beside":
		return same, false
	case "restore":
		same.run = func(ctx context.Context, b *bench, inputs []input) (sample, error) { return j.restore(ctx, b, inputs) }
	default:
		same.run = func(ctx context.Context, b *bench, inputs []input) (sample, error) {
			return j.run(ctx, b, w, inputs)
		}
	}
	return same, true
}

// run measures as application.run does.
func (j *java) run(ctx context.Context, b *bench, w workload, inputs []input) (s sample, err error) {
	id := newID()
	defer func() { err = errors.Join(err, b.drop(id)) }()
	records, in := 0, []string{}
	for _, i := range inputs {
		records += i.records
		in = append(in, i.topic)
	}
	if err := b.create(ctx, id+"-out", nil); err != nil {
		return s, err
	}
	p, err := j.start(ctx, b, w.name, id, id+"-out", in...)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.stop(err)) }()
	m, err := p.await("begun")
	if err == nil {
		err = b.await(ctx, id, 0, in...)
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

// restore measures as the workload restore does: from KafkaStreams.start, without the start
// of Java itself.
func (j *java) restore(ctx context.Context, b *bench, inputs []input) (s sample, err error) {
	id := inputs[0].topic
	defer func() { err = errors.Join(err, b.dropGroup(id)) }()
	p, err := j.start(ctx, b, "restore", id, "", id)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, p.stop(err)) }()
	m, err := p.await("begun")
	if err == nil {
		_, err = p.await("ready")
	}
	if err != nil {
		return s, err
	}
	return m.sample(inputs[1].records)
}

// javaProcess is a workload that runs.
type javaProcess struct {
	cmd   *exec.Cmd
	stdin io.Closer // it ends when this is closed
	out   *bufio.Scanner
	said  bytes.Buffer // on standard error
	state string
}

func (j *java) start(ctx context.Context, b *bench, workload, id, out string, in ...string) (*javaProcess, error) {
	state, err := os.MkdirTemp("", "streams-bench-")
	if err != nil {
		return nil, err
	}
	guarantee := map[streams.Guarantee]string{streams.ExactlyOnce: "exactly_once_v2", streams.AtLeastOnce: "at_least_once"}[b.guarantee]
	args := append([]string{workload, strings.Join(b.addrs, ","), id, state, guarantee, strconv.Itoa(b.workers), out}, in...)
	p := &javaProcess{state: state}
	p.cmd = exec.CommandContext(ctx, j.command[0], append(j.command[1:len(j.command):len(j.command)], args...)...)
	p.cmd.Stderr = &p.said
	stdout, err := p.cmd.StdoutPipe()
	if err == nil {
		p.stdin, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(state))
	}
	p.out = bufio.NewScanner(stdout)
	return p, nil
}

// await waits until the process prints a line, and begins to measure then.
func (p *javaProcess) await(line string) (m javaMeter, err error) {
	for p.out.Scan() {
		if p.out.Text() == line {
			m = javaMeter{pid: p.cmd.Process.Pid, begun: time.Now()}
			m.cpu, err = cpuTimeOf(m.pid)
			return m, err
		}
	}
	return m, fmt.Errorf("java ended before it said %q", line)
}

// stop ends the process. Where the measurement failed, what it said tells why.
func (p *javaProcess) stop(failed error) error {
	p.stdin.Close()
	err := p.cmd.Wait()
	if failed != nil || err != nil {
		err = errors.Join(err, errors.New(strings.TrimSpace(p.said.String())))
	}
	return errors.Join(err, os.RemoveAll(p.state))
}

// javaMeter is a meter of another process. What that allocates it does not know.
type javaMeter struct {
	pid   int
	begun time.Time
	cpu   time.Duration
}

func (m javaMeter) sample(records int) (sample, error) {
	s := sample{records: records, elapsed: time.Since(m.begun)}
	cpu, err := cpuTimeOf(m.pid)
	s.cpu = cpu - m.cpu
	return s, err
}

// cpuTimeOf is the CPU time of another process, to a hundredth of a second.
func cpuTimeOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("the CPU time of Java is known on Linux alone: %w", err)
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
