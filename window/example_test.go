package window_test

import (
	"fmt"
	"time"

	"github.com/seed-df18afd4/streams/serde"
	"github.com/seed-df18afd4/streams/window"
)

// printWindows prints the windows that hold t.
func printWindows(w window.Windows, t time.Time) {
	first, last, every := window.Starts(w, t.UnixMilli())
	for start := first; start <= last; start += every {
		end := start + window.Size(w)
		fmt.Println(time.UnixMilli(start).UTC().Format(time.TimeOnly), "-", time.UnixMilli(end).UTC().Format(time.TimeOnly))
	}
}

func ExampleTumbling() {
	hour := window.Tumbling{Size: time.Hour, Grace: time.Minute}
	printWindows(hour, time.Date(2025, 11, 24, 9, 17, 0, 0, time.UTC))
	// Output: 09:00:00 - 10:00:00
}

func ExampleHopping() {
	hour := window.Hopping{Size: time.Hour, Every: 20 * time.Minute}
	printWindows(hour, time.Date(2025, 11, 24, 9, 17, 0, 0, time.UTC))
	// Output:
	// 08:20:00 - 09:20:00
	// 08:40:00 - 09:40:00
	// 09:00:00 - 10:00:00
}

func ExampleEvery() {
	day := window.Tumbling{Size: 24 * time.Hour, Emit: window.Every(time.Second)}
	fmt.Println(day)
	// Output: Tumbling{Size: 24h0m0s, Emit: Every(1s)}
}

func ExampleKey() {
	day := time.Date(2025, 11, 24, 0, 0, 0, 0, time.UTC)
	k := window.Key[string]{Key: "EUR", Start: day, End: day.AddDate(0, 0, 1)}
	fmt.Println(k.Key, k.Start.Weekday())
	// Output: EUR Monday
}

func ExampleKeys() {
	keys := window.Keys(serde.String, window.Tumbling{Size: 24 * time.Hour})

	data, _ := keys.Append(nil, window.Key[string]{Key: "EUR", Start: time.UnixMilli(1763942400000)})
	fmt.Printf("% x\n", data)

	k, err := keys.Decode(data)
	fmt.Println(k.Key, k.Start, k.End, err)
	// Output:
	// 45 55 52 00 00 01 9a b3 29 00 00
	// EUR 2025-11-24 00:00:00 +0000 UTC 2025-11-25 00:00:00 +0000 UTC <nil>
}

func ExampleSplitter() {
	keys := window.Keys(serde.String, window.Tumbling{Size: 24 * time.Hour})
	splitter := keys.(window.Splitter[window.Key[string]])

	inner, start, end, _ := splitter.Split(nil, window.Key[string]{Key: "EUR", Start: time.UnixMilli(1763942400000)})
	fmt.Printf("%s %d %v\n", inner, start, splitter.Windows())

	k, err := splitter.Join(inner, start, end)
	fmt.Println(k.Key, k.End, err)
	// Output:
	// EUR 1763942400000 Tumbling{Size: 24h0m0s}
	// EUR 2025-11-25 00:00:00 +0000 UTC <nil>
}

func ExampleStarts() {
	w := window.Hopping{Size: 10 * time.Millisecond, Every: 3 * time.Millisecond}
	first, last, every := window.Starts(w, 100)
	for start := first; start <= last; start += every {
		fmt.Printf("[%d, %d)\n", start, start+window.Size(w))
	}
	// Output:
	// [93, 103)
	// [96, 106)
	// [99, 109)
}

func ExampleCheck() {
	fmt.Println(window.Check(window.Hopping{Size: time.Hour, Every: 2 * time.Hour}))
	// Output: window: Hopping{Size: 1h0m0s, Every: 2h0m0s}: a time between two windows would be in none: write an Every of 1h0m0s or less
}

// A window is closed once stream time, the greatest time seen, reaches its end and grace.
func ExampleGrace() {
	w := window.Tumbling{Size: time.Hour, Grace: time.Minute}
	nine := time.Date(2025, 11, 24, 9, 0, 0, 0, time.UTC)
	end := nine.UnixMilli() + window.Size(w)

	for _, minutes := range []int{59, 60, 61} {
		streamTime := nine.Add(time.Duration(minutes) * time.Minute)
		open := end > streamTime.UnixMilli()-window.Grace(w)
		fmt.Println(streamTime.Format(time.TimeOnly), open)
	}
	// Output:
	// 09:59:00 true
	// 10:00:00 true
	// 10:01:00 false
}

func ExampleEmitEvery() {
	fmt.Println(window.EmitEvery(window.Tumbling{Size: time.Hour}))
	fmt.Println(window.EmitEvery(window.Tumbling{Size: time.Hour, Emit: window.Every(time.Second)}))
	// Output:
	// 0s
	// 1s
}
