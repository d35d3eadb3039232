package task

// WithoutClocks is what is committed beside a position, without the clocks of some names:
// those of state that is wiped.
func WithoutClocks(committed string, gone func(name string) bool) string {
	m := decodeMetadata(committed)
	if m.partition < 0 && len(m.clocks) == 0 {
		return committed
	}
	for name := range m.clocks {
		if gone(name) {
			delete(m.clocks, name)
		}
	}
	return encodeMetadata(m)
}
