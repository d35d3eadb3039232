package lunch

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// counts are what the program has seen so far.
type counts struct {
	fed                                 atomic.Int64 // payments in the topic, with those of earlier runs
	fedAll                              atomic.Bool
	payments, abroad, duplicates, texts atomic.Int64
}

// line is the last line of the program.
func (c *counts) line() string {
	return fmt.Sprintf("payments=%d abroad=%d duplicates=%d texts=%d", c.payments.Load(), c.abroad.Load(), c.duplicates.Load(), c.texts.Load())
}

// reader reads payments and texts back from Kafka, prints the texts, and checks that
// every payment abroad has one, in the pounds of its day.
type reader struct {
	out    io.Writer
	counts *counts
	rates  map[string][]RateOfDay // by currency, by date

	mu      sync.Mutex
	paid    map[string]bool    // payments by id: whether they are told
	waiting map[string]float64 // pounds of texts whose payments were not read yet
}

func newReader(out io.Writer, c *counts) (*reader, error) {
	rates, err := ratesOfDays()
	if err != nil {
		return nil, err
	}
	r := &reader{out: out, counts: c, rates: map[string][]RateOfDay{}, paid: map[string]bool{}, waiting: map[string]float64{}}
	for _, day := range rates {
		r.rates[day.Currency] = append(r.rates[day.Currency], day)
	}
	return r, nil
}

// run reads until ctx ends, or something is wrong.
func (r *reader) run(ctx context.Context, brokers []string) error {
	consumer, err := sarama.NewConsumer(brokers, kafkaConfig())
	if err != nil {
		return fmt.Errorf("reach Kafka at %v: %w", brokers, err)
	}
	defer consumer.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for topic, handle := range map[string]func(*sarama.ConsumerMessage) error{
		Payments.Name: r.payment, Texts.Name: r.text, HighestPrices.Name: r.highest,
	} {
		for p := range int32(partitions) {
			pc, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
			if err != nil {
				return fmt.Errorf("read %s/%d: %w", topic, p, err)
			}
			wg.Go(func() {
				defer pc.Close()
				for {
					select {
					case <-ctx.Done():
						return
					case m := <-pc.Messages():
						if err := handle(m); err != nil {
							stop(fmt.Errorf("%s/%d, offset %d: %w", topic, p, m.Offset, err))
							return
						}
					}
				}
			})
		}
	}
	<-ctx.Done()
	if err := context.Cause(ctx); err != context.Canceled {
		return err
	}
	return nil
}

func (r *reader) payment(m *sarama.ConsumerMessage) error {
	p, err := Payments.Value.Decode(m.Value)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.payments.Add(1)
	if _, again := r.paid[p.ID]; again {
		r.counts.duplicates.Add(1)
		return nil
	}
	r.paid[p.ID] = false
	if p.Currency == "GBP" {
		return nil
	}
	r.counts.abroad.Add(1)
	want := p.Amount * r.rateOf(p.Currency, m.Timestamp)
	if got, early := r.waiting[p.ID]; early {
		delete(r.waiting, p.ID)
		return r.check(p.ID, want, got)
	}
	r.waiting[p.ID] = -want // below zero: the text is still to come
	return nil
}

// rateOf is the rate of a day: of the last day that has one.
func (r *reader) rateOf(currency string, at time.Time) float64 {
	pounds := math.NaN()
	for _, day := range r.rates[currency] {
		if day.Day.After(at) {
			break
		}
		pounds = day.Pounds
	}
	return pounds
}

func (r *reader) text(m *sarama.ConsumerMessage) error {
	t, err := Texts.Value.Decode(m.Value)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.texts.Add(1)
	fmt.Fprintf(r.out, "%s  %s: %s\n", m.Timestamp.UTC().Format(time.DateOnly), t.Phone, t.Message)
	if want, known := r.waiting[t.ID]; known && want < 0 {
		delete(r.waiting, t.ID)
		return r.check(t.ID, -want, t.Pounds)
	}
	if told, known := r.paid[t.ID]; known && told {
		fmt.Fprintf(r.out, "%s was told twice\n", t.ID)
		return nil
	}
	r.waiting[t.ID] = t.Pounds
	return nil
}

// check marks a payment as told.
func (r *reader) check(id string, want, got float64) error {
	r.paid[id] = true
	if want != got {
		return fmt.Errorf("%s is told as £%v, and was £%v on its day", id, got, want)
	}
	return nil
}

func (r *reader) highest(m *sarama.ConsumerMessage) error {
	k, err := HighestPrices.Key.Decode(m.Key)
	if err != nil {
		return err
	}
	price, err := HighestPrices.Value.Decode(m.Value)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "%s  highest price in %s: %.2f\n", k.Start.Format(time.DateOnly), k.Key, price)
	return nil
}

// complete says whether all payments that were fed, and their texts, were read.
func (r *reader) complete(payments int64) bool {
	return r.counts.payments.Load() >= payments && r.counts.texts.Load() >= r.counts.abroad.Load()
}
