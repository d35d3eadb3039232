//go:build unix

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/internal/broker"
	framework "github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/kafkatest"
	"github.com/seed-df18afd4/streams/topology"
)

const (
	user   = "alice"
	secret = "s3cr3t-of-alice"
)

// secured is a Kafka that demands TLS, and a password, a token or a certificate, and lets
// nobody do what is not allowed.
type secured struct {
	*kafka
	cluster *kafkatest.Cluster
	ca      *authority
}

func startSecured(t *testing.T) *secured {
	t.Helper()
	ca := newAuthority(t, "test CA")
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	broker := ca.issue(t, "broker")
	keys, trusted := filepath.Join(dir, "broker.pem"), filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(keys, append(pemKey(t, broker), pemCertificate(broker.Certificate[0])...), 0o644))
	require.NoError(t, os.WriteFile(trusted, pemCertificate(ca.der), 0o644))
	const sasl = "listener.name.sasl_ssl."
	cluster := kafkatest.Start(t, kafkatest.Options{Listeners: []string{"SASL_SSL", "SSL"}, Config: map[string]string{
		"ssl.keystore.type": "PEM", "ssl.keystore.location": keys, "ssl.truststore.type": "PEM", "ssl.truststore.location": trusted,
		"listener.name.ssl.ssl.client.auth":     "required",
		"ssl.principal.mapping.rules":           "RULE:^CN=(.*)$/$1/",
		sasl + "sasl.enabled.mechanisms":        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		sasl + "plain.sasl.jaas.config":         fmt.Sprintf("org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=%q;", user, secret),
		sasl + "scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		sasl + "scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		sasl + "oauthbearer.sasl.jaas.config":   `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
		"authorizer.class.name":                 "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                           "User:ANONYMOUS",
	}})
	s := &secured{kafka: connect(t, cluster.Addrs()), cluster: cluster, ca: ca}
	admin := s.admin()
	for _, m := range []sarama.ScramMechanismType{sarama.SCRAM_MECHANISM_SHA_256, sarama.SCRAM_MECHANISM_SHA_512} {
		results, err := admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{
			Name: user, Mechanism: m, Iterations: 4096, Salt: []byte("salt of the test"), Password: []byte(secret),
		}})
		require.NoError(t, err)
		require.Equal(t, sarama.ErrNoError, results[0].ErrorCode)
	}
	return s
}

func (k *kafka) admin() sarama.ClusterAdmin {
	k.t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(k.client)
	require.NoError(k.t, err)
	return admin
}

// config is that of an application that proves who it is in some way.
func (s *secured) config(t *testing.T, name string, way func(c *sarama.Config)) streams.Config {
	c := config(t, s.kafka, name)
	c.ApplicationID = "app-" + name
	c.Brokers = s.cluster.ListenerAddrs(0)
	c.Sarama = sarama.NewConfig()
	c.Sarama.Net.TLS.Enable = true
	c.Sarama.Net.TLS.Config = &tls.Config{RootCAs: s.ca.pool()}
	way(c.Sarama)
	if len(c.Sarama.Net.TLS.Config.Certificates) > 0 {
		c.Brokers = s.cluster.ListenerAddrs(1)
	}
	return c
}

func password(m sarama.SASLMechanism, password string) func(c *sarama.Config) {
	return func(c *sarama.Config) {
		c.Net.SASL.Enable, c.Net.SASL.Mechanism, c.Net.SASL.User, c.Net.SASL.Password = true, m, user, password
	}
}

// token is an OAuth token without a signature, which Kafka takes for tests.
type token string

func (t token) Token() (*sarama.AccessToken, error) {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d,"note":%q}`, user, now, now+3600, secret)
	return &sarama.AccessToken{Token: part(`{"alg":"none"}`) + "." + part(claims) + "." + string(t)}, nil
}

func bearer(t token) func(c *sarama.Config) {
	return func(c *sarama.Config) {
		c.Net.SASL.Enable, c.Net.SASL.Mechanism, c.Net.SASL.TokenProvider = true, sarama.SASLTypeOAuth, t
	}
}

func (s *secured) certificate(t *testing.T, by *authority) func(c *sarama.Config) {
	return func(c *sarama.Config) { c.Net.TLS.Config.Certificates = []tls.Certificate{by.issue(t, user)} }
}

// grant is one thing that a user may do.
type grant struct {
	kind      sarama.AclResourceType
	resource  string
	prefix    bool
	operation sarama.AclOperation
}

// grants are the least that an application needs, as docs/security.md lists them. Its
// topics are named by another prefix than those that it makes.
func grants(app, topics string) []grant {
	return []grant{
		{sarama.AclResourceTopic, topics + "-lines", false, sarama.AclOperationRead},
		{sarama.AclResourceTopic, topics + "-totals", false, sarama.AclOperationWrite},
		{sarama.AclResourceGroup, app, false, sarama.AclOperationRead},
		{sarama.AclResourceTransactionalID, app + "-", true, sarama.AclOperationWrite},
		{sarama.AclResourceTopic, app + "-", true, sarama.AclOperationCreate},
		{sarama.AclResourceTopic, app + "-", true, sarama.AclOperationRead},
		{sarama.AclResourceTopic, app + "-", true, sarama.AclOperationWrite},
		{sarama.AclResourceTopic, app + "-", true, sarama.AclOperationDelete},
		{sarama.AclResourceTopic, app + "-", true, sarama.AclOperationDescribeConfigs},
	}
}

// says is how an error names the operation.
func (g grant) says() string {
	if g.kind == sarama.AclResourceTopic && !g.prefix { // topics of others are looked up before they are used
		return "Read or Write"
	}
	return g.operation.String() + " on "
}

func (s *secured) allow(gs ...grant) {
	s.t.Helper()
	admin := s.admin()
	for _, g := range gs {
		pattern := sarama.AclPatternLiteral
		if g.prefix {
			pattern = sarama.AclPatternPrefixed
		}
		require.NoError(s.t, admin.CreateACLs([]*sarama.ResourceAcls{{
			Resource: sarama.Resource{ResourceType: g.kind, ResourceName: g.resource, ResourcePatternType: pattern},
			Acls:     []*sarama.Acl{{Principal: "User:" + user, Host: "*", Operation: g.operation, PermissionType: sarama.AclPermissionAllow}},
		}}))
		await(s.t, patience, func() bool { // the broker takes them over a moment later
			known, err := admin.ListAcls(sarama.AclFilter{
				Version: 1, ResourceType: g.kind, ResourceName: &g.resource, ResourcePatternTypeFilter: pattern,
				Operation: g.operation, PermissionType: sarama.AclPermissionAllow,
			})
			require.NoError(s.t, err)
			return len(known) > 0
		}, "%v may be done", g)
	}
}

func TestSecurity(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	ways := map[string]struct {
		right, wrong func(c *sarama.Config)
		says         []string
	}{
		"certificate":   {s.certificate(t, s.ca), s.certificate(t, newAuthority(t, "another CA")), []string{"TLS"}},
		"PLAIN":         {password(sarama.SASLTypePlaintext, secret), password(sarama.SASLTypePlaintext, secret+"!"), []string{"SASL", "Authentication failed"}},
		"SCRAM-SHA-256": {password(sarama.SASLTypeSCRAMSHA256, secret), password(sarama.SASLTypeSCRAMSHA256, secret+"!"), []string{"SASL", "Authentication failed"}},
		"SCRAM-SHA-512": {password(sarama.SASLTypeSCRAMSHA512, secret), password(sarama.SASLTypeSCRAMSHA512, secret+"!"), []string{"SASL", "Authentication failed"}},
		"OAUTHBEARER":   {bearer(""), bearer("forged"), []string{"SASL"}},
	}
	for way, w := range ways {
		t.Run(way, func(t *testing.T) {
			name := kafkatest.Topic(t)
			var log logBuffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			k := connect(t, s.addrs)
			c := newCounter(k, name)
			s.allow(grants("app-"+name, name)...)

			settings := s.config(t, name, w.wrong)
			settings.Logger = logger
			begun := time.Now()
			_, err := streams.New(counting(t, name, nil), settings)
			requireSays(t, err, w.says...)
			require.Less(t, time.Since(begun), soon)
			requireNoSecret(t, err.Error(), fmt.Sprint(settings), fmt.Sprintf("%+v", settings), log.String())

			settings = s.config(t, name, w.right)
			settings.Logger = logger
			a := run(t, counting(t, name, nil), settings)
			c.count(vocabulary, 1)
			a.stop()
			requireNoSecret(t, log.String())
		})
	}
	t.Run("unknown authority", func(t *testing.T) {
		settings := s.config(t, "app", password(sarama.SASLTypePlaintext, secret))
		settings.Sarama.Net.TLS.Config.RootCAs = newAuthority(t, "another CA").pool()
		_, err := streams.New(counting(t, "app", nil), settings)
		requireSays(t, err, "certificate signed by unknown authority", "TLS")
		requireNoSecret(t, err.Error())
	})
	t.Run("no TLS", func(t *testing.T) {
		settings := s.config(t, "app", password(sarama.SASLTypePlaintext, secret))
		settings.Sarama.Net.TLS.Enable = false
		_, err := streams.New(counting(t, "app", nil), settings)
		requireSays(t, err, "check the addresses", "TLS and SASL settings")
		requireNoSecret(t, err.Error())
	})
}

func requireNoSecret(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		require.NotContains(t, text, secret)
		require.NotContains(t, text, base64.RawURLEncoding.EncodeToString([]byte(secret)))
	}
}

// An application with just what docs/security.md lists works, as TestSecurity shows. Without
// any one of these, it says which is missing.
func TestMissingACLs(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	const app = "app"
	for _, guarantee := range []streams.Guarantee{streams.ExactlyOnce, streams.AtLeastOnce} {
		for i, g := range grants(app, "in") {
			if guarantee == streams.AtLeastOnce && g.kind == sarama.AclResourceTransactionalID {
				continue
			}
			t.Run(fmt.Sprintf("%v without %v %s", guarantee, &g.operation, g.resource), func(t *testing.T) {
				name := kafkatest.Topic(t)
				app := "app-" + name
				k := connect(t, s.addrs)
				k.create(nil, 2, name+"-lines", name+"-totals")
				if g.operation == sarama.AclOperationDescribeConfigs { // it looks at topics that exist
					k.create(map[string]string{"cleanup.policy": "delete"}, 2, app+"-words-repartition")
				}
				all := grants(app, name)
				missing := all[i]
				s.allow(slices.Delete(all, i, i+1)...)
				k.send(name+"-lines", "some words")
				settings := s.config(t, name, password(sarama.SASLTypePlaintext, secret))
				settings.ApplicationID, settings.Guarantee = app, guarantee
				err := s.runWithout(t, counting(t, name, nil), settings, missing)
				requireSays(t, err, "allow this user "+missing.says(), missing.resource)
				requireNoSecret(t, err.Error())
			})
		}
	}
}

// runWithout runs an application until it says what is missing.
func (s *secured) runWithout(t *testing.T, topo *topology.Topology, c streams.Config, missing grant) error {
	app, err := streams.New(topo, c)
	if err != nil {
		return err
	}
	if missing.operation == sarama.AclOperationDelete { // that is tried from time to time, and only logged
		client, err := broker.Dial(t.Context(), broker.Options{Brokers: c.Brokers, ClientID: c.ApplicationID, Sarama: c.Sarama})
		require.NoError(t, err)
		defer client.Close()
		topic := c.ApplicationID + "-words-repartition"
		s.create(nil, 1, topic)
		return client.DeleteRecords(t.Context(), map[framework.Partition]int64{{Topic: topic}: 0})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return app.Run(ctx)
}

// authority issues certificates.
type authority struct {
	der         []byte
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{der, certificate, key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, key.Public(), a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func pemCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func pemKey(t *testing.T, c tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
