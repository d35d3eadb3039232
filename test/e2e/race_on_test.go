//go:build race

package e2e

// raceDetector says whether this test binary looks for races. Its helpers do as it does.
const raceDetector = true
