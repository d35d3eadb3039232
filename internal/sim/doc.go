// Package sim has no code: its tests run whole instances of applications, the code that runs
// over Kafka, on one goroutine at a time, in an order that a seed chooses, against a model of
// Kafka and a model of a disk. What comes out is compared with what the inputs say must.
//
//	go test ./internal/sim                           # seeds that nobody tried before, which are printed
//	go test ./internal/sim -run Sim -seed 42 -v      # one seed again, with all that happened
//	go test ./internal/sim -run Sim -seeds 100000 -first 1 -program sessions
//
// What the seed chooses, and what the models know of the world, stands where it is done:
//
//	world_test.go        strands, the clock, what happens next, and faults
//	log_test.go          partitions: records, markers, holes, the last stable offset
//	transactions_test.go the coordinator of transactions
//	group_test.go        the coordinator of the group, and a member
//	client_test.go       the client: requests that are delayed, lost, or answered to nobody
//	producer_test.go     what is on its way to the log
//	disk_test.go         a disk that keeps what was synced
//	process_test.go      an instance: started, stopped, killed
//	topologies_test.go   the programs, and what must come of them
//	windows_test.go      those with windows that close, and sessions
//	joins_test.go        those in which the order of the sides is a task's own
//	mutants_test.go      mistakes that it has to find
package sim
