package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// forgetMemory gives back what earlier runs left, and begins to look for the most anew.
func forgetMemory() {
	debug.FreeOSMemory()
	os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // Linux alone has it
}

// peakMemory is how many bytes of the machine's memory a process had at most, its program
// included. On other systems than Linux it is 0: not known.
func peakMemory(process string) int64 {
	status, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		return 0
	}
	return peakOf(string(status))
}

// peakOf reads the status of a process.
func peakOf(status string) int64 {
	_, peak, _ := strings.Cut(status, "VmHWM:")
	peak, _, _ = strings.Cut(peak, "kB")
	n, err := strconv.ParseInt(strings.TrimSpace(peak), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
