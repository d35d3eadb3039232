package reset

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/kafka"
	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/store"
)

var one, other = kafka.Partition{Topic: "t", Index: 0}, kafka.Partition{Topic: "t", Index: 1}

// some are two partitions, of which the group has a position in one.
func some() logs {
	return logs{
		of:        []kafka.Partition{one, other},
		starts:    map[kafka.Partition]int64{one: 10, other: 20},
		ends:      map[kafka.Partition]int64{one: 100, other: 200},
		committed: map[kafka.Partition]kafka.Offset{one: {At: 50}},
	}
}

// starting is a plan that reads the topic from there.
func starting(at int64) *plan.Plan {
	return &plan.Plan{Subtopologies: []*plan.Subtopology{{Sources: []plan.Source{{Topic: plan.Topic{Name: "t"}, StartAt: at}}}}}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		to    Target
		say   string
		a, b  int64
		notes int
	}{
		{ToEarliest(), "--to-earliest", 10, 20, 0},
		{ToLatest(), "--to-latest", 100, 200, 0},
		{ToStart(starting(plan.StartEarliest), time.Now()), "StartAt", 10, 20, 0},
		{ToStart(starting(plan.StartLatest), time.Now()), "StartAt", 100, 200, 0},
		{ToOffset(30), "--to-offset 30", 30, 30, 0},
		{ByRecords(-5), "--by -5", 45, 15, 1},
		{ByRecords(7), "--by 7", 57, 27, 1},
	} {
		require.Equal(t, c.say, c.to.Say)
		to, notes, err := c.to.at(t.Context(), some())
		require.NoError(t, err)
		require.Equal(t, map[kafka.Partition]int64{one: c.a, other: c.b}, to, c.say)
		require.Len(t, notes, c.notes, c.say)
	}
	_, _, err := ToStart(starting(plan.StartNone), time.Now()).at(t.Context(), some())
	require.ErrorContains(t, err, "t/0: its StartAt is None")
	require.Equal(t, "--by -2h0m0s", By(-2*time.Hour, time.Now()).Say)
	require.Equal(t, "--to-time 2026-11-23T07:30:00Z", ToTime(time.Date(2026, 11, 23, 8, 30, 0, 0, time.FixedZone("", 3600))).Say)
}

func TestClamp(t *testing.T) {
	l := some()
	for _, c := range []struct {
		to, want int64
		note     string
	}{{-5, 10, "the log begins at 10"}, {9, 10, "the log begins at 10"}, {10, 10, ""}, {100, 100, ""}, {101, 100, "the log ends at 100"}} {
		to, note := l.clamp(one, c.to)
		require.Equal(t, c.want, to)
		require.Equal(t, c.note, note)
	}
}

func TestFromFile(t *testing.T) {
	to, err := FromFile("plan.csv", strings.NewReader("# as exported\nt,0,5\n t , 1, 7\n"))
	require.NoError(t, err)
	require.Equal(t, map[kafka.Partition]int64{one: 5, other: 7}, to.partitions)
	require.Equal(t, []string{"t"}, to.topics())
	for text, why := range map[string]string{
		"":             "it names no partition",
		"t,0":          "each line is a topic, a partition and an offset",
		"t,zero,5":     "plan.csv, line 1",
		"t,0,5\nt,0,6": "line 2: t/0 is there twice",
	} {
		_, err := FromFile("plan.csv", strings.NewReader(text))
		require.ErrorContains(t, err, why)
	}
}

// A clock has the name of its store, or one of the names begins with the other.
func TestClocksOfWipedStores(t *testing.T) {
	s := &plan.Subtopology{}
	for _, name := range []string{"count", "count-late", "meet-left", "meet-right", "hold"} {
		s.Stores = append(s.Stores, plan.Store{Spec: store.Spec{Name: name}})
	}
	e := &execution{plan: &Plan{Stores: []string{"count-late", "meet-left", "meet-right"}}, application: &registry.Application{}}
	for clock, wiped := range map[string]bool{
		"count": false, "count-late": true, "meet": true, "hold-records": false, "hold": false, "count-late-first": true, "else": false,
	} {
		require.Equal(t, wiped, e.isWiped(s, clock), clock)
	}
}
