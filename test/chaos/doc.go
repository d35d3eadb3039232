// Package chaos murders: instances of an application that joins, folds and drops repeats,
// over three brokers and under load, are killed, paused, cut off and robbed of their disks,
// and brokers are killed, by chance and from a seed. At the end the results are compared with
// what they have to be, key by key, for both guarantees.
//
//	go test ./test/chaos                       # a minute
//	go test ./test/chaos -for 30m -timeout 1h -v   # what a release should survive
//	go test ./test/chaos -seed 7 -v            # the same faults in the same order
package chaos
