package streamstest

// InBatches hands tasks up to n records at once, as Kafka does, instead of each as it is
// sent. No program sees a difference, so this is for the tests of this library alone.
func (o Options) InBatches(n int) Options {
	o.batch = n
	return o
}
