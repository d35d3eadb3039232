// Package e2e has tests of whole programs: several processes, that are killed, over an
// embedded broker and a real Kafka, whose results are counted in Kafka.
package e2e
