package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// The pauses before a question is asked again.
const (
	soonest = time.Millisecond // the answer is being prepared: a transaction ends, a coordinator loads
	soon    = 20 * time.Millisecond
	later   = 50 * time.Millisecond // something has to be elected or to come up
)

// link is a connection to whoever answers for something (any broker, a leader, a
// coordinator). It is looked up and opened when it is needed, and again after it broke or
// the role went to another. It is safe for concurrent use.
type link struct {
	c    *Client
	life context.Context
	find func(context.Context) (addr string, err error)
	wait time.Duration // for an answer
	sem  chan struct{} // guards conn; a channel, so that waiting for it can end
	conn *conn
}

func (c *Client) link(life context.Context, find func(context.Context) (string, error)) *link {
	return &link{c: c, life: life, find: find, wait: readTimeout, sem: make(chan struct{}, 1)}
}

// A question is one request that may be sent again when its answer was lost or says "not
// now". It returns the code that decides, or the error that kept it from being answered.
type question func(*sarama.Broker) (sarama.KError, error)

// ask sends q until it has a final answer: nil, the broker's refusal, or the reason why
// it gave up when ctx ended.
func (l *link) ask(ctx context.Context, q question) error {
	var last error
	pause := soonest
	for ctx.Err() == nil {
		code, err := l.once(ctx, q)
		switch {
		case err != nil && !reconnectable(err):
			return err
		case err != nil && last != nil && ctx.Err() != nil: // it says only that time was up
		case err != nil:
			last = err
			l.c.log.Debug("request failed, trying again", "error", err)
			sleep(ctx, later)
		case code == sarama.ErrNoError:
			return nil
		case isBusy(code):
			last = code
			sleep(ctx, pause)
			pause = min(2*pause, soon)
		case isMoved(code), isUnready(code):
			last = code
			sleep(ctx, later)
		default:
			return explain(code)
		}
	}
	if last == nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: last: %w", context.Cause(ctx), last)
}

// once sends q one time. A connection that failed, or whose broker is not the one to ask
// any more, is closed.
func (l *link) once(ctx context.Context, q question) (sarama.KError, error) {
	cn, err := l.open(ctx)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, cn.cut)
	code, err := q(cn.Broker)
	stop()
	if err != nil {
		err = fmt.Errorf("%s: %w", cn.Addr(), err)
	}
	if err != nil || isMoved(code) {
		l.drop(ctx, cn)
	}
	return code, err
}

func (l *link) open(ctx context.Context) (*conn, error) {
	select {
	case l.sem <- struct{}{}:
		defer func() { <-l.sem }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.conn != nil {
		return l.conn, nil
	}
	addr, err := l.find(ctx)
	if err != nil {
		return nil, err
	}
	cn := l.c.newConn(l.life, addr, l.wait)
	stop := context.AfterFunc(ctx, cn.cut)
	err = cn.open()
	stop()
	if err != nil {
		return nil, err
	}
	l.conn = cn
	return cn, nil
}

// drop closes cn, so that the next question opens another connection.
func (l *link) drop(ctx context.Context, cn *conn) {
	select {
	case l.sem <- struct{}{}:
		if l.conn == cn {
			l.conn = nil
		}
		<-l.sem
	case <-ctx.Done(): // the next question will find it broken
	}
	cn.close()
}

// close ends the connection. The link opens another when it is used again.
func (l *link) close() {
	l.sem <- struct{}{}
	cn := l.conn
	l.conn = nil
	<-l.sem
	if cn != nil {
		cn.close()
	}
}

// reconnectable reports whether a new connection may cure err.
func reconnectable(err error) bool {
	var encoding sarama.PacketEncodingError
	var config sarama.ConfigurationError
	var refusal sarama.KError // of the authentication, or of the search for the coordinator
	var certificate *tls.CertificateVerificationError
	return !errors.As(err, &encoding) && !errors.As(err, &config) && !errors.As(err, &refusal) && !errors.As(err, &certificate) &&
		!errors.Is(err, sarama.ErrSASLAuthenticationFailed) && !errors.Is(err, sarama.ErrUnsupportedSASLMechanism)
}
