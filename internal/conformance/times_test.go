package conformance

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-df18afd4/streams/kstream"
	"github.com/seed-df18afd4/streams/ktable"
	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/topology"
)

// times read event time, choose it and change it.
var times = theme{
	"stream-time": {build: func(b *topology.Builder) { streamTime(kstream.From(b, nullable("in"))) }},
	"stream-time-two-topics": {build: func(b *topology.Builder) {
		streamTime(kstream.From(b, nullable("in1"), nullable("in2")))
	}},
	"change-timestamp": {build: func(b *topology.Builder) {
		out := kstream.MapRecords(kstream.From(b, nullable("in")), func(r topology.Record[*string, *string]) (topology.Record[*string, *string], error) {
			r.Time = r.Time.Add(100 * ms)
			return r, nil
		})
		kstream.To(out, nullable("out"))
	}},
	"change-timestamp-then-count": {build: func(b *topology.Builder) {
		later := kstream.MapRecords(kstream.From(b, keyed("in")), func(r topology.Record[string, *string]) (topology.Record[string, *string], error) {
			if early(r.Value) {
				r.Time = r.Time.Add(20 * ms)
			}
			return r, nil
		})
		toWindows(kstream.Count(kstream.WindowedBy(kstream.GroupByKey(later), tens), windowed("c", tens, serde.Int64)))
	}},
	"timestamp-extractor": {build: func(b *topology.Builder) {
		in := keyed("in")
		in.TimeOf = timeInValue
		toWindows(kstream.Count(kstream.WindowedBy(kstream.GroupByKey(kstream.From(b, in)), tens), windowed("c", tens, serde.Int64)))
	}},
	"timestamp-extractor-table": {
		build: func(b *topology.Builder) {
			in := keyed("in")
			in.TimeOf = timeInValue
			ktable.To(ktable.Materialize(ktable.From(b, in), kvNull("t")), keyed("out"))
		},
		stores: map[string]rows{"t": of(kvNull("t"))},
	},
	"timestamp-extractor-partition-time": {build: func(b *topology.Builder) {
		in := nullable("in")
		in.TimeOf = func(r topology.Record[*string, *string], partition time.Time) (time.Time, bool) {
			if r.Value == nil || strings.HasPrefix(*r.Value, "p") {
				return partition, !partition.IsZero()
			}
			return r.Time, true
		}
		kstream.To(kstream.From(b, in), nullable("out"))
	}},
}

func streamTime(s kstream.Stream[*string, *string]) {
	out := kstream.ProcessValues(s, "stream-time", func(c *topology.Context[*string, string]) (topology.Processor[*string, *string], error) {
		return func(topology.Record[*string, *string]) error {
			return c.Emit(topology.Record[*string, string]{Value: fmt.Sprint(c.StreamTime().UnixMilli())})
		}, nil
	})
	kstream.To(out, nullKeyed("out"))
}

// timeInValue is the time that a value speaks of; a null has none.
func timeInValue(r topology.Record[string, *string], _ time.Time) (time.Time, bool) {
	if r.Value == nil {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt((*r.Value)[1:], 10, 64)
	t := 3 * n
	if n%2 == 1 {
		t -= 11
	}
	return time.UnixMilli(t), err == nil
}
