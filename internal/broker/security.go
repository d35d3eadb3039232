package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/IBM/sarama"
)

// Security says how connections are protected, for programs that are told it in words. The
// zero value is neither encrypted nor authenticated.
type Security struct {
	TLS       bool
	CA        string // PEM file of the authorities to trust; empty: the system's
	Cert, Key string // PEM files of the client; empty: none
	Insecure  bool   // trust any certificate

	Mechanism      string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty: no authentication
	User, Password string
}

// Config is sarama's configuration of these connections.
func (s Security) Config() (*sarama.Config, error) {
	c := sarama.NewConfig()
	if s.TLS {
		conf, err := s.tls()
		if err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		c.Net.TLS.Enable, c.Net.TLS.Config = true, conf
	}
	if s.Mechanism == "" {
		if s.User != "" || s.Password != "" {
			return nil, fmt.Errorf("SASL: a user or a password without a mechanism: choose PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return c, nil
	}
	c.Net.SASL.Enable, c.Net.SASL.User, c.Net.SASL.Password = true, s.User, s.Password
	c.Net.SASL.Mechanism = sarama.SASLMechanism(s.Mechanism)
	switch s.Mechanism {
	case sarama.SASLTypePlaintext, sarama.SASLTypeSCRAMSHA256, sarama.SASLTypeSCRAMSHA512:
	default:
		return nil, fmt.Errorf("SASL: mechanism %q: it is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
	}
	if s.User == "" {
		return nil, fmt.Errorf("SASL: mechanism %s needs a user", s.Mechanism)
	}
	return c, nil
}

func (s Security) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.Insecure}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", s.CA)
		}
	}
	if s.Cert == "" && s.Key == "" {
		return conf, nil
	}
	pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, fmt.Errorf("the client's certificate and key: %w", err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}
