package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/seed-df18afd4/streams/internal/broker"
)

// tool is what all commands share: where they read and write, and how they reach Kafka.
type tool struct {
	in       io.Reader
	out      io.Writer // what was asked for
	messages io.Writer // everything else
	begun    bool      // the command line was understood

	brokers  []string
	security broker.Security
	config   string
	json     bool
}

func (t *tool) addFlags(f *pflag.FlagSet) {
	f.StringVar(&t.config, "config", "", "`FILE` with settings of the connection")
	f.StringSliceVarP(&t.brokers, "brokers", "b", []string{"localhost:9092"}, "addresses of some brokers, `HOST:PORT,...`")
	f.BoolVar(&t.security.TLS, "tls", false, "encrypt connections")
	f.StringVar(&t.security.CA, "tls-ca", "", "PEM `FILE` of authorities to trust, the system's by default")
	f.StringVar(&t.security.Cert, "tls-cert", "", "PEM `FILE` of the client's certificate")
	f.StringVar(&t.security.Key, "tls-key", "", "PEM `FILE` of the client's key")
	f.BoolVar(&t.security.Insecure, "tls-insecure", false, "trust any certificate")
	f.StringVar(&t.security.Mechanism, "sasl-mechanism", "", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; none by default")
	f.StringVar(&t.security.User, "sasl-user", "", "the user's `NAME`")
	f.StringVar(&t.security.Password, "sasl-password", "", "the user's `PASSWORD`; others can see a flag, so rather the environment or the file")
	f.BoolVar(&t.json, "json", false, "print JSON: one value, or one in each line where there are many")
}

// dial connects to Kafka.
func (t *tool) dial(ctx context.Context) (*broker.Client, error) {
	config, err := t.security.Config()
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	return broker.Dial(ctx, broker.Options{Brokers: t.brokers, ClientID: "streams-tool", Sarama: config})
}

// print writes v as JSON where that is wanted, else as text does.
func (t *tool) print(v any, text func(w io.Writer)) error {
	w := bufio.NewWriter(t.out)
	if t.json {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			return err
		}
	} else {
		text(w)
	}
	return w.Flush()
}

// line writes v as a line of JSON.
func line(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows in columns. The first row is the header.
func table(w io.Writer, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	tw.Flush()
}

// confirm asks whether to do what cannot be undone. It returns an answer of no unless yes
// is typed, or was said by a flag.
func (t *tool) confirm(yes bool, question string, args ...any) error {
	if yes {
		return nil
	}
	fmt.Fprintf(t.messages, question+" [y/N] ", args...)
	answer, err := bufio.NewReader(t.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	if err != nil {
		fmt.Fprintln(t.messages)
		return no("nothing was done: nobody answered; --yes says yes")
	}
	return no("nothing was done")
}
