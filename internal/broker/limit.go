package broker

import (
	"context"
	"errors"
	"strconv"

	"github.com/IBM/sarama"
)

// batchLimit is how many bytes a batch for a topic may have, as far as it is known.
func (c *Client) batchLimit(topic string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.limits[topic]; n > 0 {
		return n
	}
	return c.cfg.Producer.MaxMessageBytes
}

// LearnLimit looks up how large the batches for a topic may be, if err says that one was
// too large for its broker. It is true if that was news: batches are smaller now, of
// producers made from now on, and of others after Abort. A record is refused beforehand
// where it alone is larger.
func (c *Client) LearnLimit(ctx context.Context, err error) bool {
	at, ok := Refused(err)
	if !ok || !errors.Is(err, sarama.ErrMessageSizeTooLarge) {
		return false
	}
	config, err := c.TopicConfig(ctx, at.Topic)
	if err != nil {
		c.log.Warn("a batch was too large, and the topic does not say how large they may be", "topic", at.Topic, "error", err)
		return false
	}
	n, err := strconv.Atoi(config["max.message.bytes"])
	if err != nil || n <= batchOverhead || n >= c.batchLimit(at.Topic) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits[at.Topic] = n
	c.log.Info("batches for a topic are smaller from now on", "topic", at.Topic, "bytes", n)
	return true
}
