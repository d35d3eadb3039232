// Package scaleout tests how instances of one application share its work on a Kafka of three
// brokers, while they join, leave and die, and while brokers and networks fail: who knows
// every record of the input looks at every record of the output, in which order it comes, how
// often, and how long each partition was silent.
//
//	go test ./test/scaleout               # the usual
//	go test ./test/scaleout -full         # with everything
//	go test ./test/scaleout -full -run TestScaleOut/joins -keys 1000000 -brokers 1 -v    # the silences of docs/operations.md
package scaleout
