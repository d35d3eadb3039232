package inspect_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/inspect"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/window"
)

// shows decodes what a serde encodes, by the serde's name.
func shows[T any](t *testing.T, s serde.Serde[T], v T, want string) {
	t.Helper()
	b, err := s.Append([]byte{}, v)
	require.NoError(t, err)
	shown, problem := inspect.Named(serde.Name(s)).Show(b)
	require.Empty(t, problem)
	text, err := json.Marshal(shown)
	require.NoError(t, err)
	require.Equal(t, want, string(text), serde.Name(s))
}

func TestCodecsReadWhatSerdesWrite(t *testing.T) {
	shows(t, serde.String, "zażółć", `"zażółć"`)
	shows(t, serde.Int64, math.MinInt64, "-9223372036854775808")
	shows(t, serde.Int32, -7, "-7")
	shows(t, serde.Float64, 0.25, "0.25")
	shows(t, serde.Float64, math.Inf(1), `"+Inf"`)
	shows(t, serde.Bool, true, "true")
	shows(t, serde.Bytes, []byte{0, 0xff}, `"0x00ff"`)
	shows(t, serde.Time, time.Date(2026, 11, 28, 1, 2, 3, 4e6, time.UTC), `"2026-11-28T01:02:03.004Z"`)
	shows(t, serde.UUID, [16]byte{1, 2}, `"01020000-0000-0000-0000-000000000000"`)
	shows(t, serde.JSON[map[string]int](), map[string]int{"a": 1}, `{"a":1}`)
	shows(t, serde.Nullable(serde.Int64), new(int64(5)), "5")

	day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	hopping := window.Keys(serde.String, window.Hopping{Size: time.Hour, Every: time.Minute, Grace: time.Second, Emit: window.Every(time.Second)})
	shows(t, hopping, window.Key[string]{Key: "a", Start: day, End: day.Add(time.Hour)}, `{"key":"a","start":"2026-11-28T00:00:00Z"}`)
	session := window.Keys(serde.Int64, window.Session{Gap: time.Hour})
	shows(t, session, window.Key[int64]{Key: 3, Start: day, End: day.Add(time.Minute)}, `{"key":3,"start":"2026-11-28T00:00:00Z","end":"2026-11-28T00:01:00Z"}`)
}

func TestCodecsEncodeWhatIsTyped(t *testing.T) {
	for name, typed := range map[string]string{
		"string": "a b", "int64": "-5", "int32": "12", "float64": "0.5", "bool": "true", "bytes": "0x00ff",
		"time": "2026-11-28T01:02:03.004Z", "uuid": "01020000-0000-0000-0000-000000000000", "json": `{"a":1}`,
	} {
		c := inspect.Named(name)
		b, err := c.Encode(typed)
		require.NoError(t, err, name)
		shown, err := c.Decode(b)
		require.NoError(t, err, name)
		text, err := json.Marshal(shown)
		require.NoError(t, err)
		if text[0] == '"' {
			require.NoError(t, json.Unmarshal(text, &typed))
			require.Equal(t, shownText(t, text), typed, name)
			continue
		}
		require.Equal(t, typed, string(text), name)
	}
	for name, typed := range map[string]string{"int64": "five", "json": "text", "uuid": "1", "bytes": "xyz", "time": "now"} {
		_, err := inspect.Named(name).Encode(typed)
		require.Error(t, err, name)
	}
}

func shownText(t *testing.T, b []byte) (s string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(b, &s))
	return s
}

// What cannot be decoded is shown as it is, with the reason; null is no bytes.
func TestCodecsOfOtherData(t *testing.T) {
	for _, c := range []struct {
		name    string
		data    []byte
		want    any
		problem string
	}{
		{"int64", []byte("abc"), "0x616263", "not int64: "},
		{"json", []byte("{"), "0x7b", "not json: it is no JSON"},
		{"string", []byte{0xff}, "0xff", "not string: it is not UTF-8"},
		{"windowed(string, Tumbling{Size: 1h0m0s})", []byte("short"), "0x73686f7274", "not windowed"},
		{"string", nil, nil, ""},
		{"json", []byte(nil), nil, ""},
		{"main.orderSerde", []byte("text"), "text", ""},
		{"main.orderSerde", []byte(`{"a": [1]}`), json.RawMessage(`{"a":[1]}`), ""},
		{"main.orderSerde", []byte{1, 2}, "0x0102", ""},
		{"", []byte{}, "", ""},
	} {
		v, problem := inspect.Named(c.name).Show(c.data)
		require.Equal(t, c.want, v, c.name)
		require.Contains(t, problem, c.problem, c.name)
		if c.problem == "" {
			require.Empty(t, problem, c.name)
		}
	}
}

func TestInner(t *testing.T) {
	require.Equal(t, "string", inspect.Inner("windowed(string, Hopping{Size: 1h, Emit: Every(1s)})"))
	require.Equal(t, "windowed(string, Unlimited{})", inspect.Inner("windowed(windowed(string, Unlimited{}), Unlimited{})"))
	require.Equal(t, "json", inspect.Inner("json"))
}

func TestChangelogKeys(t *testing.T) {
	key := []byte("a\x00\x00\x00\x00\x00\x00\x03\xe8\x00\x00\x00\x05")
	v, problem := inspect.ChangelogKey(store.Window, "windowed(string, Tumbling{Size: 1s})").Show(key)
	require.Empty(t, problem)
	require.Equal(t, inspect.Windowed{Key: "a", Start: time.UnixMilli(1000).UTC()}, v)
	key = []byte("a\x00\x00\x00\x00\x00\x00\x07\xd0\x00\x00\x00\x00\x00\x00\x03\xe8")
	v, problem = inspect.ChangelogKey(store.Session, "windowed(string, Session{Gap: 1s})").Show(key)
	require.Empty(t, problem)
	require.Equal(t, inspect.Windowed{Key: "a", Start: time.UnixMilli(1000).UTC(), End: new(time.UnixMilli(2000).UTC())}, v)
	v, _ = inspect.ChangelogKey(store.KeyValue, "int64").Show([]byte{0, 0, 0, 0, 0, 0, 0, 9})
	require.Equal(t, int64(9), v)
}
