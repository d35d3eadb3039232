// Package broker speaks to Kafka. It is the only package that does, and it does so through
// the codec, TLS, SASL and requests of github.com/IBM/sarama, not through its consumer
// and producer: their channels cost several times the CPU, and hide what exactly-once
// needs (the position after a commit marker, a rewind, a rejoin on demand).
//
// There are only a few types:
//
//	Client        where the brokers are; topics and offsets (client.go, cluster.go, admin.go, offsets.go)
//	Fetcher       reads partitions, one connection a leader (fetcher.go, fetchloop.go, decode.go)
//	Subscription  one partition being read (fetcher.go)
//	Producer      writes partitions, idempotent or in transactions (producer.go, batch.go, sender.go, transaction.go)
//	Target        one partition being written (producer.go)
//	Group         one member of a consumer group (group.go, join.go)
//
// Below them are conn, one connection that can be cut (conn.go), and link, a connection to
// whoever has a role, which asks until there is an answer (link.go). What an answer means
// is decided in errors.go.
//
// # What must stay true
//
// Every connection does one thing. A broker answers the requests of one connection in
// order, and sarama holds the connection's lock for a whole round trip, so a waiting
// Fetch or JoinGroup would stop a commit on the same connection (conn.go).
//
// Nothing waits longer than its context. sarama's calls take none, so a connection's
// socket is closed under a pending call when its context ends (conn.go).
//
// A position comes from batches, never from records: half of a transactional log is
// markers, aborted data and holes that compaction left (decode.go).
//
// A sealed batch keeps its sequence number for ever, and no batch is sent more than four
// behind the oldest one without an answer: a broker remembers only the last five batches
// of a producer and partition, and takes what it does not remember for a gap. The first
// batch goes alone: a broker that does not know a producer takes any number (sender.go).
package broker
