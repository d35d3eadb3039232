package assign

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Shape is what a topology looks like, a line for each thing. It travels compressed, since
// every member sends it and a group has a megabyte for all of them.
type Shape []string

// maxShape bounds what a foreign member can make us unpack.
const maxShape = 1 << 20

// writers are used again: one has most of a megabyte.
var writers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestCompression)
	if err != nil {
		panic(err) // there is such a level
	}
	return w
}}

// MarshalText compresses.
func (s Shape) MarshalText() ([]byte, error) {
	var b bytes.Buffer
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&b)
	if _, err := io.WriteString(w, strings.Join(s, "\n")); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, b.Bytes()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *Shape) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return err
	}
	lines, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), maxShape))
	if err != nil {
		return fmt.Errorf("unpack a topology's shape: %w", err)
	}
	*s = nil
	if len(lines) > 0 {
		*s = strings.Split(string(lines), "\n")
	}
	return nil
}

// Diff is what only one of two shapes has: - is of this one, + of the other.
func (s Shape) Diff(other Shape) string {
	var b strings.Builder
	for _, line := range s {
		if !slices.Contains(other, line) {
			fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	for _, line := range other {
		if !slices.Contains(s, line) {
			fmt.Fprintf(&b, "+ %s\n", line)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
