package broker

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// conn is one private connection to one broker. sarama's requests on it take no context
// and cannot be interrupted: Broker.Close itself waits for the pending one. So the socket
// is caught as it is dialled, below TLS, and cut ends whatever waits on it.
type conn struct {
	*sarama.Broker
	c       *Client
	cfg     sarama.Config
	life    context.Context
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	counted bool // in the client's conns
	closed  sync.Once

	mu     sync.Mutex
	stop   func() bool // no longer follow life
	socket net.Conn
	dead   bool
}

// newConn makes a connection that is cut when life ends. timeout bounds the wait for one
// answer. It must be opened, and closed.
func (c *Client) newConn(life context.Context, addr string, timeout time.Duration) *conn {
	cn := &conn{Broker: sarama.NewBroker(addr), c: c, cfg: *c.cfg, life: life}
	cn.cfg.Net.ReadTimeout = timeout
	cn.dial = c.dialer()
	cn.cfg.Net.Proxy.Enable = true
	cn.cfg.Net.Proxy.Dialer = cn
	c.mu.Lock()
	if c.ctx.Err() == nil { // else the client waits for nothing any more, and life has ended
		c.conns.Add(1)
		cn.counted = true
	}
	c.mu.Unlock()
	cn.mu.Lock()
	defer cn.mu.Unlock()
	cn.stop = context.AfterFunc(life, cn.close)
	return cn
}

// dialer is how the user's configuration opens a socket.
func (c *Client) dialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	n := &c.cfg.Net
	if !n.Proxy.Enable {
		d := &net.Dialer{Timeout: n.DialTimeout, KeepAlive: n.KeepAlive, LocalAddr: n.LocalAddr}
		return d.DialContext
	}
	if d, ok := n.Proxy.Dialer.(interface {
		DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	}); ok {
		return d.DialContext
	}
	return func(_ context.Context, network, addr string) (net.Conn, error) {
		return n.Proxy.Dialer.Dial(network, addr)
	}
}

// Dial is called by sarama, once, for the socket under the connection.
func (cn *conn) Dial(network, addr string) (net.Conn, error) {
	s, err := cn.dial(cn.life, network, addr)
	if err != nil {
		return nil, err
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.dead {
		s.Close()
		return nil, net.ErrClosed
	}
	cn.socket = s
	return s, nil
}

// open connects, negotiates the versions and authenticates.
func (cn *conn) open() error {
	err := cn.Open(&cn.cfg)
	if err == nil {
		var ok bool
		if ok, err = cn.Connected(); err == nil && !ok { // waits for what Open began
			err = sarama.ErrNotConnected
		}
	}
	if err != nil {
		cn.close()
		return fmt.Errorf("connect to %s: %w", cn.Addr(), err)
	}
	return nil
}

// cut makes everything that waits on the connection return with an error, at once.
func (cn *conn) cut() {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	cn.dead = true
	if cn.socket != nil {
		cn.socket.Close()
	}
}

// close ends the connection and its goroutine. It must not be called from a Produce
// callback, which runs on that goroutine, nor with a lock that such a callback takes.
func (cn *conn) close() {
	cn.closed.Do(func() {
		cn.cut()
		cn.mu.Lock()
		stop := cn.stop
		cn.mu.Unlock()
		stop()
		cn.Close()
		if cn.counted {
			cn.c.conns.Done()
		}
	})
}
