// Package badnet is a network between Kafka and its clients that fails when a test wants
// it to.
package badnet

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy stands between clients and one broker: it cuts connections, before or after the
// broker has seen a request, delays and throttles what passes, or lets nothing through.
type Proxy struct {
	addr     string // where clients connect
	upstream string
	names    []name
	listener net.Listener
	wg       sync.WaitGroup
	done     chan struct{}

	mu       sync.Mutex
	conns    map[*link]bool
	closed   bool
	blocked  bool
	frozen   chan struct{} // closed: messages pass
	chance   float64       // that a message is the last of its connection
	delay    time.Duration // of each message, each way
	rate     int           // bytes in a second, of one connection one way; 0: no limit
	rng      *rand.Rand
	cuts     int
	opened   int
	requests map[int16]int       // by Kafka's number of their kind
	asked    int64               // bytes of them
	spoil    func(answer []byte) // changes what a broker answers
}

// name is how brokers call one of themselves, and the port that clients are told instead.
type name struct {
	hostPort []byte
	port     uint32
}

// link is one connection of a client, and the one to the broker that belongs to it.
type link struct {
	down, up net.Conn
	half     atomic.Bool // what the broker says gets lost
}

func (l *link) cut() {
	l.down.Close()
	l.up.Close()
}

// Before puts a proxy before each of a cluster's brokers. Clients that know the proxies'
// addresses meet the brokers through them alone: answers name the proxies.
func Before(t testing.TB, brokers ...string) []*Proxy {
	t.Helper()
	var listeners []net.Listener
	for range brokers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		listeners = append(listeners, l)
	}
	return start(t, brokers, listeners)
}

// BeforeTLS puts a proxy that speaks TLS before a broker that does not, and returns how to
// speak to it.
func BeforeTLS(t testing.TB, broker string) (*Proxy, *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil) // for its certificate
	s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: s.TLS.Certificates})
	require.NoError(t, err)
	return start(t, []string{broker}, []net.Listener{l})[0], &tls.Config{RootCAs: roots}
}

// Addrs are the addresses of proxies.
func Addrs(proxies []*Proxy) (addrs []string) {
	for _, p := range proxies {
		addrs = append(addrs, p.addr)
	}
	return addrs
}

func start(t testing.TB, brokers []string, listeners []net.Listener) (proxies []*Proxy) {
	var names []name
	for i, b := range brokers {
		host, port := split(t, b)
		_, own := split(t, listeners[i].Addr().String())
		names = append(names, name{binary.BigEndian.AppendUint32([]byte(host), port), own})
	}
	for i, b := range brokers {
		p := &Proxy{
			addr: listeners[i].Addr().String(), upstream: b, names: names, listener: listeners[i], done: make(chan struct{}),
			conns: map[*link]bool{}, frozen: closedChan(), rng: rand.New(rand.NewPCG(1, 2)), requests: map[int16]int{},
		}
		p.wg.Go(p.accept)
		t.Cleanup(p.close)
		proxies = append(proxies, p)
	}
	return proxies
}

func (p *Proxy) close() {
	p.listener.Close()
	close(p.done)
	p.mu.Lock()
	p.closed = true
	p.cutAll()
	p.mu.Unlock()
	p.wg.Wait()
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.addr }

// Block cuts every connection and refuses new ones.
func (p *Proxy) Block() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = true
	p.cutAll()
}

// Unblock ends Block.
func (p *Proxy) Unblock() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = false
}

// Cut cuts every connection. New ones are let through.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAll()
}

// HalfClose ends every connection one way: clients read its end, and what they write still
// reaches the broker.
func (p *Proxy) HalfClose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.conns {
		l.half.Store(true)
		if c, ok := l.down.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite() // an error means that it is closed already
		}
	}
}

// Freeze lets nothing through and says nothing, as a host that has lost its power; the
// function it returns ends that.
func (p *Proxy) Freeze() (thaw func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ice := make(chan struct{})
	p.frozen = ice
	return sync.OnceFunc(func() { close(ice) })
}

// Slow has every message come so much later, each way, and lets only so many bytes a second
// pass through a connection, each way. Zeros end it.
func (p *Proxy) Slow(delay time.Duration, rate int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.rate = delay, rate
}

// Fail cuts a connection at each message with this chance, before or after it.
func (p *Proxy) Fail(chance float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chance = chance
}

// Spoil has f change what the broker answers; nil ends it.
func (p *Proxy) Spoil(f func(answer []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = f
}

// Accepted is how many connections there have been.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened
}

// Cuts is how many connections Fail has cut.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Requests is how many requests have passed, by Kafka's number of their kind.
func (p *Proxy) Requests() map[int16]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.requests)
}

// Bytes is how large all requests were that have passed.
func (p *Proxy) Bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func closedChan() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func (p *Proxy) cutAll() {
	for l := range p.conns {
		l.cut()
	}
}

func (p *Proxy) accept() {
	for {
		down, err := p.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", p.upstream)
		if err != nil {
			down.Close()
			continue
		}
		l := &link{down: down, up: up}
		p.mu.Lock()
		if p.closed || p.blocked {
			p.mu.Unlock()
			l.cut()
			continue
		}
		p.conns[l] = true
		p.opened++
		p.mu.Unlock()
		p.pass(l, up, down, p.count)
		p.pass(l, down, up, p.rewrite)
	}
}

// message is one on its way.
type message struct {
	bytes []byte
	at    time.Time // when it may arrive
}

// pass copies messages one way, each with its length before it, until the connection ends.
func (p *Proxy) pass(l *link, to, from net.Conn, look func([]byte)) {
	way := make(chan message, 1000)
	p.wg.Go(func() {
		defer close(way)
		for {
			msg, err := read(from)
			if err != nil {
				return
			}
			select {
			case way <- message{msg, time.Now().Add(p.arrival(len(msg)))}:
			case <-p.done:
				return
			}
		}
	})
	p.wg.Go(func() {
		defer func() {
			p.forget(l)
			for range way { // the reader may wait to hand one over
			}
		}()
		for m := range way {
			if to == l.down && l.half.Load() {
				continue
			}
			if !p.deliver(to, m, look) && !l.half.Load() {
				return
			}
		}
	})
}

// arrival is how long a message takes.
func (p *Proxy) arrival(size int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.delay
	if p.rate > 0 {
		d += time.Duration(size) * time.Second / time.Duration(p.rate)
	}
	return d
}

func read(from io.Reader) ([]byte, error) {
	msg := make([]byte, 4)
	if _, err := io.ReadFull(from, msg); err != nil {
		return nil, err
	}
	msg = append(msg, make([]byte, binary.BigEndian.Uint32(msg))...)
	_, err := io.ReadFull(from, msg[4:])
	return msg, err
}

// deliver hands one message on; false: it was the last.
func (p *Proxy) deliver(to io.Writer, m message, look func([]byte)) bool {
	if wait := time.Until(m.at); wait > 0 {
		select {
		case <-time.After(wait):
		case <-p.done:
			return false
		}
	}
	p.mu.Lock()
	frozen := p.frozen
	p.mu.Unlock()
	select {
	case <-frozen:
	case <-p.done:
	}
	cutBefore, cutAfter := p.dice(), p.dice()
	if cutBefore {
		return false
	}
	look(m.bytes)
	_, err := to.Write(m.bytes)
	return err == nil && !cutAfter
}

// count counts a request.
func (p *Proxy) count(request []byte) {
	if len(request) < 6 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked += int64(len(request))
	p.requests[int16(binary.BigEndian.Uint16(request[4:]))]++
}

// rewrite makes the broker's answers name proxies where they name brokers: in them a host
// is followed by its port.
func (p *Proxy) rewrite(answer []byte) {
	for _, n := range p.names {
		for rest := answer; ; {
			i := bytes.Index(rest, n.hostPort)
			if i < 0 {
				break
			}
			rest = rest[i+len(n.hostPort):]
			binary.BigEndian.PutUint32(answer[len(answer)-len(rest)-4:], n.port)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spoil != nil {
		p.spoil(answer)
	}
}

func split(t testing.TB, addr string) (host string, port uint32) {
	host, text, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	n, err := strconv.ParseUint(text, 10, 16)
	require.NoError(t, err)
	return host, uint32(n)
}

func (p *Proxy) dice() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut := p.rng.Float64() < p.chance
	if cut {
		p.cuts++
	}
	return cut
}

func (p *Proxy) forget(l *link) {
	l.cut()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, l)
}
