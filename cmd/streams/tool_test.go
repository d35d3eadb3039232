package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/seed-df18afd4/streams"
	"github.com/seed-df18afd4/streams/aggregate"
	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/state"
	"github.com/seed-df18afd4/streams/topology"
)

// alone runs the tool without a Kafka.
func alone(t *testing.T, args ...string) (code int, out, messages string) {
	t.Helper()
	var o, m bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &m)
	return code, o.String(), m.String()
}

func TestExitCodes(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"help", exitOK, ""},
		{"completion bash", exitOK, ""},
		{"nonsense", exitUsage, "unknown command"},
		{"lag", exitUsage, "accepts 1 arg(s), received 0"},
		{"lag a b", exitUsage, "accepts 1 arg(s)"},
		{"lag a --nonsense", exitUsage, "unknown flag: --nonsense"},
		{"lag a --interval 0s", exitUsage, "must be above zero"},
		{"lag a --watch --max-records 1", exitUsage, "[watch max-records]"},
		{"lag a --watch --max-age 1s", exitUsage, "[watch max-age]"},
		{"lag a --max-age -1s", exitUsage, "cannot be negative"},
		{"tail a --from earliest --lines 3", exitUsage, "[from lines]"},
		{"tail a --lines -1", exitUsage, "cannot be negative"},
		{"tail a --from yesterday", exitUsage, "is no place to begin"},
		{"tail a --key-serde avro", exitUsage, `there is no serde "avro"`},
		{"state a b", exitUsage, "accepts between 3 and 4 arg(s)"},
		{"state a b list", exitUsage, "it is get, scan, count, size, export"},
		{"state a b get", exitUsage, "get takes a key"},
		{"state a b count --prefix x", exitUsage, "--prefix is for scan"},
		{"state a b get k --limit 1", exitUsage, "--limit is for scan"},
		{"state a b scan --since yesterday", exitUsage, `"yesterday" is no time`},
		{"state a b scan --limit -1", exitUsage, "cannot be negative"},
		{"state a b size --output f", exitUsage, "--output is for rows"},
		{"dlq list a --limit -1", exitUsage, "cannot be negative"},
		{"dlq retry a", exitUsage, "name letters, or say --all"},
		{"dlq show a 0-1", exitUsage, "names no letter"},
		{"dlq drop a --all --resent", exitUsage, "name letters, or say --resent, or --all"},
		{"verify a --sample 0", exitUsage, "must be above zero"},
		{"reset a --to-earliest --to-latest", exitUsage, "--to-earliest and --to-latest: name one of them"},
		{"reset a --to-time Monday", exitUsage, "it is a time such as"},
		{"reset a --by 2h", exitUsage, "in the future"},
		{"reset a --by soon", exitUsage, "it is a time such as -2h"},
		{"reset a --from-file testdata/none.csv", exitUsage, "none.csv"},
		{"reset a --to-latest --execute --undo", exitUsage, "name one of them"},
		{"topology a --format png", exitUsage, "it is text, mermaid, dot or svg"},
		{"topology testdata/lag.json", exitFailed, "is no description of a topology"},
		{"lag a --brokers 127.0.0.1:1", exitFailed, "connect to 127.0.0.1:1"},
		{"lag a --sasl-mechanism GSSAPI --sasl-user u", exitUsage, "it is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
		{"lag a --sasl-user u", exitUsage, "without a mechanism"},
		{"lag a --tls-ca nowhere.pem", exitUsage, "nowhere.pem"},
		{"state a b count --state-dir nowhere", exitFailed, "there is no state in nowhere/a"},
		{"demo --payments -1", exitUsage, "cannot be negative"},
	} {
		code, _, messages := alone(t, strings.Fields(c.args)...)
		require.Equal(t, c.code, code, "%s: %s", c.args, messages)
		require.Contains(t, messages, c.says, c.args)
	}
}

// The codes are those that operations.md and the tool's help list, and no others.
func TestExitCodesAreDocumented(t *testing.T) {
	operations, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(operations), "| exit code |")
	lines, _, _ := strings.Cut(rest, "\n\n")
	_, help, _ := alone(t, "help")
	_, text, _ := strings.Cut(help, "Exit codes:")
	text, _, _ = strings.Cut(text, ".")
	for _, listed := range [][][]string{
		regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(lines, -1),
		regexp.MustCompile(`\b(\d+) `).FindAllStringSubmatch(text, -1),
	} {
		var codes []string
		for _, m := range listed {
			codes = append(codes, m[1])
		}
		require.Equal(t, []string{strconv.Itoa(exitOK), strconv.Itoa(exitNo), strconv.Itoa(exitUsage), strconv.Itoa(exitFailed), strconv.Itoa(exitInterrupted)}, codes)
	}
}

func TestExitCodesWithKafka(t *testing.T) {
	s := embeddedSite(t)
	for args, says := range map[string]string{
		"lag nobody":              "no application of this id has left a description",
		"verify nobody":           "no application of this id has left a description",
		"tail nothing":            `there is no topic "nothing"`,
		"dlq list nothing":        `there is no topic "nothing"`,
		"topology nobody":         "no application of this id has left a description",
		"state nobody b count":    "no application of this id has left a description",
		"topology diff nobody no": "no application of this id has left a description",
	} {
		code, _, messages := s.tool(strings.Fields(args)...)
		require.Equal(t, exitFailed, code, args)
		require.Contains(t, messages, says, args)
	}
	require.Equal(t, "no application has described itself in this cluster\n", s.ok("list"))
	require.Equal(t, "[]\n", s.ok("list", "--json"))

	s.process(streams.AtLeastOnce)
	s.write(payments.Name, "late", "{}", time.Now().Add(-time.Hour))
	code, out, messages := s.tool("lag", "orders", "--max-records", "0")
	require.Equal(t, exitNo, code)
	require.Contains(t, out, "1 records behind, the oldest is 1h0m")
	require.Contains(t, messages, "is 1 records behind in payments/")
	code, _, messages = s.tool("lag", "orders", "--max-age", "30m")
	require.Equal(t, exitNo, code)
	require.Contains(t, messages, "has not processed a record of payments/")
	s.ok("lag", "orders", "--max-age", "2h", "--max-records", "1")
	code, _, messages = s.tool("state", "orders", "nothing", "count")
	require.Equal(t, exitFailed, code)
	require.Contains(t, messages, `application orders has no store "nothing"; it has names, limits, totals, hours, visits`)
}

func TestList(t *testing.T) {
	s := embeddedSite(t)
	stop := s.start(streams.ExactlyOnce)
	var all []listed
	s.await(func() bool {
		require.NoError(s.t, json.Unmarshal([]byte(s.ok("list", "--json")), &all))
		return len(all) == 1 && len(all[0].Instances) == 1 && all[0].Tasks > 0
	}, "the instance says that it runs")
	require.Equal(s.t, "orders", all[0].Application)
	require.Equal(s.t, 4, all[0].Tasks)
	require.Equal(s.t, 5, all[0].Stores)
	require.True(s.t, all[0].Instances[0].Alive)
	require.Equal(s.t, os.Getpid(), all[0].Instances[0].PID)
	require.Contains(s.t, s.ok("list", "orders"), "running")
	stop()
	require.NoError(s.t, json.Unmarshal([]byte(s.ok("list", "--json")), &all))
	require.Empty(s.t, all[0].Instances)
}

// On disk there is what Kafka has, without a Kafka.
func TestStateOnDisk(t *testing.T) {
	eachSite(t, func(s *site) {
		s.process(streams.ExactlyOnce)
		for _, c := range []struct{ golden, args string }{
			{"state-scan-key-value.txt", "state orders totals scan --value-serde int64"},
			{"state-get.txt", "state orders totals get bob --value-serde int64"},
			{"state-get-windows.txt", "state orders hours get ann --value-serde int64"},
			{"state-get-versions.txt", "state orders names get ann"},
			{"state-scan-sessions.txt", "state orders visits scan --limit 4 --value-serde int64"},
			{"state-scan-source.txt", "state orders limits scan --value-serde int64"},
			{"state-export.json", "state orders names export"},
			{"state-count.txt", "state orders hours count"},
		} {
			code, out, messages := alone(s.t, append(strings.Fields(c.args), "--state-dir", s.state)...)
			require.Equal(s.t, exitOK, code, "%s: %s", c.args, messages)
			golden(s.t, c.golden, out)
		}
		for name, serde := range map[string]string{"names": "string", "limits": "int64", "totals": "int64", "hours": "int64", "visits": "int64"} {
			for _, action := range []string{"get ann", "get bob", "get nobody", "scan", "scan --limit 3", "scan --from b --to c", "scan --json", "count", "export"} {
				args := append([]string{"state", "orders", name}, strings.Fields(action)...)
				code, there, _ := s.tool(args...)
				here, out, messages := alone(s.t, append(args, "--state-dir", s.state, "--value-serde", serde)...)
				require.Equal(s.t, code, here, "%v: %s", args, messages)
				require.Equal(s.t, there, out, "%v: on disk, and as the changelog has it", args)
			}
		}
		code, out, _ := alone(s.t, "state", "orders", "totals", "size", "--state-dir", s.state)
		require.Equal(s.t, exitOK, code)
		require.Contains(s.t, out, "ON DISK")
		code, _, messages := alone(s.t, "state", "orders", "nothing", "count", "--state-dir", s.state)
		require.Equal(s.t, exitFailed, code)
		require.Contains(s.t, messages, `has no store "nothing"; it has hours, limits, names, totals, visits`)
	})
}

// What an instance uses is not looked at behind its back.
func TestStateOnDiskInUse(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	stop := s.start(streams.AtLeastOnce)
	defer stop()
	code, _, messages := alone(t, "state", "orders", "totals", "count", "--state-dir", s.state)
	require.Equal(t, exitFailed, code)
	require.Contains(t, messages, "is locked")
}

func TestExportToFile(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	file := filepath.Join(t.TempDir(), "names.json")
	code, out, messages := s.tool("state", "orders", "names", "export", "-o", file)
	require.Equal(t, exitOK, code)
	require.Empty(t, out)
	require.Contains(t, messages, "4 rows in "+file)
	rows, err := os.ReadFile(file)
	require.NoError(t, err)
	golden(t, "state-export.json", string(rows))
}

var counting = aggregate.Aggregator[payment, string]{Init: func() string { return "" }, Add: func(a string, p payment) string { return a + p.Account }}

// other is the next version of the application: it has lost the store totals and the
// repartition topic, and counts hours in another way.
func other(b *topology.Builder) {
	paid := kstream.From(b, payments)
	days := state.Store[string, string]{Name: "names", Key: serde.String, Value: serde.String, History: 24 * time.Hour}
	kstream.Aggregate(kstream.GroupByKey(paid), counting, state.Store[string, string]{Name: "hours", Key: serde.String, Value: serde.String})
	kstream.ToTable(kstream.From(b, accounts), days)
}

// What is drawn of an application that nobody has the program of is what the program draws.
func TestTopology(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	topo := build(t, describe)
	saved := filepath.Join(t.TempDir(), "saved.json")
	require.NoError(t, os.WriteFile(saved, []byte(s.ok("topology", "orders", "--json")), 0o600))
	for format, want := range map[string]string{"text": topo.Describe(), "mermaid": topo.Mermaid(), "dot": topo.DOT(), "svg": topo.SVG()} {
		require.Equal(t, want, s.ok("topology", "orders", "--format", format))
		require.Equal(t, want, s.ok("topology", saved, "--format", format))
	}
	code, out, _ := s.answer(s.ok("topology", "orders", "--json"), "topology", "-")
	require.Equal(t, exitOK, code)
	require.Equal(t, topo.Describe(), out)
}

func TestTopologyDiff(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	dir := t.TempDir()
	write := func(name string, topo *topology.Topology) string {
		text, err := json.Marshal(topo)
		require.NoError(t, err)
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, text, 0o600))
		return file
	}
	same, changed := write("same.json", build(t, describe)), write("changed.json", build(t, other))
	require.Equal(t, "no difference\n", s.ok("topology", "diff", "orders", same))
	saved := filepath.Join(dir, "saved.json")
	require.NoError(t, os.WriteFile(saved, []byte(s.ok("topology", "orders", "--json")), 0o600))
	require.Equal(t, "no difference\n", s.ok("topology", "diff", saved, same))

	code, out, _ := s.tool("topology", "diff", "orders", changed)
	require.Equal(t, exitNo, code)
	golden(t, "diff.txt", out)
	code, out, _ = s.tool("topology", "diff", "orders", changed, "--json")
	require.Equal(t, exitNo, code)
	golden(t, "diff.json", out)
}

// The connection is set by flags, else by the environment, else by the file.
func TestSettings(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "tool", "secret"), kfake.Superuser("SCRAM-SHA-256", "tool", "secret"), kfake.Superuser("PLAIN", "tool", "plain"))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	broker := c.ListenAddrs()[0]
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)

	code, _, _ := alone(t, "list", "-b", broker, "--sasl-mechanism", "PLAIN", "--sasl-user", "tool", "--sasl-password", "plain")
	require.Equal(t, exitOK, code)
	code, _, messages := alone(t, "list", "-b", broker, "--sasl-mechanism", "PLAIN", "--sasl-user", "tool", "--sasl-password", "wrong")
	require.Equal(t, exitFailed, code)
	require.Contains(t, messages, "SASL")

	t.Setenv("STREAMS_SASL_MECHANISM", "SCRAM-SHA-512")
	t.Setenv("STREAMS_SASL_PASSWORD", "secret")
	code, _, _ = alone(t, "list", "-b", broker, "--sasl-user", "tool")
	require.Equal(t, exitOK, code)
	code, _, _ = alone(t, "list", "-b", broker, "--sasl-user", "tool", "--sasl-mechanism", "SCRAM-SHA-256")
	require.Equal(t, exitOK, code, "a flag goes before the environment")

	require.NoError(t, os.MkdirAll(filepath.Join(home, "streams"), 0o700))
	file := filepath.Join(home, "streams", "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("brokers:\n  - 127.0.0.1:1\n  - "+broker+"\nsasl-user: tool\nsasl-password: wrong\n"), 0o600))
	code, _, messages = alone(t, "list")
	require.Equal(t, exitOK, code, "the environment goes before the file: %s", messages)

	require.NoError(t, os.WriteFile(file, []byte("broker: x\n"), 0o600))
	code, _, messages = alone(t, "list")
	require.Equal(t, exitUsage, code)
	require.Contains(t, messages, `there is no setting "broker"`)
	code, _, messages = alone(t, "list", "--config", filepath.Join(home, "nothing.yaml"))
	require.Equal(t, exitUsage, code)
	require.Contains(t, messages, "nothing.yaml")
}

func TestDemo(t *testing.T) {
	code, out, messages := alone(t, "demo", "--payments", "200")
	require.Equal(t, exitOK, code, messages)
	require.Contains(t, out, "payments=200 ")
	require.Contains(t, messages, "streams lag lunch-abroad --watch")
}

func TestDemoAsJSON(t *testing.T) {
	code, out, messages := alone(t, "demo", "--payments", "200", "--json")
	require.Equal(t, exitOK, code, messages)
	all := strings.Split(strings.TrimSpace(out), "\n")
	for _, line := range all {
		require.True(t, json.Valid([]byte(line)), line)
	}
	require.Contains(t, all[0], `{"printed":"`)
	var c demoCounts
	require.NoError(t, json.Unmarshal([]byte(all[len(all)-1]), &c))
	require.EqualValues(t, 200, c.Payments)
	require.Equal(t, c.Abroad, c.Texts)
	require.Positive(t, c.Texts)
}

// certificate makes a certificate of the loopback address and of a client, signed by itself,
// and writes it and its key.
func certificate(t *testing.T) (pair tls.Certificate, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, b []byte) string {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600))
		return file
	}
	cert, key = write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
	pair, err = tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	return pair, cert, key
}

func TestTLS(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	pair, cert, key := certificate(t)
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(cert)
	require.NoError(t, err)
	require.True(t, roots.AppendCertsFromPEM(pem))
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	list := []string{"list", "-b", c.ListenAddrs()[0]}
	code, _, messages := alone(t, append(list, "--tls-ca", cert, "--tls-cert", cert, "--tls-key", key)...)
	require.Equal(t, exitOK, code, messages)
	code, _, messages = alone(t, append(list, "--tls-insecure", "--tls", "--tls-cert", cert, "--tls-key", key)...)
	require.Equal(t, exitOK, code, messages)
	code, _, messages = alone(t, append(list, "--tls", "--tls-cert", cert, "--tls-key", key)...)
	require.Equal(t, exitFailed, code)
	require.Contains(t, messages, "certificate")
	code, _, _ = alone(t, append(list, "--tls-ca", cert)...)
	require.Equal(t, exitFailed, code, "the broker wants a certificate of the client")
}

// until runs the tool until what it prints has a text, and interrupts it then. When it has
// printed some lines, something is done first.
func (s *site) until(text string, lines int, do func(), args ...string) (code int, out string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	w := &watched{text: text, found: cancel, lines: lines, do: do}
	var m bytes.Buffer
	code = run(ctx, append(args, "--brokers", strings.Join(s.brokers, ",")), strings.NewReader(""), w, &m)
	require.Contains(s.t, w.String(), text, m.String())
	return code, w.String()
}

// watched calls do when some lines were written, and found when a text was.
type watched struct {
	bytes.Buffer
	text  string
	found func()
	lines int
	do    func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if w.do != nil && strings.Count(w.String(), "\n") >= w.lines {
		w.do()
		w.do = nil
	}
	if strings.Contains(w.String(), w.text) {
		w.found()
	}
	return n, err
}

func TestTailFollows(t *testing.T) {
	s := embeddedSite(t)
	last := func() { s.write(payments.Name, "last", `{"pounds":7}`, monday) }
	code, out := s.until("last", 1, last, "tail", "payments", "-f", "-n", "1")
	require.Equal(s.t, exitOK, code)
	require.Equal(s.t, 2, strings.Count(out, "\n"), out)
	require.Contains(s.t, out, `{"pounds":7}`)
}

func TestLagWatches(t *testing.T) {
	s := embeddedSite(t)
	s.process(streams.AtLeastOnce)
	last := func() { s.write(payments.Name, "last", `{}`, monday) }
	code, out := s.until(`"records":1`, 2, last, "lag", "orders", "--watch", "--interval", "100ms", "--json")
	require.Equal(t, exitOK, code)
	for l := range strings.Lines(out) {
		require.True(t, json.Valid([]byte(l)), l)
	}
	require.Greater(t, strings.Count(out, "\n"), 2)
}

func TestInterrupted(t *testing.T) {
	s := embeddedSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, messages bytes.Buffer
	code := run(ctx, []string{"tail", "payments", "--from", "earliest", "-b", s.brokers[0]}, strings.NewReader(""), &out, &messages)
	require.Equal(t, exitInterrupted, code)
	require.Equal(t, "streams: interrupted\n", messages.String())
}
