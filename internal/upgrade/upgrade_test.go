package upgrade_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-df18afd4/streams/internal/plan"
	"github.com/seed-df18afd4/streams/internal/registry"
	"github.com/seed-df18afd4/streams/internal/store"
	"github.com/seed-df18afd4/streams/internal/upgrade"
)

var text = plan.Types{Key: plan.Type{Serde: "string", Go: "string"}, Value: plan.Type{Serde: "json", Go: "main.Order"}}

// application is one with a store, which change changes.
func application(change func(*registry.Application, *plan.Store)) *registry.Application {
	st := plan.Store{Spec: store.Spec{Name: "orders", Kind: store.Window, Retention: 1000}, Types: text, Source: -1}
	a := &registry.Application{ID: "app", Partitions: map[string]int32{"app-orders-changelog": 4, "app-by-item-repartition": 4}}
	a.Plan = &plan.Plan{Subtopologies: []*plan.Subtopology{{
		Sources: []plan.Source{{Topic: plan.Topic{Name: "in"}, Types: text}},
		Sinks:   []plan.Sink{{Topic: plan.Topic{Name: "by-item", Repartition: true}, Types: text}},
	}}}
	if change != nil {
		change(a, &st)
	}
	a.Plan.Subtopologies[0].Stores = []plan.Store{st}
	return a
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*registry.Application, *plan.Store)
		loses  bool
		old    string
		now    string
	}{
		"kind":       {func(_ *registry.Application, s *plan.Store) { s.Kind = store.KeyValue }, true, "window of string to json, with changelog", "key-value of string to json, with changelog"},
		"serde":      {func(_ *registry.Application, s *plan.Store) { s.Value.Serde = "int64" }, true, "window of string to json, with changelog", "window of string to int64, with changelog"},
		"changelog":  {func(_ *registry.Application, s *plan.Store) { s.NoChangelog = true }, true, "window of string to json, with changelog", "window of string to json, without changelog"},
		"source":     {func(_ *registry.Application, s *plan.Store) { s.Source = 0 }, true, "window of string to json, with changelog", "window of string to json, from topic in"},
		"partitions": {func(a *registry.Application, _ *plan.Store) { a.Partitions["app-orders-changelog"] = 8 }, true, "4 partitions", "8 partitions"},
		"go type":    {func(_ *registry.Application, s *plan.Store) { s.Value.Go = "shop.Order" }, false, "string to main.Order, retention 1000 ms", "string to shop.Order, retention 1000 ms"},
		"retention":  {func(_ *registry.Application, s *plan.Store) { s.Retention = 2000 }, false, "string to main.Order, retention 1000 ms", "string to main.Order, retention 2000 ms"},
		"in memory":  {func(_ *registry.Application, s *plan.Store) { s.InMemory = true }, false, "string to main.Order, retention 1000 ms", "string to main.Order, retention 1000 ms, in memory"},
		"place": {func(a *registry.Application, _ *plan.Store) {
			a.Plan.Subtopologies[0].ID = 3
		}, false, "sub-topology 0", "sub-topology 3"},
	} {
		changes := upgrade.Compare(application(nil), application(c.change))
		require.Len(t, changes, 1, name)
		require.Equal(t, "store", changes[0].What, name)
		require.Equal(t, "orders", changes[0].Name, name)
		require.Equal(t, c.loses, changes[0].Loses, name)
		require.Equal(t, c.old, changes[0].Old, name)
		require.Equal(t, c.now, changes[0].New, name)
	}
	require.Empty(t, upgrade.Compare(application(nil), application(nil)))
}

// What a file of a program does not know, its partitions say, is no difference.
func TestCompareWithWhatIsNotKnown(t *testing.T) {
	require.Empty(t, upgrade.Compare(application(nil), application(func(a *registry.Application, _ *plan.Store) { a.Partitions = nil })))
}

func TestCompareNames(t *testing.T) {
	renamed := application(func(a *registry.Application, s *plan.Store) {
		s.Name = "purchases"
		a.Plan.Subtopologies[0].Sinks[0].Name = "by-thing"
	})
	changes := upgrade.Compare(application(nil), renamed)
	var said []string
	for _, c := range changes {
		said = append(said, c.What+" "+c.Name+": "+c.Why)
	}
	require.Equal(t, []string{
		"store orders: it is gone; what it holds is not used any more",
		"repartition topic by-item: it is gone; what it holds is not used any more",
		"store purchases: it is new, and empty at first",
		"repartition topic by-thing: it is new, and empty at first",
	}, said)
}
