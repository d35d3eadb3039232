package broker

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a client and one broker, as a network that fails: it cuts
// connections, before or after the broker has seen a request, or lets nothing through.
type proxy struct {
	t        testing.TB
	addr     string // where clients connect
	upstream string
	listener net.Listener
	wg       sync.WaitGroup
	done     chan struct{}

	mu      sync.Mutex
	conns   map[net.Conn]bool
	closed  bool
	blocked bool
	frozen  chan struct{} // closed: messages pass
	chance  float64       // that a message is the last of its connection
	rng     *rand.Rand
	cuts    int
	opened  int
	spoil   func(answer []byte) // changes what a broker answers
}

// newProxy starts one before the broker at upstream.
func newProxy(t testing.TB, upstream string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return startProxy(t, upstream, l)
}

// newTLSProxy starts one that speaks TLS, and returns how to speak to it.
func newTLSProxy(t testing.TB, upstream string) (*proxy, *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil) // for its certificate
	s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: s.TLS.Certificates})
	require.NoError(t, err)
	return startProxy(t, upstream, l), &tls.Config{RootCAs: roots}
}

func startProxy(t testing.TB, upstream string, l net.Listener) *proxy {
	px := &proxy{t: t, upstream: upstream, listener: l, conns: map[net.Conn]bool{}, frozen: closedChan(), done: make(chan struct{}), rng: rand.New(rand.NewPCG(1, 2))}
	px.addr = px.listener.Addr().String()
	px.wg.Go(px.accept)
	t.Cleanup(px.close)
	return px
}

func (px *proxy) close() {
	px.listener.Close()
	close(px.done)
	px.mu.Lock()
	px.closed = true
	px.cutAll()
	px.mu.Unlock()
	px.wg.Wait()
}

// block cuts every connection and refuses new ones.
func (px *proxy) block() {
	px.mu.Lock()
	defer px.mu.Unlock()
	px.blocked = true
	px.cutAll()
}

func (px *proxy) unblock() {
	px.mu.Lock()
	defer px.mu.Unlock()
	px.blocked = false
}

// freeze lets nothing through and says nothing, as a host that has lost its power; the
// function it returns ends that.
func (px *proxy) freeze() (thaw func()) {
	px.mu.Lock()
	defer px.mu.Unlock()
	ice := make(chan struct{})
	px.frozen = ice
	return func() { close(ice) }
}

// accepted is how many connections there have been.
func (px *proxy) accepted() int {
	px.mu.Lock()
	defer px.mu.Unlock()
	return px.opened
}

func closedChan() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// fail cuts a connection at each message with this chance, before or after it.
func (px *proxy) fail(chance float64) {
	px.mu.Lock()
	defer px.mu.Unlock()
	px.chance = chance
}

func (px *proxy) cutAll() {
	for c := range px.conns {
		c.Close()
	}
}

func (px *proxy) accept() {
	for {
		down, err := px.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", px.upstream)
		if err != nil {
			down.Close()
			continue
		}
		px.mu.Lock()
		if px.closed || px.blocked {
			px.mu.Unlock()
			down.Close()
			up.Close()
			continue
		}
		px.conns[down], px.conns[up] = true, true
		px.opened++
		px.mu.Unlock()
		px.wg.Go(func() { px.pass(up, down, nil) })
		px.wg.Go(func() { px.pass(down, up, px.rewrite) })
	}
}

// pass copies messages, each with its length before it, until the connection ends.
func (px *proxy) pass(to, from net.Conn, change func([]byte)) {
	defer px.forget(to, from)
	for {
		msg := make([]byte, 4)
		if _, err := io.ReadFull(from, msg); err != nil {
			return
		}
		msg = append(msg, make([]byte, binary.BigEndian.Uint32(msg))...)
		if _, err := io.ReadFull(from, msg[4:]); err != nil {
			return
		}
		px.mu.Lock()
		frozen := px.frozen
		px.mu.Unlock()
		select {
		case <-frozen:
		case <-px.done:
		}
		cutBefore, cutAfter := px.dice(), px.dice()
		if cutBefore {
			return
		}
		if change != nil {
			change(msg)
		}
		if _, err := to.Write(msg); err != nil || cutAfter {
			return
		}
	}
}

// rewrite makes the broker's answers name the proxy where they name the broker: in them a
// host is followed by its port.
func (px *proxy) rewrite(answer []byte) {
	host, port := split(px.t, px.upstream)
	_, own := split(px.t, px.addr)
	named := binary.BigEndian.AppendUint32([]byte(host), port)
	for rest := answer; ; {
		i := bytes.Index(rest, named)
		if i < 0 {
			break
		}
		rest = rest[i+len(named):]
		binary.BigEndian.PutUint32(answer[len(answer)-len(rest)-4:], own)
	}
	px.mu.Lock()
	defer px.mu.Unlock()
	if px.spoil != nil {
		px.spoil(answer)
	}
}

func split(t testing.TB, addr string) (host string, port uint32) {
	host, text, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	n, err := strconv.ParseUint(text, 10, 16)
	require.NoError(t, err)
	return host, uint32(n)
}

func (px *proxy) dice() bool {
	px.mu.Lock()
	defer px.mu.Unlock()
	cut := px.rng.Float64() < px.chance
	if cut {
		px.cuts++
	}
	return cut
}

func (px *proxy) forget(conns ...net.Conn) {
	px.mu.Lock()
	defer px.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(px.conns, c)
	}
}
