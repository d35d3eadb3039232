// Package streams runs stream processing programs over Kafka, in ordinary Go processes.
//
// A program is a topology: streams and tables read from topics, steps that filter, join,
// group and fold them, and topics that take the results. It is written with packages
// kstream and ktable, checked by topology.Builder's Build, and run by an [App]. Start the
// same program again, on the same machine or another, and the instances share the work;
// stop or kill any of them, and the others go on where it was.
//
// There are only a few types. topology.Topic and state.Store describe, and are declared
// once; kstream.Stream and ktable.Table are steps of a graph; [Config] says where and how
// it runs, and an App is one instance of it.
//
// With [ExactlyOnce], the default, every record takes effect once: on topics, on tables,
// and on the positions in the inputs, whatever crashes.
package streams
