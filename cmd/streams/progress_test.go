//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// On a terminal there is a bar with a rate and the time left, which fits into a line of it
// and is taken away again.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	screen, terminal, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: 100}))
	shown := make(chan string)
	go func() {
		var b bytes.Buffer
		io.Copy(&b, screen) // a terminal ends with an error
		shown <- b.String()
	}()
	p := (&tool{messages: terminal}).progress("reading a-topic-with-quite-a-long-name-changelog", "offsets", 1000)
	p.set(1)
	for i := range 7 {
		time.Sleep(100 * time.Millisecond)
		p.set(int64(100 * (i + 1)))
	}
	p.clear()
	p.set(800)
	p.end()
	terminal.Close()
	text := <-shown
	screen.Close()
	require.NotContains(t, text, "(1/1000", "what is soon done shows nothing")
	require.Regexp(t, `reading a-topic-with-quite-a-long…\s+\d+% \|█+ *\| \(\d+/1000, \d{2,4} offsets/s\) \[\d+s:\d+s\]`, text)
	lines := strings.Split(strings.TrimRight(text, "\r"), "\r")
	for _, line := range lines {
		require.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 100, "%q", line)
	}
	require.Empty(t, strings.TrimSpace(lines[len(lines)-1]), "it is taken away")
}

// What ends before a bar is drawn draws none.
func TestProgressOfShortWork(t *testing.T) {
	t.Parallel()
	_, terminal, err := pty.Open()
	require.NoError(t, err)
	defer terminal.Close()
	p := (&tool{messages: terminal}).progress("reading", "offsets", 10)
	p.set(10)
	p.clear()
	p.end()
	require.False(t, p.drawn)
	(*progress)(nil).end() // work that never said how far it is
}

// Elsewhere there are lines, now and then.
func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	var b bytes.Buffer
	for _, w := range []io.Writer{&b, file} {
		p := (&tool{messages: w}).progress("reading a-topic", "offsets", 1000)
		p.set(10)
		p.begun, p.said = p.begun.Add(-10*time.Second), p.said.Add(-10*time.Second)
		p.set(250)
		p.set(251)
		p.end()
	}
	require.Equal(t, "reading a-topic (offsets): 250 of 1000, 25 a second, 30s left\n", b.String())
	written, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.Equal(t, b.String(), string(written))
}
