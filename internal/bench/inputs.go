package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-df18afd4/streams/internal/kafka"
)

// input is a topic that workloads read. It is written once for each number of records and
// then used again, so what its generator makes must not change while its name stays.
type input struct {
	topic    string
	records  int
	settings map[string]string // of the topic; nil: it keeps everything
	generate func() func(i int) kafka.Record
}

// together are the topics of inputs, and how many records they hold.
func together(inputs []input) (topics []string, records int) {
	for _, in := range inputs {
		topics = append(topics, in.topic)
		records += in.records
	}
	return topics, records
}

const (
	valueSize = 100
	idSize    = 16
	rows      = 100_000 // different keys of tables and counts
)

// epoch is the time of the first record, and a millisecond passes to the next one. It is
// past, since a broker takes no record from the future.
var epoch = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

var compacted = map[string]string{"cleanup.policy": "compact"}

// noise is what values are cut from: random, so that compressing it gains nothing.
var noise = func() []byte {
	r, b := random(), make([]byte, 1<<20)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}()

// random is the same sequence each time.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// value is the value of a record. It is not to be changed.
func value(i int) []byte {
	at := i * 7919 % (len(noise) - valueSize)
	return noise[at : at+valueSize]
}

func int64Key(k int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(k)) }

// numbered are records with keys that do not repeat, of 8 bytes, and values of 100.
func numbered(topic string, n int, settings map[string]string) input {
	return input{topic: topic, records: n, settings: settings, generate: func() func(int) kafka.Record {
		return func(i int) kafka.Record {
			return kafka.Record{Key: int64Key(i), Value: value(i), Time: epoch + int64(i)}
		}
	}}
}

// zipf are records whose keys are the numbers below 100,000, the small ones often: as
// words in a text are.
func zipf(n int) input {
	return input{topic: fmt.Sprintf("bench-zipf-%d", n), records: n, generate: func() func(int) kafka.Record {
		z := rand.NewZipf(random(), 1.01, 1, rows-1)
		return func(i int) kafka.Record {
			return kafka.Record{Key: int64Key(int(z.Uint64())), Value: value(i), Time: epoch + int64(i)}
		}
	}}
}

// tableRows are the rows that the keys of zipf have, older than its records.
func tableRows() input {
	in := numbered(fmt.Sprintf("bench-table-%d", rows), rows, compacted)
	in.generate = func() func(int) kafka.Record {
		return func(i int) kafka.Record { return kafka.Record{Key: int64Key(i), Value: value(i), Time: epoch - 1} }
	}
	return in
}

// repeatWithin is how many ids back a repeat may reach.
const repeatWithin = 100_000

// withRepeats are records whose keys are ids of 16 characters, in random order as ids are.
// One in twenty repeats one of the last 100,000 ids.
func withRepeats(n int) input {
	return input{topic: fmt.Sprintf("bench-ids-%d", n), records: n, generate: func() func(int) kafka.Record {
		s := newRepeats()
		return func(i int) kafka.Record {
			// An odd factor gives each number another id.
			id := uint64(s.next()) * 0x9e3779b97f4a7c15
			return kafka.Record{Key: fmt.Appendf(make([]byte, 0, idSize), "%016x", id), Value: value(i), Time: epoch + int64(i)}
		}
	}}
}

// repeats are numbers from 0 on, of which one in twenty is one that came before.
type repeats struct {
	r      *rand.Rand
	unique int // numbers so far
}

func newRepeats() *repeats { return &repeats{r: random()} }

func (s *repeats) next() int {
	if s.unique > 0 && s.r.IntN(20) == 0 {
		return s.unique - 1 - s.r.IntN(min(s.unique, repeatWithin))
	}
	s.unique++
	return s.unique - 1
}

// uniqueOf is how many of n numbers are none that came before.
func uniqueOf(n int) int {
	s := newRepeats()
	for range n {
		s.next()
	}
	return s.unique
}

// paymentInterval is the time between two payments of the workload lunch.
const paymentInterval = 30 * time.Second

// payments are payments in pounds, one in four, and in other currencies. One in twenty is
// sent again.
func payments(n int) input {
	return input{topic: fmt.Sprintf("bench-payments-%d", n), records: n, generate: func() func(int) kafka.Record {
		s := newRepeats()
		return func(i int) kafka.Record {
			p := paymentOf(s.next())
			return kafka.Record{Key: []byte(p.ID), Value: encode(p), Time: epoch + 1 + int64(i)*paymentInterval.Milliseconds()}
		}
	}}
}

// paymentOf is the payment of a number.
func paymentOf(number int) payment {
	r := rand.New(rand.NewPCG(1, uint64(number)))
	p := payment{ID: fmt.Sprintf("payment-%d", number), Phone: fmt.Sprintf("+44 7700 900%03d", r.IntN(1000)), Currency: "GBP", Amount: float64(100+r.IntN(20_000)) / 100}
	if r.IntN(4) > 0 {
		p.Currency = currency(r.IntN(currencies))
	}
	return p
}

// paymentsAbroad is how many of n payment records are neither in pounds nor repeats.
func paymentsAbroad(n int) (abroad int) {
	for number := range uniqueOf(n) {
		if paymentOf(number).Currency != "GBP" {
			abroad++
		}
	}
	return abroad
}

const currencies = 30

func currency(i int) string { return fmt.Sprintf("C%02d", i) }

// rates are the rates of all currencies on each day of n payments.
func rates(n int) input {
	const day = 24 * time.Hour
	days := n/int(day/paymentInterval) + 1
	return input{topic: fmt.Sprintf("bench-rates-%d", n), records: days * currencies, generate: func() func(int) kafka.Record {
		return func(i int) kafka.Record {
			at := epoch + int64(i/currencies)*day.Milliseconds()
			return kafka.Record{Key: []byte(currency(i % currencies)), Value: encode(rate{1 + float64(i%1000)/1000}), Time: at}
		}
	}}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs always encode
	}
	return b
}
