// Package inspect reads what applications keep, without the applications: their stores, on
// disk or from their changelogs, and the records of topics, decoded by the names of serdes.
package inspect

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/serde"
)

// Codec decodes bytes for people, and encodes what people type. Decode gives what JSON can
// write: text, numbers, JSON itself.
type Codec struct {
	Name   string
	Decode func(data []byte) (any, error)
	Encode func(text string) ([]byte, error) // nil: nobody types such a thing
}

// Windowed is a key in a window, as a topic has it.
type Windowed struct {
	Key   any        `json:"key"`
	Start time.Time  `json:"start"`
	End   *time.Time `json:"end,omitempty"` // of a session alone
}

// Names are the codecs that a user may name.
var Names = []string{"auto", "string", "json", "int64", "int32", "float64", "bool", "time", "uuid", "bytes"}

// Named is the codec of a serde's name, as serde.Name gives it. A name that is not known,
// such as that of a serde of the program, gives the codec auto, which guesses.
func Named(name string) Codec {
	if inner, ok := within(name, "nullable"); ok {
		return Named(inner)
	}
	if inner, ok := within(name, "windowed"); ok {
		return windowed(name, inner)
	}
	switch name {
	case "string":
		return Codec{Name: name, Decode: decodeText, Encode: func(s string) ([]byte, error) { return []byte(s), nil }}
	case "int64":
		return typed(name, serde.Int64, func(v int64) any { return v }, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
	case "int32":
		return typed(name, serde.Int32, func(v int32) any { return v }, parseInt32)
	case "float64":
		return typed(name, serde.Float64, number, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	case "bool":
		return typed(name, serde.Bool, func(v bool) any { return v }, strconv.ParseBool)
	case "time":
		return typed(name, serde.Time, func(t time.Time) any { return t.UTC() }, func(s string) (time.Time, error) { return time.Parse(time.RFC3339Nano, s) })
	case "uuid":
		return typed(name, serde.UUID, func(v [16]byte) any { return uuid.UUID(v).String() }, func(s string) ([16]byte, error) { return uuid.Parse(s) })
	case "json":
		return Codec{Name: name, Decode: decodeJSON, Encode: encodeJSON}
	case "bytes":
		return Codec{Name: name, Decode: func(b []byte) (any, error) { return Hex(b), nil }, Encode: parseHex}
	}
	return Codec{Name: "auto", Decode: guess, Encode: func(s string) ([]byte, error) { return []byte(s), nil }}
}

// within is X of "what(X)" and of "what(X, more)".
func within(name, what string) (inner string, ok bool) {
	rest, ok := strings.CutPrefix(name, what+"(")
	if !ok || !strings.HasSuffix(rest, ")") {
		return "", false
	}
	rest, depth := rest[:len(rest)-1], 0
	for i, c := range rest {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			return rest[:i], true
		}
	}
	return rest, true
}

// Inner is the name of the serde of the keys inside of windows; other names are as they are.
func Inner(name string) string {
	if inner, ok := within(name, "windowed"); ok {
		return inner
	}
	return name
}

// typed is the codec of a serde of the library.
func typed[T any](name string, s serde.Serde[T], show func(T) any, parse func(string) (T, error)) Codec {
	return Codec{
		Name: name,
		Decode: func(data []byte) (any, error) {
			v, err := s.Decode(data)
			if err != nil {
				return nil, err
			}
			return show(v), nil
		},
		Encode: func(text string) ([]byte, error) {
			v, err := parse(text)
			if err != nil {
				return nil, err
			}
			return s.Append([]byte{}, v)
		},
	}
}

func decodeText(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("it is not UTF-8")
	}
	return string(data), nil
}

func parseInt32(s string) (int32, error) {
	v, err := strconv.ParseInt(s, 10, 32)
	return int32(v), err
}

// number is a float as JSON has it, which knows no infinity.
func number(v float64) any {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return v
}

// windowed is the codec of keys that window.Keys encodes for topics.
func windowed(name, inner string) Codec {
	if strings.Contains(name[len("windowed(")+len(inner):], "Session{") {
		return behind(name, inner, 16, func(times []byte) Windowed { return Windowed{Start: instant(times[8:]), End: new(instant(times))} })
	}
	return behind(name, inner, 8, func(times []byte) Windowed { return Windowed{Start: instant(times)} })
}

// ChangelogKey is the codec of the keys in the changelog of a store, which for windows have a
// number behind their start.
func ChangelogKey(kind store.Kind, name string) Codec {
	inner := Inner(name)
	switch kind {
	case store.Window, store.List:
		return behind(name, inner, 12, func(b []byte) Windowed { return Windowed{Start: instant(b)} })
	case store.Session:
		return behind(name, inner, 16, func(b []byte) Windowed { return Windowed{Start: instant(b[8:]), End: new(instant(b))} })
	}
	return Named(name)
}

// behind is the codec of keys that have some bytes of a window behind them.
func behind(name, inner string, n int, window func([]byte) Windowed) Codec {
	in := Named(inner)
	return Codec{Name: name, Decode: func(data []byte) (any, error) {
		i := len(data) - n
		if i < 0 {
			return nil, fmt.Errorf("the key of a window takes at least %d bytes, for its times, not %d", n, len(data))
		}
		w := window(data[i:])
		var err error
		w.Key, err = in.Decode(data[:i:i])
		return w, err
	}}
}

func instant(b []byte) time.Time { return time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC() }

func decodeJSON(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, fmt.Errorf("it is no JSON")
	}
	return compact(data), nil
}

func compact(data []byte) json.RawMessage {
	var b bytes.Buffer
	_ = json.Compact(&b, data) // valid before
	return b.Bytes()
}

func encodeJSON(text string) ([]byte, error) {
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("%q is no JSON: a text needs its quotes", text)
	}
	return compact([]byte(text)), nil
}

// guess is for bytes of which nothing is known: JSON objects and lists are shown as such,
// text as text, all else in hexadecimal digits.
func guess(data []byte) (any, error) {
	if len(data) > 0 && (data[0] == '{' || data[0] == '[') && json.Valid(data) {
		return compact(data), nil
	}
	if utf8.Valid(data) && strings.IndexFunc(string(data), unprintable) < 0 {
		return string(data), nil
	}
	return Hex(data), nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' && r != '\r' }

// Hex is how bytes are shown.
func Hex(data []byte) string { return "0x" + hex.EncodeToString(data) }

func parseHex(text string) ([]byte, error) { return hex.DecodeString(strings.TrimPrefix(text, "0x")) }

// Show decodes data; nil is null. What cannot be decoded is shown in hexadecimal digits, with
// the reason.
func (c Codec) Show(data []byte) (v any, problem string) {
	if data == nil {
		return nil, ""
	}
	v, err := c.Decode(data)
	if err != nil {
		return Hex(data), fmt.Sprintf("not %s: %v", c.Name, err)
	}
	return v, ""
}
