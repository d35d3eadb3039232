package topology

import (
	"encoding/json"

	"github.com/seed-df18afd4/streams/internal/plan"
)

// MarshalJSON describes the topology for the tool: in a file, it can be drawn by
// "streams topology FILE" and compared by "streams topology diff OLD NEW".
func (t *Topology) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Format int
		Plan   *plan.Plan
	}{1, (*plan.Plan)(t)})
}
