package broker

import (
	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// withScram adds to a configuration that asks for SCRAM what speaks it, which sarama leaves
// to its users.
func withScram(c *sarama.Config) {
	sasl := &c.Net.SASL
	hashes := map[sarama.SASLMechanism]scram.HashGeneratorFcn{
		sarama.SASLTypeSCRAMSHA256: scram.SHA256,
		sarama.SASLTypeSCRAMSHA512: scram.SHA512,
	}
	if hash, ok := hashes[sasl.Mechanism]; ok && sasl.SCRAMClientGeneratorFunc == nil {
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: hash} }
	}
}

// scramClient is one conversation.
type scramClient struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

// Begin is called by sarama before the first Step.
func (c *scramClient) Begin(user, password, authorization string) error {
	client, err := c.hash.NewClient(user, password, authorization)
	if err != nil {
		return err
	}
	c.ClientConversation = client.NewConversation()
	return nil
}
