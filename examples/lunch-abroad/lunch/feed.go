package lunch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

const partitions = 4

// createTopics creates the topics of the example, unless they exist.
func createTopics(brokers []string) error {
	c := kafkaConfig()
	c.Metadata.Full = true
	admin, err := sarama.NewClusterAdmin(brokers, c)
	if err != nil {
		return fmt.Errorf("reach Kafka at %v: %w", brokers, err)
	}
	defer admin.Close()
	compact, lag, ever := "compact", fmt.Sprint(RateHistory.History.Milliseconds()), "-1"
	// The payments are of years ago: with a retention Kafka would delete them at once.
	keep := map[string]*string{"retention.ms": &ever}
	for name, config := range map[string]map[string]*string{
		Payments.Name: keep, Texts.Name: keep, Orders.Name: keep, HighestPrices.Name: keep,
		// Compacted, but a rate stays as long as a payment of its day may come.
		Rates.Name: {"cleanup.policy": &compact, "min.compaction.lag.ms": &lag},
	} {
		err := admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: -1, ConfigEntries: config}, false)
		if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	return nil
}

func kafkaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_9_0_0
	c.ClientID = "lunch-abroad"
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	c.Metadata.Retry.Max, c.Admin.Timeout = 100, time.Minute // a new topic is not everywhere at once
	c.Producer.Flush.Frequency = 5 * time.Millisecond
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	return c
}

// feed writes the rates, and then payments and orders: as many payment records as wanted,
// or until ctx ends. It goes on where an earlier feed of the same seed stopped.
func feed(ctx context.Context, o Options, counts *counts) error {
	rates, err := ratesOfDays()
	if err != nil {
		return err
	}
	client, err := sarama.NewClient(o.Brokers, kafkaConfig())
	if err != nil {
		return fmt.Errorf("reach Kafka at %v: %w", o.Brokers, err)
	}
	defer client.Close()
	already, err := written(client, Payments.Name)
	if err != nil {
		return err
	}
	p, err := newFeeder(client)
	if err != nil {
		return err
	}
	if already == 0 {
		for _, r := range rates {
			p.send(Rates.Name, r.Currency, r.Rate, r.Day)
		}
		if err := p.flush(); err != nil {
			return err
		}
		if p, err = newFeeder(client); err != nil {
			return err
		}
	}
	counts.fed.Add(int64(already))
	g, s := newGenerator(o.Seed, rates), newSequence(o.Seed)
	for range already {
		s.number()
	}
	for i := already; ctx.Err() == nil && (o.Payments == 0 || i < already+o.Payments); i++ {
		n := s.number()
		payment, at := g.payment(n)
		p.send(Payments.Name, payment.ID, payment, at)
		if i%10 == 0 {
			order, at := g.order(n)
			p.send(Orders.Name, fmt.Sprint(n), order, at)
		}
		counts.fed.Add(1)
		if o.Payments == 0 {
			time.Sleep(time.Millisecond) // for ever, but not for a disk
		}
	}
	return p.flush()
}

// written is how many records a topic has had.
func written(client sarama.Client, topic string) (n int, err error) {
	ps, err := client.Partitions(topic)
	for _, p := range ps {
		end, e := client.GetOffset(topic, p, sarama.OffsetNewest)
		n, err = n+int(end), errors.Join(err, e)
	}
	return n, err
}

// feeder is a producer whose first error ends it.
type feeder struct {
	p    sarama.AsyncProducer
	errs chan error
}

func newFeeder(client sarama.Client) (*feeder, error) {
	p, err := sarama.NewAsyncProducerFromClient(client)
	if err != nil {
		return nil, err
	}
	f := &feeder{p: p, errs: make(chan error, 1)}
	go func() {
		var first error
		for e := range p.Errors() {
			if first == nil {
				first = fmt.Errorf("write to %s: %w", e.Msg.Topic, e.Err)
			}
		}
		f.errs <- first
	}()
	return f, nil
}

func (f *feeder) send(topic, key string, value any, at time.Time) {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err) // plain structs always encode
	}
	f.p.Input() <- &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.ByteEncoder(b), Timestamp: at}
}

// flush waits until all is written, and ends the feeder.
func (f *feeder) flush() error {
	f.p.AsyncClose()
	return <-f.errs
}
